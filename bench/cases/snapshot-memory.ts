import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Bench, type Case, type Row, round } from '../harness/case.js'
import { medians, target } from '../harness/run.js'
import { firstFile, prove } from '../harness/scene.js'
import { type Shipper, shippers } from '../harness/shippers.js'
import { prepare } from '../harness/writer.js'

export default {
  title: 'memory of a large snapshot',
  about:
    'The first snapshot of a database of 2 GiB to S3: peak resident memory (MiB) of the shipper, and resident memory of one that watches a database of 1 MB at rest, in the same run.',
  goal: 'at most 25 MB (23.8 MiB) above idle',
  async run(bench) {
    const bytes = bench.quick ? 200e6 : 2 * 2 ** 30
    const rows: Row[] = []
    for (const shipper of shippers(bench.peers)) {
      const { idle, peak } = await medians(bench.runs, async () => {
        const small = await memory(bench, shipper, 1e6)
        const large = await memory(bench, shipper, bytes)
        bench.say(`${shipper.name}: idle ${small.residentMiB.toFixed(1)}, peak ${large.peakMiB.toFixed(1)} MiB`)
        return { idle: small.residentMiB, peak: large.peakMiB }
      })
      const figures = { 'idle MiB': round(idle), 'peak MiB': round(peak), 'above MiB': round(peak - idle) }
      rows.push({ what: `${Math.round(bytes / 2 ** 20)} MiB to S3`, who: shipper.name, figures })
    }
    return rows
  },
} satisfies Case

/** Of a shipper with a database of that size, when its first snapshot lies in storage and nothing more happens. */
async function memory(bench: Bench, shipper: Shipper, bytes: number) {
  const folder = bench.folder()
  const path = join(folder, 'app.db')
  const { place, files, stop } = await target('s3', folder)
  prepare(path, bytes)
  const shipping = shipper.start([path], place)
  try {
    await firstFile(files, shipping, 1, 900_000)
    await sleep(5000)
    const { usage } = shipping
    await shipping.stop()
    await prove(shipper, path, 'app', place)
    return usage
  } finally {
    if (!shipping.ended) await shipping.stop('SIGKILL')
    await stop()
  }
}
