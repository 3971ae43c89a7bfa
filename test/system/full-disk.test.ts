import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { checksum, contents, createDatabase, integrity, useFolder } from '../helpers/databases.js'
import { WalrustProcess } from '../helpers/processes.js'
import { restoreFrom, verifyFolder } from '../helpers/storage.js'

/** A small file system of our own can be mounted: by root, or by anybody where user namespaces are allowed. */
const canMount = spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0

/** Mounts a small disk at $1, makes it large when the file $2 appears, and runs what follows. */
const SMALL_DISK = `
  disk=$1 flag=$2; shift 2
  mount -t tmpfs -o size=3m tmpfs "$disk" || exit 99
  (while kill -0 $$ && [ ! -e "$flag" ]; do sleep 0.1; done; mount -o remount,size=400m "$disk") >/dev/null 2>&1 &
  exec "$@"
`

if (canMount) {
  describe('a full disk under the state of walrust', function () {
    this.timeout(120_000)
    const folder = useFolder()
    const path = () => folder.file('app.db')
    const backups = () => folder.file('backups')
    let shipper: WalrustProcess

    beforeEach(async () => {
      mkdirSync(folder.file('disk'))
      createDatabase(path(), { bytes: 100_000 })
      const through = ['unshare', '-rm', 'sh', '-c', SMALL_DISK, 'sh', folder.file('disk'), folder.file('more-room')]
      const args = ['watch', path(), '-b', `file://${backups()}`, '--state-dir', folder.file('disk/state')]
      shipper = new WalrustProcess([...args, '--sync-interval', '100ms', '--min-checkpoint-pages', '200'], { through })
      await shipper.line('shipped')
    })
    afterEach(async () => {
      await shipper.kill('SIGKILL')
    })

    it('is told of, holds nobody up, loses nothing, and is got over when there is room', async () => {
      const app = new Database(path(), { timeout: 2000 })
      const before = contents(path())
      const { txid } = shipper.shipped.at(-1) ?? { txid: 0 }
      // More than fits, in one commit and then in many.
      app.exec('INSERT INTO rows(body) VALUES (randomblob(20000000))')
      await shipper.line(({ error, reason }) => /no space|no room/.test(`${String(error)} ${String(reason)}`))
      const insert = app.prepare('INSERT INTO rows(body) VALUES (randomblob(5000))')
      // With a short busy timeout: a lock of ours that lasted would be an error here.
      for (let i = 0; i < 300; i++) {
        insert.run()
        if (i % 30 === 0) await sleep(20)
      }
      writeFileSync(folder.file('more-room'), '')
      insert.run()
      const end = Date.now() + 60_000
      for (;;) {
        const result = await restoreFrom(backups(), 'app', folder.file('restored.db'))
        if (result.txid > txid && contents(folder.file('restored.db')).rows.length === 402) break
        assert.ok(Date.now() < end, shipper.tail())
        await sleep(200)
      }
      app.close()
      assert.equal(await shipper.kill('SIGTERM'), 0, shipper.tail())
      await restoreFrom(backups(), 'app', folder.file('restored.db'))
      assert.equal(integrity(folder.file('restored.db')), 'ok')
      assert.equal(checksum(folder.file('restored.db')), checksum(path()))
      assert.deepEqual((await verifyFolder(backups(), 'app')).findings, [])
      await restoreFrom(backups(), 'app', folder.file('earlier.db'), txid)
      assert.deepEqual(contents(folder.file('earlier.db')), before)
    })
  })
}
