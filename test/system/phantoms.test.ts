import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { closeSync, openSync, readSync, statSync } from 'node:fs'
import { checksum, contents, createDatabase, useFolder } from '../helpers/databases.js'
import { HelperProcess, WalrustProcess } from '../helpers/processes.js'
import { restoreFrom, verifyFolder } from '../helpers/storage.js'

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
      const state = reader.prepare('PRAGMA wal_checkpoint(NOOP)').raw()
      let phantoms = 0
      for (let kill = 1; kill <= KILLS; kill++) {
        const writer = new HelperProcess('writer', {
          path,
          rate: 0,
          seconds: 0,
          synchronous,
          bytes: 900,
          updateEvery: 1000,
        })
        await sleep(60 + Math.random() * 60)
        await writer.kill()
        const [, log] = state.get() as number[]
        if (framesInFile(`${path}-wal`) > log) phantoms++
        // Somebody else goes on, over whatever lies behind the end.
        reader.exec("INSERT INTO rows(body) VALUES (randomblob(5000)), ('after the kill')")
        if (kill % 25 !== 0) continue
        await sleep(400)
        const result = await restoreFrom(backups, 'app', folder.file('restored.db'))
        assert.deepEqual(
          contents(folder.file('restored.db')).rows,
          reader.prepare('SELECT * FROM rows ORDER BY 1').raw().all(),
          `after kill ${kill}, transaction ${result.txid}`,
        )
      }
      reader.close()
      assert.equal(await shipper.kill('SIGTERM'), 0, shipper.tail())
      const restored = await restoreFrom(backups, 'app', folder.file('restored.db'))
      assert.equal(
        checksum(folder.file('restored.db')),
        checksum(path),
        `${phantoms} phantoms, transaction ${restored.txid}`,
      )
      assert.deepEqual((await verifyFolder(backups, 'app')).findings, [])
      // Otherwise this has tested nothing.
      if (synchronous === 'full') assert.ok(phantoms > 0, 'no kill hit the moment between the WAL and its index')
    })
  })
}
