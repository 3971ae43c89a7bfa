import { join } from 'node:path'
import { rmSync } from 'node:fs'
import { type Case, type Row, round } from '../harness/case.js'
import { makeMonth } from '../harness/month.js'
import { medians } from '../harness/run.js'
import { filePlace, prove } from '../harness/scene.js'
import { shippers, walrust } from '../harness/shippers.js'

export default {
  title: 'restore of a compacted month',
  about:
    'A database of 50 MB, a month of commits, one snapshot at its beginning, merged and thinned out with the defaults; all tools restore the same files. Seconds and peak memory (MiB), of the newest state and of the moment ten days ago. walrust compares the database checksum in both; with and without integrity_check.',
  goal: 'at least twice as fast as the peer; peak not above',
  async run(bench) {
    const folder = bench.folder()
    const path = join(folder, 'app.db')
    const place = filePlace(folder, 'backups')
    const { commits, files, middle } = await makeMonth(path, place.path, bench.quick ? 10e6 : 50e6, bench.quick ? 8 : 1)
    bench.say(`${commits} commits, ${files} files left`)
    const rows: Row[] = []
    for (const shipper of shippers(bench.peers)) {
      const figures = await medians(bench.runs, async () => {
        const out = join(folder, 'restored.db')
        const restore = async (args: readonly string[]) => {
          rmSync(out, { force: true })
          const { seconds, peakMiB } = await shipper.restore(path, 'app', place, out, args)
          rmSync(out)
          return { seconds, peakMiB }
        }
        const ours = shipper === walrust
        const none = ours ? ['--integrity-check', 'none'] : []
        const newest = await restore(none)
        const checked = ours ? await restore([]) : undefined
        const moment = new Date(middle).toISOString()
        const earlier = await restore(ours ? [...none, '--timestamp', moment] : ['-timestamp', moment])
        await prove(shipper, path, 'app', place)
        return {
          'newest s': round(newest.seconds, 2),
          'newest MiB': round(newest.peakMiB),
          ...(checked ? { 'checked s': round(checked.seconds, 2) } : {}),
          'ten days ago s': round(earlier.seconds, 2),
          'ten days ago MiB': round(earlier.peakMiB),
        }
      })
      rows.push({ what: `${commits} commits, ${files} files`, who: shipper.name, figures })
      bench.say(`${shipper.name}: ${JSON.stringify(figures)}`)
    }
    return rows
  },
} satisfies Case
