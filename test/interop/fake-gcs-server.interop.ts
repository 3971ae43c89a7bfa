import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { GcsStore } from '../../plugins/storage-gcs/gcs-store.js'
import { placeOf } from '../../plugins/storage-gcs/place.js'
import { storeCases } from '../../testing/index.js'
import { checksum, createDatabase } from '../helpers/databases.js'
import { runCases } from '../helpers/conformance.js'
import { HelperProcess, walrust, WalrustProcess } from '../helpers/processes.js'
import type { WriterReport } from '../helpers/writer.js'
import { freePort } from '../helpers/loopback.js'
import { answers } from './servers.js'
import { tool } from './tools.js'

describe('Google Cloud Storage served by fake-gcs-server', () => {
  let folder: string
  let server: ChildProcess
  let env: Record<string, string>

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'walrust-fake-gcs-'))
    const port = String(await freePort())
    const url = `http://127.0.0.1:${port}`
    env = { STORAGE_EMULATOR_HOST: url }
    const args = ['-scheme', 'http', '-host', '127.0.0.1', '-port', port, '-external-url', url, '-backend', 'memory']
    server = spawn(tool('fake-gcs-server'), [...args, '-public-host', `127.0.0.1:${port}`], { stdio: 'ignore' })
    await answers(`${url}/storage/v1/b`, server)
    const made = await fetch(`${url}/storage/v1/b?project=test`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'bucket' }),
    })
    assert.ok(made.ok, await made.text())
  })
  after(async () => {
    server.kill()
    await once(server, 'close')
    rmSync(folder, { recursive: true, force: true })
  })

  runCases(
    storeCases({ open: () => new GcsStore(placeOf({ scheme: 'gs', url: 'gs://bucket/suite', options: {} }, env)) }),
  )

  it('holds a backup that comes back', async () => {
    const file = join(folder, 'app.db')
    createDatabase(file, { bytes: 12_000_000 })
    const args = ['watch', file, '-b', 'gs://bucket/backups', '--no-metrics', '--sync-interval', '100ms']
    const watching = new WalrustProcess(args, { env })
    await watching.line('shipped')
    await new HelperProcess<WriterReport>('writer', { path: file, rate: 100, seconds: 3 }).report()
    assert.equal(await watching.kill('SIGTERM'), 0, watching.tail())
    const restored = await walrust(['restore', 'app', '-o', join(folder, 'restored.db'), '-b', 'gs://bucket/backups'], {
      env,
    })
    assert.equal(restored.code, 0, restored.text)
    assert.equal(checksum(join(folder, 'restored.db')), checksum(file))
    const verified = await walrust(['verify', 'app', '-b', 'gs://bucket/backups'], { env })
    assert.equal(verified.code, 0, verified.text)
  })
})
