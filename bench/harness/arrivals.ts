import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { LtxDecoder } from '../../core/ltx/index.js'
import { MARK } from './writer.js'

/** When a file was there for others to read, milliseconds since the epoch. */
export interface Arrival {
  path: string
  at: number
}

const EVERY = 1

/**
 * Notes when files appear below a folder, by looking every millisecond: file events would be told late by a busy
 * process, and listing one small folder costs little.
 */
export class Arrivals {
  readonly seen: Arrival[] = []
  readonly #known = new Set<string>()
  readonly #timer: NodeJS.Timeout
  readonly #folder: string

  /** @param folder where level 0 of one database lies; what is there already does not count */
  constructor(folder: string) {
    this.#folder = folder
    for (const name of this.#names()) this.#known.add(name)
    this.#timer = setInterval(() => this.#look(), EVERY)
  }

  stop(): Arrival[] {
    clearInterval(this.#timer)
    this.#look()
    return this.seen
  }

  #look(): void {
    const at = performance.timeOrigin + performance.now()
    for (const name of this.#names()) {
      if (this.#known.has(name)) continue
      this.#known.add(name)
      this.seen.push({ path: join(this.#folder, name), at })
    }
  }

  #names(): string[] {
    try {
      return readdirSync(this.#folder).filter((name) => name.endsWith('.ltx'))
    } catch {
      return []
    }
  }
}

/** The newest commit that an LTX file holds, by the mark in its pages; 0 if it holds none. */
export function newestCommit(path: string): number {
  const decoder = new LtxDecoder()
  decoder.push(readFileSync(path))
  decoder.finish()
  let newest = 0
  for (;;) {
    const step = decoder.next()
    if (step === 'end' || step === 'more') return newest
    if (step !== 'page') continue
    const at = Buffer.from(decoder.data.buffer, decoder.data.byteOffset, decoder.data.length).lastIndexOf(MARK)
    if (at < 0) continue
    const digits = Buffer.from(decoder.data.subarray(at + MARK.length, at + MARK.length + 12)).toString('latin1')
    newest = Math.max(newest, Number(digits) || 0)
  }
}

/**
 * The lag of every commit: from its moment to that of the first file that holds it or a later one.
 *
 * @param times moments of the commits, the first being commit 1
 */
export function lags(times: Float64Array, arrivals: readonly Arrival[]): number[] {
  const found: number[] = []
  let done = 0
  for (const { path, at } of arrivals) {
    const newest = newestCommit(path)
    for (; done < newest && done < times.length; done++) found.push(Math.max(0, at - times[done]))
  }
  return found
}
