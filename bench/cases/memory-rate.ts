import { type Case, type Row, round } from '../harness/case.js'
import { kinds, medians, runWriter } from '../harness/run.js'
import { shippers } from '../harness/shippers.js'

const RATES = [100, 1000, 6700]

export default {
  title: 'memory by write rate',
  about: 'Peak resident memory (MiB) of the shipper beside a writer on a 50 MB database, with its defaults.',
  goal: 'local storage 70 or less, flat within 5; S3 not above the peer in the same run',
  async run(bench) {
    const rows: Row[] = []
    for (const kind of kinds(bench)) {
      for (const shipper of shippers(bench.peers)) {
        for (const rate of RATES) {
          const figures = await medians(bench.runs, async () => {
            const { usage, report } = await runWriter(bench, shipper, { kind, rate, seconds: bench.quick ? 5 : 20 })
            const cpu = round((usage.cpu / report.seconds) * 100)
            bench.say(`${shipper.name} ${kind} ${rate}/s: ${usage.peakMiB.toFixed(1)} MiB, ${cpu} % CPU`)
            return { 'peak MiB': round(usage.peakMiB), 'CPU %': cpu, 'commits/s': round(report.commits / report.seconds, 0) } // prettier-ignore
          })
          rows.push({ what: `${kind}, ${rate} commits/s`, who: shipper.name, figures })
        }
      }
    }
    return rows
  },
} satisfies Case
