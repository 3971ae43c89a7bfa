import type { SnapshotSettings } from '../settings.js'

/** How long after one that failed, in milliseconds. */
const RETRY = 60_000

/**
 * When the next snapshot is due. Nothing is due while there is no transaction that is newer than the newest snapshot.
 * Times are those of the process's own clock, `performance.now()`.
 */
export class SnapshotSchedule {
  readonly #settings: SnapshotSettings
  /** Transaction and time of the newest snapshot; of one that failed the time counts, too. */
  #txid = 0
  #taken = 0
  #newest = 0
  #firstChange = 0
  #lastChange = 0
  #atStart: boolean
  #notBefore = 0

  constructor(settings: SnapshotSettings) {
    this.#settings = settings
    this.#atStart = settings.onStartup
  }

  /**
   * @param txid that of the newest snapshot in storage
   * @param taken when it was taken
   */
  begin(txid: number, taken: number, now: number): void {
    this.#txid = txid
    this.#taken = taken
    this.#newest = txid
    this.#firstChange = this.#lastChange = now
  }

  /** Told of the newest transaction whenever there is one. */
  changed(txid: number, now: number): void {
    if (txid === this.#newest) return
    if (this.#newest === this.#txid) this.#firstChange = now
    this.#newest = txid
    this.#lastChange = now
  }

  /** A snapshot is being taken: what happens from now on counts for the next one. */
  started(now: number): void {
    this.#taken = now
    this.#firstChange = now
    this.#atStart = false
  }

  /** The one that was being taken came to nothing. */
  failed(now: number): void {
    this.#notBefore = now + RETRY
  }

  /** Everything from before the start is in storage: what comes from now on is no reason for a snapshot at start. */
  settled(): void {
    this.#atStart = false
  }

  /** A snapshot is in storage. */
  stored(txid: number): void {
    this.#txid = Math.max(this.#txid, txid)
  }

  /** When the next one is expected, if there is something new by then. */
  get next(): number {
    const { interval } = this.#settings
    return Math.min(this.due, interval > 0 ? this.#taken + interval : Infinity)
  }

  /** When a snapshot is due; `Infinity` if none will be without a further change. */
  get due(): number {
    const { interval, maxChanges, maxInterval, onIdle } = this.#settings
    const changes = this.#newest - this.#txid
    if (changes <= 0) return Infinity
    if (this.#atStart || (maxChanges > 0 && changes >= maxChanges)) return this.#notBefore
    const due = Math.min(
      interval > 0 ? this.#taken + interval : Infinity,
      maxInterval > 0 ? this.#firstChange + maxInterval : Infinity,
      onIdle > 0 ? this.#lastChange + onIdle : Infinity,
    )
    return Math.max(due, this.#notBefore)
  }
}
