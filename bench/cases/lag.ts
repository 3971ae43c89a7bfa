import { type Case, percentile, type Row, round } from '../harness/case.js'
import { kinds, medians, runWriter } from '../harness/run.js'
import { shippers } from '../harness/shippers.js'

/** What is committed, and the sync interval in milliseconds (the tool's default if not given). */
const WORKLOADS = [
  { what: 'a commit every 2.5 s, defaults', rate: 0, pace: 2500, seconds: 50 },
  { what: '20 commits/s, defaults', rate: 20, seconds: 30 },
  { what: '1,000 commits/s, defaults', rate: 1000, seconds: 30 },
  { what: '20 commits/s, 10 ms', rate: 20, seconds: 20, interval: 10 },
  { what: '1,000 commits/s, 10 ms', rate: 1000, seconds: 20, interval: 10 },
]

export default {
  title: 'lag from commit to object in storage',
  about:
    'Time from the end of a commit until the first file that holds it lies in storage, over all commits (ms); files sent per minute; processor time.',
  goal: 'every 2.5 s: a tenth of the peer or less; 20/s and 1,000/s: not above, with no more files; at 10 ms: below, with less CPU',
  async run(bench) {
    const rows: Row[] = []
    for (const kind of kinds(bench).slice(-1)) {
      for (const { what, interval, ...workload } of WORKLOADS) {
        for (const shipper of shippers(bench.peers)) {
          const figures = await medians(bench.runs, async () => {
            const seconds = bench.quick ? workload.seconds / 4 : workload.seconds
            const ship = interval === undefined ? {} : { interval }
            const { lags, files, usage, report } = await runWriter(bench, shipper, { ...workload, seconds, kind, ship })
            const figures = {
              'p50 ms': round(percentile(lags, 0.5)),
              'p99 ms': round(percentile(lags, 0.99)),
              'files/min': round((files / report.seconds) * 60),
              'CPU %': round((usage.cpu / report.seconds) * 100),
              'seen %': round((lags.length / report.commits) * 100),
            }
            bench.say(`${shipper.name} ${what}: ${JSON.stringify(figures)}`)
            return figures
          })
          rows.push({ what: `${kind}, ${what}`, who: shipper.name, figures })
        }
      }
    }
    return rows
  },
} satisfies Case
