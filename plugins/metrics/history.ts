import type { EngineStatus, EventName, WalrustEvent } from '../../core/index.js'
import { unshippedSince } from '../../core/index.js'

/** One sample every so many milliseconds, and how many are kept: an hour. */
export const SAMPLE_MS = 10_000
export const SAMPLES = 360
/** Samples of the throughput of each single database: ten minutes. */
const SMALL = 60
/** Newest events that are kept of each database, and how long their texts may be. */
const EVENTS = 5
const TEXT = 400
/** Databases of which a history is kept; more are shown without. */
const MOST_DATABASES = 1000

/** An event as the page shows it. */
export interface ShownEvent {
  event: EventName
  /** Milliseconds since the epoch. */
  time: number
  error: string | undefined
}

interface Remembered {
  /** Bytes brought to storage since the last sample, and in the samples before. */
  pending: number
  readonly bytes: Float32Array
  events: ShownEvent[]
}

/**
 * What the page draws: a bounded past in typed arrays that are filled in a circle. Two megabytes at most for a thousand
 * databases.
 */
export class History {
  /** Seconds, bytes a second, bytes, commits a second. */
  readonly lag = new Float32Array(SAMPLES).fill(NaN)
  readonly throughput = new Float32Array(SAMPLES).fill(NaN)
  readonly spool = new Float32Array(SAMPLES).fill(NaN)
  readonly commits = new Float32Array(SAMPLES).fill(NaN)
  readonly #databases = new Map<string, Remembered>()
  #count = 0
  #pending = 0
  #commits: number | undefined
  #sampled = performance.now()

  /** A file was brought to storage. */
  shipped(database: string, bytes: number): void {
    this.#pending += bytes
    const own = this.#of(database)
    if (own) own.pending += bytes
  }

  event({ event, database, timestamp, error }: WalrustEvent): void {
    const own = this.#of(database)
    if (!own) return
    own.events = [{ event, time: Date.parse(timestamp), error: error?.slice(0, TEXT) }, ...own.events].slice(0, EVENTS)
  }

  /** Takes a sample, at the end of a span of about {@link SAMPLE_MS}. */
  sample({ databases }: EngineStatus, now: number): void {
    const span = Math.max(0.001, (performance.now() - this.#sampled) / 1000)
    this.#sampled = performance.now()
    const at = this.#count % SAMPLES
    let [oldest, waiting, commits] = [now, 0, 0]
    for (const database of databases) {
      oldest = Math.min(oldest, unshippedSince(database) ?? now)
      commits += database.commits
      waiting += database.heldBytes
      for (const { waitingBytes } of database.storages) waiting += waitingBytes
    }
    this.lag[at] = (now - oldest) / 1000
    this.throughput[at] = this.#pending / span
    this.spool[at] = waiting
    this.commits[at] = this.#commits === undefined ? 0 : Math.max(0, commits - this.#commits) / span
    this.#commits = commits
    this.#pending = 0
    for (const own of this.#databases.values()) {
      own.bytes[this.#count % SMALL] = own.pending / span
      own.pending = 0
    }
    this.#count++
    this.#forget(new Set(databases.map(({ name }) => name)))
  }

  /** A circle as a line, oldest first; what is not there yet is left out. */
  line(values: Float32Array): number[] {
    const length = Math.min(this.#count, values.length)
    return Array.from({ length }, (_, i) => round(values[(this.#count - length + i) % values.length]))
  }

  throughputOf(database: string): number[] {
    const own = this.#databases.get(database)
    return own ? this.line(own.bytes) : []
  }

  eventsOf(database: string): readonly ShownEvent[] {
    return this.#databases.get(database)?.events ?? []
  }

  #of(database: string): Remembered | undefined {
    const known = this.#databases.get(database)
    if (known || this.#databases.size >= MOST_DATABASES) return known
    const made = { pending: 0, bytes: new Float32Array(SMALL), events: [] }
    this.#databases.set(database, made)
    return made
  }

  /** Databases that are gone take their past with them, once nothing is left to be told of them. */
  #forget(present: ReadonlySet<string>): void {
    for (const [name, { events }] of this.#databases) {
      if (!present.has(name) && events.length === 0) this.#databases.delete(name)
    }
  }
}

/** Three digits are enough for a line on a screen. */
function round(value: number): number {
  return Number.isNaN(value) ? 0 : Number(value.toPrecision(4))
}
