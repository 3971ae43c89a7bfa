import { join } from 'node:path'
import { type Case, median, round } from '../harness/case.js'
import { filePlace, firstFile, prove, write } from '../harness/scene.js'
import { shippers } from '../harness/shippers.js'
import { prepare } from '../harness/writer.js'

const RATES = [100, 1000, 6700]

export default {
  title: 'memory by write rate',
  about: 'Peak resident memory of the shipper beside a writer on a 50 MB database, local storage, defaults.',
  goal: '70 MB or less at every rate, flat within 5 MB',
  async run({ runs, quick, peers, folder, say }) {
    const rows = []
    for (const shipper of shippers(peers)) {
      for (const rate of RATES) {
        const peaks: number[] = []
        const cpu: number[] = []
        for (let i = 0; i < runs; i++) {
          const at = folder()
          const path = join(at, 'app.db')
          const place = filePlace(at, 'backups')
          prepare(path, 50e6)
          const shipping = shipper.start([path], place)
          await firstFile(place.path, shipping)
          const report = await write({ path, rate, seconds: quick ? 5 : 20 })
          const { peakMB, cpu: seconds } = shipping.usage
          await shipping.stop()
          await prove(shipper, path, 'app', place)
          peaks.push(peakMB)
          cpu.push((seconds / report.seconds) * 100)
          say(`${shipper.name} ${rate}/s: ${peakMB.toFixed(1)} MB, ${report.commits} commits`)
        }
        const figures = { 'peak MB': round(median(peaks)), 'CPU %': round(median(cpu)) }
        rows.push({ what: `${rate} commits/s`, who: shipper.name, figures })
      }
    }
    return rows
  },
} satisfies Case
