import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Place } from './shippers.js'
import { freePort } from '../../test/helpers/loopback.js'

const TOOLS = fileURLToPath(new URL('../../../.tmp/tools/bin', import.meta.url))
const KEYS = { access: 'walrust-bench', secret: 'walrust-bench-secret' }

/** A versitygw on loopback, over a folder: the same server for everybody, whose objects can be watched as files. */
export class S3Server {
  readonly bucket = 'bench'

  private constructor(
    readonly folder: string,
    readonly endpoint: string,
    private child: ChildProcess,
  ) {}

  static get available(): boolean {
    return existsSync(program())
  }

  static async start(folder: string): Promise<S3Server> {
    if (!S3Server.available) throw new Error('there is no S3 server: run scripts/interop-tools.sh')
    mkdirSync(join(folder, 'bench'), { recursive: true })
    const port = await freePort()
    const server = new S3Server(folder, `http://127.0.0.1:${port}`, launch(folder, port))
    await server.#answers()
    return server
  }

  /** The same server again, after it was stopped: with the same address and all that was stored. */
  async restart(): Promise<void> {
    this.child = launch(this.folder, Number(new URL(this.endpoint).port))
    await this.#answers()
  }

  async #answers(): Promise<void> {
    for (let i = 0; ; i++) {
      const answer = await fetch(this.endpoint).catch(() => undefined)
      if (answer) return
      if (i > 200 || this.child.exitCode !== null) throw new Error('versitygw did not start')
      await sleep(50)
    }
  }

  /** A prefix in the bucket. */
  place(path: string): Place {
    const env = {
      AWS_ACCESS_KEY_ID: KEYS.access,
      AWS_SECRET_ACCESS_KEY: KEYS.secret,
      AWS_REGION: 'us-east-1',
      AWS_ENDPOINT_URL_S3: this.endpoint,
    }
    return { kind: 's3', path, server: { endpoint: this.endpoint, bucket: this.bucket, env } }
  }

  /** Where the objects below a prefix lie as files. */
  files(path: string): string {
    const folder = join(this.folder, this.bucket, path)
    mkdirSync(folder, { recursive: true })
    return folder
  }

  async stop(): Promise<void> {
    const { child } = this
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  }
}

function launch(folder: string, port: number): ChildProcess {
  // As services do: by default this one ends each connection after one request.
  const args = [
    '--access',
    KEYS.access,
    '--secret',
    KEYS.secret,
    '--port',
    `127.0.0.1:${port}`,
    '--quiet',
    '--keep-alive',
  ]
  return spawn(program(), [...args, 'posix', folder], { stdio: 'ignore' })
}

function program(): string {
  return process.env.WALRUST_VERSITYGW ?? join(TOOLS, 'versitygw')
}
