import { lstatSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { newestCommit } from '../harness/arrivals.js'
import { type Bench, type Case, type Row, round } from '../harness/case.js'
import { S3Server } from '../harness/s3.js'
import { firstFile, prove, storedFiles, write } from '../harness/scene.js'
import { type Shipper, shippers } from '../harness/shippers.js'
import { prepare } from '../harness/writer.js'

const RATE = 500
/** Seconds until what is missing has to be there. */
const LIMIT = 180

export default {
  title: 'storage gone',
  about:
    'A 50 MB database at 500 commits/s; the S3 server is killed, and started again when the writer has ended. The time each commit took before and during that, bytes on this machine beside the database at most, and from when the server is back: seconds until the last commit is there, and objects stored by then.',
  goal: 'commits as quick as before; complete within 60 s with fewer than 50 objects',
  async run(bench) {
    const seconds = (bench.minutes ?? 1) * 60
    const rows: Row[] = []
    for (const shipper of shippers(bench.peers)) {
      for (let i = 0; i < bench.runs; i++) {
        const figures = await measure(bench, shipper, seconds)
        bench.say(`${shipper.name}: ${JSON.stringify(figures)}`)
        rows.push({ what: `gone for ${seconds} s`, who: shipper.name, figures })
      }
    }
    return rows
  },
} satisfies Case

async function measure(bench: Bench, shipper: Shipper, seconds: number): Promise<Record<string, number | string>> {
  const folder = bench.folder()
  const path = join(folder, 'app', 'app.db')
  const server = await S3Server.start(join(folder, 's3'))
  const place = server.place('db')
  const files = server.files('db')
  prepareIn(path)
  const shipping = shipper.start([path], place)
  try {
    await firstFile(files, shipping)
    await sleep(3000)
    const before = await write({ path, rate: RATE, seconds: bench.quick ? 5 : 20 })
    await server.stop()
    const kept = new Kept(join(folder, 'app'))
    const during = await write({ path, rate: RATE, seconds })
    const had = new Set(storedFiles(files))
    await server.restart()
    const start = performance.now()
    const came = await complete(files, had, during.commits)
    kept.stop()
    const after = storedFiles(files).filter((name) => !had.has(name)).length
    await shipping.stop()
    await prove(shipper, path, 'app', place)
    return {
      'p50 before ms': round(before.p50, 2),
      'p50 gone ms': round(during.p50, 2),
      'p99 before ms': round(before.p99, 2),
      'p99 gone ms': round(during.p99, 2),
      'worst gone ms': round(during.worst),
      'kept here MB': round(kept.most / 1e6),
      'complete after s': came === undefined ? `not in ${LIMIT}` : round((came - start) / 1000),
      objects: after,
    }
  } finally {
    if (!shipping.ended) await shipping.stop('SIGKILL')
    await server.stop()
  }
}

function prepareIn(path: string): void {
  mkdirSync(join(path, '..'), { recursive: true })
  prepare(path, 50e6)
}

/** When a file came that holds the last commit; `undefined` if none did in time. */
async function complete(folder: string, known: ReadonlySet<string>, commit: number): Promise<number | undefined> {
  const seen = new Set(known)
  const end = performance.now() + LIMIT * 1000
  while (performance.now() < end) {
    const now = performance.now()
    for (const name of storedFiles(folder)) {
      if (seen.has(name)) continue
      seen.add(name)
      if (newestCommit(join(folder, name)) === commit) return now
    }
    await sleep(20)
  }
  return undefined
}

/** The most bytes that lay beside a database: its WAL, and whatever the shipper keeps. */
class Kept {
  most = 0
  readonly #timer: NodeJS.Timeout

  constructor(private readonly folder: string) {
    this.#timer = setInterval(() => this.#look(), 250)
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#look()
  }

  #look(): void {
    let bytes = 0
    for (const name of readdirSync(this.folder, { recursive: true }) as string[]) {
      const found = name === 'app.db' ? undefined : lstatSync(join(this.folder, name), { throwIfNoEntry: false })
      if (found?.isFile()) bytes += found.size
    }
    this.most = Math.max(this.most, bytes)
  }
}
