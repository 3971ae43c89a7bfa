import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { comparePositions, type FrameBatch, LayeredPageSet, type LogPosition, type PageSet } from '../../core/index.js'
import { Segment } from './segment.js'

/** More segments than this are folded together: of each page only the newest version stays. */
export const MAX_SEGMENTS = 32

/** A segment that is still needed after this long is made to survive a power failure; most are gone before. */
const SYNC_AFTER_MS = 2000

/**
 * Pages kept out of the WAL for one database, in segments that follow each other without a gap.
 *
 * States a kill can leave: a temporary file (thrown away), segments that are folded into a newer one already (thrown
 * away: the newer one begins where they do). Whether the last segment continues in the WAL is proved by the core.
 */
export class ShadowLog {
  readonly #folder: string
  #segments: Segment[] = []
  #next = 1

  constructor(folder: string) {
    this.#folder = folder
  }

  /** Bytes on disk. */
  get bytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.bytes, 0)
  }

  /** What is kept now, and then what is still in the WAL, if that is given and the two meet. */
  batch(wal?: FrameBatch): FrameBatch | undefined {
    const segments = [...this.#segments]
    if (segments.length === 0) return undefined
    const [first, last] = [segments[0].facts, segments[segments.length - 1].facts]
    if (wal && comparePositions(wal.from, last.to) > 0) return undefined
    for (const segment of segments) segment.hold()
    return {
      from: first.from,
      to: wal?.to ?? last.to,
      proof: wal ? wal.proof : last.proof,
      bytes: this.bytes,
      pages: (since) => {
        const kept: PageSet[] = segments.filter(({ facts }) => comparePositions(facts.to, since) > 0)
        return new LayeredPageSet(wal ? [...kept, wal.pages(since)] : kept)
      },
      close: () => segments.splice(0).forEach((segment) => segment.release()),
      trim: (upTo) => this.trim(upTo),
    }
  }

  /** Takes up what an earlier run has left, or one of this process that has let the database go. */
  load(): void {
    // They are found again in the folder. Kept beside that, the one would delete the file of the other.
    for (const segment of this.#segments.splice(0)) segment.forget()
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 })
    const names = readdirSync(this.#folder).sort()
    for (const name of names) {
      const path = join(this.#folder, name)
      const segment = /^\d{12}\.pages$/.test(name) ? Segment.open(path) : undefined
      if (!segment) {
        rmSync(path, { force: true })
        continue
      }
      this.#next = Number.parseInt(name) + 1
      this.#append(segment)
    }
  }

  /** Copies pages out of the WAL. When this returns the WAL does not need to hold them any more. */
  add(batch: FrameBatch, since: LogPosition): void {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 })
    const { from, to, proof } = batch
    const segment = Segment.write(this.#nextPath(), batch.pages(since), { from, to, proof })
    setTimeout(() => segment.sync(), SYNC_AFTER_MS).unref()
    this.#append(segment)
    if (this.#segments.length > MAX_SEGMENTS) this.#fold()
  }

  /** Lets segments go that nobody needs any more. */
  trim(upTo: LogPosition): void {
    const done = this.#segments.filter(({ facts }) => comparePositions(facts.to, upTo) <= 0)
    this.#segments = this.#segments.filter((segment) => !done.includes(segment))
    for (const segment of done) segment.retire()
  }

  #nextPath(): string {
    return join(this.#folder, `${String(this.#next++).padStart(12, '0')}.pages`)
  }

  /** Puts a segment behind the others. Those that do not reach up to it, or that it replaces, go. */
  #append(segment: Segment): void {
    const { from } = segment.facts
    const last = this.#segments.at(-1)
    const gap = last !== undefined && comparePositions(from, last.facts.to) > 0
    const keep = gap ? [] : this.#segments.filter(({ facts }) => comparePositions(facts.from, from) < 0)
    for (const old of this.#segments) if (!keep.includes(old)) old.retire()
    this.#segments = [...keep, segment]
  }

  /**
   * Writes the newer half of the segments as one. Halving instead of taking all keeps the work small: a page is
   * rewritten a number of times that grows with the logarithm of what is kept.
   */
  #fold(): void {
    const newer = this.#segments.slice(this.#segments.length >> 1)
    const [first, last] = [newer[0].facts, newer[newer.length - 1].facts]
    const covers = { from: first.from, to: last.to, proof: last.proof }
    this.#append(Segment.write(this.#nextPath(), new LayeredPageSet(newer), covers))
  }
}
