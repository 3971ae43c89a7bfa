import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { type Case, type Row, round } from '../harness/case.js'
import { medians } from '../harness/run.js'
import { filePlace, firstFile, prove } from '../harness/scene.js'
import { shippers } from '../harness/shippers.js'
import { markOf, prepare } from '../harness/writer.js'

const COUNTS = [1, 10, 100, 500]

export default {
  title: 'many databases',
  about:
    'Databases of 1 MB in one process, local storage: time until all have their first file, idle CPU (% of a core over 30 s, two minutes later), peak and resident memory (MiB) idle and after each has had ten commits.',
  goal: 'idle CPU below 0.1 % for 100; memory from 100 up not above the peer; first sync 0.5 s for 1, 2 s for 100',
  async run(bench) {
    const rows: Row[] = []
    for (const count of bench.quick ? COUNTS.slice(0, 3) : COUNTS) {
      for (const shipper of shippers(bench.peers)) {
        const figures = await medians(bench.runs, async () => {
          const folder = bench.folder()
          const paths = Array.from({ length: count }, (_, i) => join(folder, `db${i}.db`))
          for (const path of paths) prepare(path, 1e6)
          const place = filePlace(folder, 'backups')
          const start = performance.now()
          const shipping = shipper.start(paths, place)
          await firstFile(place.path, shipping, count)
          const first = (performance.now() - start) / 1000
          // What was written within the last minute is looked at more often, because some disks take their time; what was
          // shipped is merged, and tables are saved, within the next.
          await sleep(bench.quick ? 6000 : 120_000)
          const idleStart = shipping.usage
          const span = bench.quick ? 5 : 30
          await sleep(span * 1000)
          const idleEnd = shipping.usage
          // A connection of another process would be truer; opening 500 of those costs more than what is measured.
          for (let n = 1; n <= 10; n++) {
            for (const path of paths) {
              const db = new Database(path)
              db.pragma('synchronous = NORMAL')
              db.exec(
                `BEGIN; INSERT INTO rows(body) VALUES (hex(randomblob(300))); UPDATE mark SET mark = '${markOf(n)}'; COMMIT`,
              )
              db.close()
            }
          }
          await sleep(4000)
          const active = shipping.usage
          await shipping.stop()
          for (const i of new Set([0, count >> 1, count - 1])) await prove(shipper, paths[i], `db${i}`, place)
          const figures = {
            'first s': round(first, 2),
            'idle CPU %': round(((idleEnd.cpu - idleStart.cpu) / span) * 100, 2),
            'idle MiB': round(idleEnd.residentMiB),
            'active peak MiB': round(active.peakMiB),
          }
          bench.say(`${shipper.name} ${count}: ${JSON.stringify(figures)}`)
          return figures
        })
        rows.push({ what: `${count} database${count === 1 ? '' : 's'}`, who: shipper.name, figures })
      }
    }
    return rows
  },
} satisfies Case
