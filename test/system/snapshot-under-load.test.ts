import assert from 'node:assert/strict'
import { createDatabase, useFolder } from '../helpers/databases.js'
import { HelperProcess, walrust, WalrustProcess } from '../helpers/processes.js'
import { remoteIn, restoreFrom, verifyFolder } from '../helpers/storage.js'
import type { WriterOptions, WriterReport } from '../helpers/writer.js'

describe('a snapshot of a database that does not hold still', function () {
  this.timeout(120_000)
  const folder = useFolder()
  const running: Array<{ kill: () => Promise<unknown> }> = []
  afterEach(async () => {
    for (const one of running.splice(0)) await one.kill()
  })

  it('goes on from what storage holds before the WAL grows too long, and is that transaction', async () => {
    const path = folder.file('app.db')
    const backups = folder.file('backups')
    createDatabase(path, { bytes: 30_000_000 })
    const limits = ['--wal-truncate-threshold', '150', '--min-checkpoint-pages', '50']
    const watch = new WalrustProcess(['watch', path, '-b', `file://${backups}`, '--sync-interval', '100ms', ...limits])
    running.push(watch)
    await watch.line('shipped')
    const options: WriterOptions = { path, rate: 1000, seconds: 0, bytes: 2000, announce: false }
    const writer = new HelperProcess<WriterReport>('writer', options)
    running.push(writer)
    await watch.line(({ message, txid }) => message === 'shipped' && Number(txid) > 3)
    const run = await walrust(['--json', 'snapshot', path], { cwd: folder.path })
    assert.equal(run.code, 0, run.text)
    const { txid } = JSON.parse(run.stdout) as { txid: number }
    const given = await watch.line('the snapshot goes on from what storage holds')
    assert.equal(given.txid, txid)
    await writer.kill()
    assert.equal(await watch.kill('SIGTERM'), 0, watch.tail())
    const [own] = (await (await remoteIn(backups, 'app')).inventory())
      .level(9)
      .filter(({ maxTxid }) => maxTxid === txid)
    assert.ok(own)
    const restored = await restoreFrom(backups, 'app', folder.file('restored.db'), txid)
    assert.deepEqual([restored.files, restored.txid], [1, txid])
    assert.deepEqual((await verifyFolder(backups, 'app')).findings, [])
  })
})
