import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Case, type Row, round } from '../harness/case.js'
import { kinds, medians, target } from '../harness/run.js'
import { firstFile, prove, storedFiles, write } from '../harness/scene.js'
import { shippers } from '../harness/shippers.js'
import { prepare } from '../harness/writer.js'

/** Milliseconds between two files. */
const INTERVAL = 10

/** Milliseconds: what the lowest level of both tools holds in one file, by the clock, and how far into such a span writing ends. */
const SPAN = 30_000
const INTO = 15_000
/** What is written last is given so long to be stored. */
const SETTLE = 2500

export default {
  title: 'restore after a minute of small files',
  about:
    'A database of 50 MB, followed for 60 s at an interval of 10 ms beside 100 commits/s, with the default compaction, ended half way through a span of 30 s, and then brought back: seconds and peak memory (MiB). The restore of walrust compares the database checksum in both; with and without integrity_check.',
  goal: 'at least twice as fast as the peer; peak 150 MiB at most',
  async run(bench) {
    const seconds = bench.quick ? 15 : 60
    const rows: Row[] = []
    for (const kind of kinds(bench)) {
      for (const shipper of shippers(bench.peers)) {
        const figures = await medians(bench.runs, async () => {
          const folder = bench.folder()
          const path = join(folder, 'app.db')
          const { place, files, stop } = await target(kind, folder)
          try {
            prepare(path, 50e6)
            const shipping = shipper.start([path], place, { interval: INTERVAL })
            await firstFile(files, shipping)
            // How many small files are left depends on when it ends: the same for both.
            await sleep(before(seconds * 1000 + SETTLE))
            await write({ path, rate: 1000 / INTERVAL, seconds, bytes: 200, times: join(folder, 'times') })
            await sleep(SETTLE)
            await shipping.stop()
            const stored = storedFiles(files).length
            const out = join(folder, 'restored.db')
            const restore = async (args: readonly string[]) => {
              rmSync(out, { force: true })
              return await shipper.restore(path, 'app', place, out, args)
            }
            const ours = shipper.name === 'walrust'
            const plain = await restore(ours ? ['--integrity-check', 'none'] : [])
            const checked = ours ? await restore([]) : undefined
            rmSync(out)
            await prove(shipper, path, 'app', place)
            const figures = {
              files: stored,
              'restore s': round(plain.seconds, 2),
              'restore MiB': round(plain.peakMiB),
              ...(checked ? { 'checked s': round(checked.seconds, 2) } : {}),
            }
            bench.say(`${shipper.name} ${kind}: ${JSON.stringify(figures)}`)
            return figures
          } finally {
            await stop()
          }
        })
        rows.push({ what: `${kind}, ${seconds} s at ${INTERVAL} ms`, who: shipper.name, figures })
      }
    }
    return rows
  },
} satisfies Case

/** Milliseconds to wait so that what takes so long ends at the same moment of a span. */
function before(duration: number): number {
  return (((INTO - duration - Date.now()) % SPAN) + SPAN) % SPAN
}
