import Database from 'better-sqlite3'
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { placeOf } from '../../plugins/storage-s3/place.js'
import { S3Store } from '../../plugins/storage-s3/s3-store.js'
import { storeCases } from '../../testing/index.js'
import { checksum, createDatabase } from '../helpers/databases.js'
import { runCases } from '../helpers/conformance.js'
import { HelperProcess, walrust, WalrustProcess } from '../helpers/processes.js'
import type { WriterReport } from '../helpers/writer.js'
import { run, tool } from './tools.js'

const CREDENTIALS = { AWS_ACCESS_KEY_ID: 'AKIATEST', AWS_SECRET_ACCESS_KEY: 'a-secret-of-the-test' }

describe('S3 served by versitygw', () => {
  let folder: string
  let server: ChildProcess
  let env: Record<string, string>

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'walrust-versitygw-'))
    mkdirSync(join(folder, 'data', 'bucket'), { recursive: true })
    mkdirSync(join(folder, 'sidecar'))
    const port = await freePort()
    env = { ...CREDENTIALS, AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${port}`, AWS_REGION: 'us-east-1' }
    const common = ['--access', env.AWS_ACCESS_KEY_ID, '--secret', env.AWS_SECRET_ACCESS_KEY, '--region', 'us-east-1']
    const args = [
      ...common,
      '--port',
      `127.0.0.1:${port}`,
      'posix',
      '--sidecar',
      join(folder, 'sidecar'),
      join(folder, 'data'),
    ]
    server = spawn(tool('versitygw'), args, { stdio: 'ignore' })
    await answers(`${env.AWS_ENDPOINT_URL_S3}/`, server)
  })
  after(async () => {
    server.kill()
    await once(server, 'close')
    rmSync(folder, { recursive: true, force: true })
  })

  runCases(
    storeCases({ open: () => new S3Store(placeOf({ scheme: 's3', url: 's3://bucket/suite', options: {} }, env)) }),
  )

  before(() => Object.assign(process.env, CREDENTIALS))

  it('holds a backup that both walrust and Litestream bring back', async () => {
    const file = join(folder, 'app.db')
    createDatabase(file, { bytes: 8_000_000 })
    const watching = new WalrustProcess(['watch', file, '-b', 's3://bucket/backups', '--sync-interval', '100ms'], {
      env,
    })
    await watching.line('shipped')
    await new HelperProcess<WriterReport>('writer', { path: file, rate: 100, seconds: 3 }).report()
    assert.equal(await watching.kill('SIGTERM'), 0, watching.tail())
    const expected = checksum(file)
    const ours = join(folder, 'ours.db')
    const restored = await walrust(['restore', 'app', '-o', ours, '-b', 's3://bucket/backups'], { env })
    assert.equal(restored.code, 0, restored.text)
    assert.equal(checksum(ours), expected)
    const theirs = join(folder, 'theirs.db')
    const url = `s3://bucket/backups/app?endpoint=${encodeURIComponent(env.AWS_ENDPOINT_URL_S3)}&region=us-east-1&forcePathStyle=true`
    process.env.AWS_REGION = env.AWS_REGION
    // Litestream cannot start where this is set, whatever is in it.
    delete process.env.AWS_CA_BUNDLE
    run('litestream', 'restore', '-o', theirs, url)
    assert.equal(checksum(theirs), expected)
    const db = new Database(theirs, { readonly: true })
    assert.equal(db.pragma('integrity_check', { simple: true }), 'ok')
    db.close()
  })
})

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const address = probe.address()
  probe.close()
  await once(probe, 'close')
  return address !== null && typeof address === 'object' ? address.port : 0
}

/** Resolves when somebody answers at a URL, whatever it is. */
async function answers(url: string, server: ChildProcess): Promise<void> {
  for (;;) {
    if (server.exitCode !== null) throw new Error(`the server ended with ${server.exitCode}`)
    try {
      await fetch(url)
      return
    } catch {
      await sleep(50)
    }
  }
}
