import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { type Case, type Row, round } from '../harness/case.js'
import { medians } from '../harness/run.js'
import { filePlace, firstFile, prove, storedFiles } from '../harness/scene.js'
import { walrust } from '../harness/shippers.js'
import { markOf, prepare } from '../harness/writer.js'

const SYNCS = 500

/** Merging is due by the clock, and how long the writer takes for its commits is not what is measured. */
const WITHOUT_MERGING = { WALRUST_COMPACTION_LEVELS: '["24h"]' }

export default {
  title: 'the price of a sync by the size of the database',
  about: `${SYNCS} syncs of ten changed pages each: processor time (s) and bytes read and written (MB) by the shipper.`,
  goal: 'ratio of the large database to the small one at most 1.2',
  async run(bench) {
    const rows: Row[] = []
    const sizes = bench.quick ? [50e6, 500e6] : [50e6, 5e9]
    for (const size of sizes) {
      const figures = await medians(bench.quick ? 1 : bench.runs, async () => {
        const folder = bench.folder()
        const path = join(folder, 'app.db')
        const place = filePlace(folder, 'backups')
        prepare(path, size)
        // What was just written is still on its way to the disk, and each fsync would wait for it.
        execFileSync('sync')
        const shipping = walrust.start([path], place, { interval: 10, env: WITHOUT_MERGING })
        await firstFile(place.path, shipping, 1, 300_000)
        await sleep(3000)
        const db = new Database(path)
        db.pragma('synchronous = NORMAL')
        const most = db.prepare('SELECT max(id) FROM rows').pluck().get() as number
        const update = db.prepare('UPDATE rows SET body = hex(randomblob(400)) WHERE id = ?')
        const mark = db.prepare('UPDATE mark SET mark = ? WHERE id = 1')
        const before = shipping.usage
        const sync = db.transaction((n: number) => {
          for (let i = 0; i < 9; i++) update.run(1 + Math.floor(Math.random() * most))
          mark.run(markOf(n))
        })
        const files = storedFiles(place.path).length
        for (let n = 1; n <= SYNCS; n++) {
          sync(n)
          while (storedFiles(place.path).length < files + n) await sleep(2)
        }
        const after = shipping.usage
        db.close()
        await shipping.stop()
        await prove(walrust, path, 'app', place)
        return {
          'CPU s': round(after.cpu - before.cpu, 2),
          'read MB': round((after.read - before.read) / 1e6),
          'written MB': round((after.written - before.written) / 1e6),
          'peak MiB': round(after.peakMiB),
        }
      })
      rows.push({ what: `${size / 1e6} MB`, who: walrust.name, figures })
      bench.say(`${size / 1e6} MB: ${JSON.stringify(figures)}`)
    }
    const [small, large] = rows.map(({ figures }) => figures as Record<string, number>)
    const ratios = Object.fromEntries(Object.keys(small).map((name) => [name, round(large[name] / small[name], 2)]))
    return [...rows, { what: 'ratio', who: walrust.name, figures: ratios }]
  },
} satisfies Case
