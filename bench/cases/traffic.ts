import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Bench, Case, Row } from '../harness/case.js'
import { round } from '../harness/case.js'
import { CountingProxy } from '../harness/counting-proxy.js'
import { medians } from '../harness/run.js'
import { S3Server } from '../harness/s3.js'
import { firstFile, prove, write } from '../harness/scene.js'
import { type Shipper, shippers } from '../harness/shippers.js'
import { prepare } from '../harness/writer.js'

interface Load {
  what: string
  databases: number
  /** Commits a second to the first of them; 0 for none. */
  rate: number
  seconds: number
}

/** Long enough for several merges of the first level, and for whatever is done once a minute. */
const LOADS: readonly Load[] = [
  { what: '20 commits/s', databases: 1, rate: 20, seconds: 180 },
  { what: '1 database at rest', databases: 1, rate: 0, seconds: 120 },
  { what: '100 databases at rest', databases: 100, rate: 0, seconds: 120 },
]

/** What is done once after the start is not counted, milliseconds. */
const SETTLE = 10_000

export default {
  title: 'requests and bytes for one workload',
  about:
    'Requests by kind, megabytes sent and processor time (% of a core), counted between the shipper and the S3 server beside databases of 1 MB, with defaults; what was counted in two or three minutes is given for an hour. "put" counts uploads in parts, too.',
  goal: 'not above the peer; at rest no LIST',
  async run(bench) {
    const rows: Row[] = []
    for (const load of LOADS) {
      for (const shipper of shippers(bench.peers)) {
        const figures = await medians(bench.runs, () => measure(bench, shipper, load))
        rows.push({ what: load.what, who: shipper.name, figures })
        bench.say(`${shipper.name}, ${load.what}: ${JSON.stringify(figures)}`)
      }
    }
    return rows
  },
} satisfies Case

async function measure(bench: Bench, shipper: Shipper, load: Load): Promise<Record<string, number>> {
  const folder = bench.folder()
  const seconds = bench.quick ? load.seconds / 6 : load.seconds
  const server = await S3Server.start(join(folder, 's3'))
  const proxy = await CountingProxy.start(server.endpoint)
  try {
    const paths = Array.from({ length: load.databases }, (_, i) => join(folder, `db${i}.db`))
    for (const path of paths) prepare(path, 1e6)
    const place = proxy.placeOf(server.place('db'))
    const shipping = shipper.start(paths, place)
    await firstFile(server.files('db'), shipping, load.databases)
    await sleep(bench.quick ? SETTLE / 2 : SETTLE)
    proxy.take()
    const before = shipping.usage.cpu
    const start = performance.now()
    if (load.rate > 0) await write({ path: paths[0], rate: load.rate, seconds })
    else await sleep(seconds * 1000)
    const hours = (performance.now() - start) / 3_600_000
    const { requests, sent } = proxy.take()
    const cpu = shipping.usage.cpu - before
    await sleep(1500)
    await shipping.stop()
    await prove(shipper, paths[0], 'db0', server.place('db'))
    const perHour = (count: number) => round(count / hours, 0)
    return {
      'put/h': perHour(requests.put),
      'get/h': perHour(requests.get + requests.head),
      'list/h': perHour(requests.list),
      'delete/h': perHour(requests.delete),
      'sent MB/h': round(sent / 1e6 / hours),
      'CPU %': round((cpu / (hours * 3600)) * 100, 2),
    }
  } finally {
    await proxy.stop()
    await server.stop()
  }
}
