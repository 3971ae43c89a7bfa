import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Arrivals, lags } from './arrivals.js'
import { type Bench, median } from './case.js'
import type { Measured, Usage } from './process.js'
import { S3Server } from './s3.js'
import { filePlace, firstFile, prove, write } from './scene.js'
import type { Place, Shipper, ShipOptions } from './shippers.js'
import { prepare, type WriterOptions, type WriterReport } from './writer.js'

/** Where to: the S3 server of the machine if there is one and it is asked for, or a folder. */
export interface Target {
  place: Place
  /** Where what is stored lies as files. */
  files: string
  stop: () => Promise<void>
}

export async function target(kind: 'file' | 's3', folder: string): Promise<Target> {
  if (kind === 'file') {
    const place = filePlace(folder, 'backups')
    return { place, files: place.path, stop: () => Promise.resolve() }
  }
  const server = await S3Server.start(join(folder, 's3'))
  return { place: server.place('db'), files: server.files('db'), stop: () => server.stop() }
}

/** Kinds of storage to be measured: those that were asked for, or those that can be had here. */
export function kinds({ storage }: Pick<Bench, 'storage'>): Array<'file' | 's3'> {
  if (storage !== undefined) return [storage]
  return S3Server.available ? ['file', 's3'] : ['file']
}

export interface Result {
  report: WriterReport
  /** Of the shipper, when the writer was done; processor time and bytes since the writer began. */
  usage: Usage
  /** Milliseconds; for every commit whose file had come when the shipper was stopped. */
  lags: number[]
  files: number
}

/** One database, one writer, one shipper: everything a run of that kind tells. Ends with the proof. */
export async function runWriter(
  bench: Pick<Bench, 'folder'>,
  shipper: Shipper,
  options: Omit<WriterOptions, 'path' | 'times'> & {
    kind?: 'file' | 's3'
    bytes?: number
    rowBytes?: number
    ship?: ShipOptions
    settle?: number
  },
): Promise<Result> {
  const folder = bench.folder()
  const path = join(folder, 'app.db')
  const { place, files, stop } = await target(options.kind ?? 'file', folder)
  let shipping: Measured | undefined
  try {
    prepare(path, options.bytes ?? 50e6)
    shipping = shipper.start([path], place, options.ship)
    await firstFile(files, shipping)
    // Both tools do a little more right after their first file.
    await sleep(options.settle ?? 1500)
    const level = join(files, 'app', place.kind === 's3' ? '0000' : 'ltx/0')
    const arrivals = new Arrivals(level)
    const before = shipping.usage
    const times = join(folder, 'times')
    const { rate, seconds, rowBytes, updates, pace } = options
    const report = await write({ path, rate, seconds, bytes: rowBytes, updates, pace, times })
    const after = shipping.usage
    await sleep(2500)
    const seen = arrivals.stop()
    const moments = new Float64Array(new Uint8Array(readFileSync(times)).buffer)
    const code = await shipping.stop()
    if (code !== 0 && shipper.name === 'walrust') throw new Error(`walrust ended with ${code}: ${shipping.log}`)
    const found = lags(moments, seen)
    await prove(shipper, path, 'app', place)
    return {
      report,
      usage: {
        ...after,
        cpu: after.cpu - before.cpu,
        read: after.read - before.read,
        written: after.written - before.written,
      },
      lags: found,
      files: seen.length,
    }
  } finally {
    if (shipping && !shipping.ended) await shipping.stop('SIGKILL')
    await stop()
  }
}

/** The medians of figures over several runs. */
export async function medians(
  runs: number,
  measure: () => Promise<Record<string, number>>,
): Promise<Record<string, number>> {
  const all: Array<Record<string, number>> = []
  for (let i = 0; i < runs; i++) all.push(await measure())
  return Object.fromEntries(Object.keys(all[0]).map((name) => [name, median(all.map((figures) => figures[name]))]))
}
