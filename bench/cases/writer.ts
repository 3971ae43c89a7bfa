import { join } from 'node:path'
import { type Case, type Row, round } from '../harness/case.js'
import { medians, runWriter } from '../harness/run.js'
import { write } from '../harness/scene.js'
import { shippers } from '../harness/shippers.js'
import { prepare } from '../harness/writer.js'

export default {
  title: 'the application beside the shipper',
  about:
    'Commits per second and latency (ms) of a writer, alone and watched, in turn. Full speed, and paced at half of the unwatched full speed.',
  goal: 'share of the unwatched speed 0.9 at full speed, 0.98 paced; worst commit at most 50 ms above the unwatched worst',
  async run(bench) {
    const seconds = bench.quick ? 4 : 15
    const alone = async (rate: number) => {
      const path = join(bench.folder(), 'app.db')
      prepare(path, 50e6)
      return await write({ path, rate, seconds })
    }
    const rows: Row[] = []
    const full = await alone(0)
    const half = Math.floor(full.commits / full.seconds / 2)
    for (const [what, rate] of [
      ['full speed', 0],
      [`paced at ${half}/s`, half],
    ] as const) {
      for (const shipper of shippers(bench.peers)) {
        const figures = await medians(bench.runs, async () => {
          const before = await alone(rate)
          const { report } = await runWriter(bench, shipper, { rate, seconds })
          const after = await alone(rate)
          const speed = (r: { commits: number; seconds: number }) => r.commits / r.seconds
          const unwatched = (speed(before) + speed(after)) / 2
          const figures = {
            'alone /s': round(unwatched, 0),
            'watched /s': round(speed(report), 0),
            share: round(speed(report) / unwatched, 3),
            'p99 alone': round((before.p99 + after.p99) / 2, 2),
            'p99 watched': round(report.p99, 2),
            'worst alone': round(Math.max(before.worst, after.worst)),
            'worst watched': round(report.worst),
          }
          bench.say(`${shipper.name} ${what}: ${JSON.stringify(figures)}`)
          return figures
        })
        rows.push({ what, who: shipper.name, figures })
      }
    }
    return rows
  },
} satisfies Case
