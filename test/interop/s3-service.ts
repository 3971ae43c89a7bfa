import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../helpers/loopback.js'
import { answers } from './servers.js'
import { tool } from './tools.js'

const CREDENTIALS = { AWS_ACCESS_KEY_ID: 'AKIATEST', AWS_SECRET_ACCESS_KEY: 'a-secret-of-the-test' }

/** A versitygw on loopback with a bucket called `bucket`, over a folder in which the objects can be seen as files. */
export class S3Service {
  private constructor(
    private readonly folder: string,
    private readonly child: ChildProcess,
    /** What a client needs in its environment. */
    readonly env: Readonly<Record<string, string>>,
  ) {}

  static async start(): Promise<S3Service> {
    const folder = mkdtempSync(join(tmpdir(), 'walrust-versitygw-'))
    mkdirSync(join(folder, 'data', 'bucket'), { recursive: true })
    mkdirSync(join(folder, 'sidecar'))
    const address = `127.0.0.1:${await freePort()}`
    const env = { ...CREDENTIALS, AWS_ENDPOINT_URL_S3: `http://${address}`, AWS_REGION: 'us-east-1' }
    const args = [
      ...['--access', env.AWS_ACCESS_KEY_ID, '--secret', env.AWS_SECRET_ACCESS_KEY, '--region', env.AWS_REGION],
      ...['--port', address, 'posix', '--sidecar', join(folder, 'sidecar'), join(folder, 'data')],
    ]
    const service = new S3Service(folder, spawn(tool('versitygw'), args, { stdio: 'ignore' }), env)
    await answers(env.AWS_ENDPOINT_URL_S3, service.child)
    return service
  }

  /** What Litestream calls a place in the bucket. */
  litestreamUrl(path: string): string {
    const { AWS_ENDPOINT_URL_S3: endpoint, AWS_REGION: region } = this.env
    return `s3://bucket/${path}?endpoint=${encodeURIComponent(endpoint)}&region=${region}&forcePathStyle=true`
  }

  /** Where the objects below a key lie as files. */
  files(key: string): string {
    return join(this.folder, 'data', 'bucket', key)
  }

  async stop(): Promise<void> {
    this.child.kill()
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, 'close')
    rmSync(this.folder, { recursive: true, force: true })
  }
}
