import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync, readSync, statSync, writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { checksum, createDatabase, useFolder } from '../helpers/databases.js'
import { HelperProcess, walrust, WalrustProcess } from '../helpers/processes.js'
import { restoreFrom, verifyFolder } from '../helpers/storage.js'
import type { WriterOptions } from '../helpers/writer.js'

/** Times that the application is killed, for each setting of `synchronous`. */
const KILLS = Number(process.env.WALRUST_PHANTOM_KILLS ?? 100)

/** The last valid commit frame in a WAL file by salts alone: what a reader would take that does not ask for mxFrame. */
function framesInFile(wal: string): number {
  const fd = openSync(wal, 'r')
  try {
    const header = Buffer.alloc(32)
    if (readSync(fd, header, 0, 32, 0) < 32) return 0
    const size = 24 + header.readUInt32BE(8)
    const frame = Buffer.alloc(24)
    let last = 0
    for (let i = 1; 32 + i * size <= statSync(wal).size; i++) {
      readSync(fd, frame, 0, 24, 32 + (i - 1) * size)
      if (!frame.subarray(8, 16).equals(header.subarray(16, 24))) break
      if (frame.readUInt32BE(4) !== 0) last = i
    }
    return last
  } finally {
    closeSync(fd)
  }
}

/**
 * Puts a whole commit behind the end of the WAL, right in every salt and checksum, that its index does not know of: what
 * a writer leaves that is killed between writing its frames and saying so. It is made in a copy of the database.
 */
function plantPhantom(path: string, copy: string): void {
  // What nobody may write, nobody begins anew either: the frames stay where they are.
  const holder = new Database(path)
  const other = new Database(path)
  const state = other.prepare('PRAGMA wal_checkpoint(NOOP)').raw()
  const end = () => (state.get() as number[])[1]
  holder.exec('BEGIN IMMEDIATE')
  while (end() === 0) holder.exec("ROLLBACK; INSERT INTO rows(body) VALUES ('before it'); BEGIN IMMEDIATE")
  // Not by this process: when it closes a file, all its locks on that are gone.
  for (const suffix of ['', '-wal']) assert.equal(spawnSync('cp', [path + suffix, copy + suffix]).status, 0)
  const writer = new Database(copy)
  writer.pragma('wal_autocheckpoint = 0')
  writer.exec("INSERT INTO rows(body) VALUES ('a phantom')")
  const frames = readFileSync(`${copy}-wal`)
  writer.close()
  const from = 32 + end() * (24 + frames.readUInt32BE(8))
  const wal = openSync(`${path}-wal`, 'r+')
  writeSync(wal, frames, from, frames.length - from, from)
  closeSync(wal)
  assert.ok(framesInFile(`${path}-wal`) > end())
  other.close()
  holder.close()
}

for (const synchronous of ['full', 'normal'] as const) {
  describe(`an application that is killed in the middle of commits, synchronous=${synchronous}`, function () {
    this.timeout(KILLS * 1000 + 30_000)
    const folder = useFolder()

    it('has no commit shipped that never happened, and none missed afterwards', async () => {
      const path = folder.file('app.db')
      const backups = folder.file('backups')
      createDatabase(path)
      const shipper = new WalrustProcess(['watch', path, '-b', `file://${backups}`, '--sync-interval', '50ms'])
      await shipper.line('shipped')
      const reader = new Database(path)
      reader.pragma('wal_autocheckpoint = 0')
      const assertShipped = async (when: string) => {
        // Looks through the WAL as it is now.
        const { code, text } = await walrust(['sync', path])
        assert.equal(code, 0, text)
        const { txid } = await restoreFrom(backups, 'app', folder.file('restored.db'))
        const restored = new Database(folder.file('restored.db'))
        for (const query of ['SELECT * FROM rows ORDER BY 1', 'SELECT count(*), max(n) FROM commits']) {
          const [is, was] = [restored, reader].map((db) => db.prepare(query).raw().all())
          assert.deepEqual(is, was, `${when}, transaction ${txid}`)
        }
        restored.close()
      }
      for (let kill = 1; kill <= KILLS; kill++) {
        const options = { path, rate: 0, seconds: 0, synchronous, bytes: 900, updateEvery: 1000, announce: true }
        const writer = new HelperProcess('writer', options satisfies WriterOptions)
        await once(writer.child.stdout ?? assert.fail(), 'data')
        await sleep(Math.random() * 60)
        await writer.kill()
        // Of those kills few leave a phantom: that nobody may miss one does not depend on chance.
        if (kill % 25 === 0) plantPhantom(path, folder.file('copy.db'))
        if (kill % 25 === 0) await assertShipped(`after kill ${kill}`)
        // Somebody else goes on, over whatever lies behind the end.
        reader.exec("INSERT INTO rows(body) VALUES (randomblob(5000)), ('after the kill')")
        if (kill % 25 === 0) await assertShipped(`after what came after kill ${kill}`)
      }
      reader.close()
      assert.equal(await shipper.kill('SIGTERM'), 0, shipper.tail())
      await restoreFrom(backups, 'app', folder.file('restored.db'))
      assert.equal(checksum(folder.file('restored.db')), checksum(path))
      assert.deepEqual((await verifyFolder(backups, 'app')).findings, [])
    })
  })
}
