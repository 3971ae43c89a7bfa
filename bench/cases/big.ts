import { rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type Case, type Row, round } from '../harness/case.js'
import { kinds, medians, target } from '../harness/run.js'
import { firstFile, prove } from '../harness/scene.js'
import { shippers } from '../harness/shippers.js'
import { prepare } from '../harness/writer.js'

export default {
  title: 'snapshot and restore of 1 GB',
  about:
    'A database of ordinary rows: from start until its first snapshot lies in storage, and back. Seconds, and peak memory (MiB). The restore of walrust compares the database checksum in both; with and without integrity_check.',
  goal: 'snapshot and restore at least twice as fast as the peer; peaks 100 and 150 MiB at most',
  async run(bench) {
    const bytes = bench.quick ? 200e6 : 1e9
    const rows: Row[] = []
    for (const kind of kinds(bench)) {
      for (const shipper of shippers(bench.peers)) {
        const figures = await medians(bench.runs, async () => {
          const folder = bench.folder()
          const path = join(folder, 'app.db')
          const { place, files, stop } = await target(kind, folder)
          try {
            prepare(path, bytes)
            const start = performance.now()
            const shipping = shipper.start([path], place)
            await firstFile(files, shipping, 1, 300_000)
            const seconds = (performance.now() - start) / 1000
            const { peakMiB } = shipping.usage
            await shipping.stop()
            const out = join(folder, 'restored.db')
            const restore = async (args: readonly string[]) => {
              rmSync(out, { force: true })
              return await shipper.restore(path, 'app', place, out, args)
            }
            const plain = await restore(shipper.name === 'walrust' ? ['--integrity-check', 'none'] : [])
            const checked = shipper.name === 'walrust' ? await restore([]) : undefined
            const { size } = statSync(path)
            rmSync(out)
            await prove(shipper, path, 'app', place)
            const figures = {
              'snapshot s': round(seconds, 2),
              'snapshot MB/s': round(size / 1e6 / seconds, 0),
              'snapshot MiB': round(peakMiB),
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
        rows.push({ what: `${kind}, ${bytes / 1e6} MB`, who: shipper.name, figures })
      }
    }
    return rows
  },
} satisfies Case
