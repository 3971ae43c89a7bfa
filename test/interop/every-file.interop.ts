/** A backup that walrust has made by itself, with every kind of file in it, in the hands of the reference LTX tool. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { checksum, createDatabase, integrity, sql, useFolder } from '../helpers/databases.js'
import { walrust, WalrustProcess } from '../helpers/processes.js'
import { run } from './tools.js'

for (const checksums of ['portable', 'tracked'] as const) {
  describe(`every file of a backup of ours and the reference LTX tool, ${checksums}`, function () {
    this.timeout(120_000)
    const folder = useFolder()
    const url = () => `file://${folder.file('backups')}`
    const env = { WALRUST_LTX_CHECKSUMS: checksums, WALRUST_COMPACTION_LEVELS: '["1s", "3s", "6s"]' }

    /** Files of a level, in their order. */
    function files(level: number): string[] {
      const place = folder.file(`backups/app/ltx/${level}`)
      return existsSync(place)
        ? readdirSync(place)
            .sort()
            .map((name) => join(place, name))
        : []
    }

    it('verifies all of them, and applies every way to the newest state', async () => {
      const db = folder.file('app.db')
      createDatabase(db, { bytes: 60_000 })
      const watching = new WalrustProcess(['watch', db, '-b', url(), '--sync-interval', '20ms', '--no-metrics'], {
        env,
      })
      await watching.line('shipped')
      const steps = ['INSERT INTO rows(body) VALUES (randomblob(9000))', 'DELETE FROM rows WHERE id % 3 = 0', 'VACUUM']
      for (let i = 0; files(3).length === 0; i++) {
        sql(db, steps[i % steps.length])
        await sleep(100)
      }
      assert.equal((await walrust(['snapshot', db, '-b', url()])).code, 0)
      assert.equal(await watching.kill('SIGTERM'), 0, watching.tail())
      const every = [0, 1, 2, 3, 9].map(files)
      for (const level of every) assert.ok(level.length > 0)
      assert.equal(run('ltx', 'verify', ...every.flat()), 'ok')
      const expected = checksum(db)
      const [base, latest] = [files(9)[0], files(9).at(-1) ?? '']
      const target = folder.file('applied.db')
      for (const chain of [
        [base, ...above(1, 0)],
        [base, ...above(1, 1, 0)],
        [base, ...above(1, 3, 2, 1, 0)],
        [latest],
      ]) {
        rmSync(target, { force: true })
        run('ltx', 'apply', '-db', target, ...chain)
        assert.equal(checksum(target), expected, chain.join('\n'))
        assert.equal(integrity(target), 'ok')
      }
    })

    /** What follows a transaction, taken from these levels, the first one as far as it goes. */
    function above(txid: number, ...levels: number[]): string[] {
      const chain: string[] = []
      for (const level of levels) {
        for (const file of files(level)) {
          const [min, max] = (/([0-9a-f]{16})-([0-9a-f]{16})\.ltx$/.exec(file) ?? [])
            .slice(1)
            .map((hex) => parseInt(hex, 16))
          if (min !== txid + 1) continue
          chain.push(file)
          txid = max
        }
      }
      return chain
    }
  })
}
