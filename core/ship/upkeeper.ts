import { rm } from 'node:fs/promises'
import { type CompactReport, compactReport } from '../compact/report.js'
import { Upkeep, type UpkeepParts, type UpkeepResult } from '../compact/upkeep.js'
import { messageOf } from '../errors.js'
import type { Inventory } from '../inventory.js'
import type { Semaphore } from './signal.js'
import type { Announce } from './uploader.js'

export interface UpkeeperParts extends Omit<UpkeepParts, 'now'> {
  /** Bounds work that reads much, over the whole process. */
  heavy: Semaphore
  announce: Announce
  signal: AbortSignal
  /** Called when something has ended and there may be more to do. */
  wake: () => void
}

/** After a failure, in milliseconds, doubling. */
const FIRST_PAUSE = 30_000
const LONGEST_PAUSE = 3_600_000
/** Where something is over but still needed, it is looked at again so often at least. */
const LONGEST_IDLE = 300_000

/** Does the upkeep of one database in one storage when it is due, beside the shipping and never in its way. */
export class Upkeeper {
  readonly #parts: UpkeeperParts
  readonly #upkeep: Upkeep
  #running: Promise<unknown> | undefined
  /** When snapshots are gone through next, and when it may be tried again after a failure; milliseconds since the epoch. */
  #retentionDue = Infinity
  #notBefore = 0
  #pause = 0
  /** When there is something to do for the levels, as it was last asked; until then, or a run, that does not change. */
  #levelsDue = 0

  constructor(parts: UpkeeperParts, inventory: Inventory) {
    this.#parts = parts
    this.#upkeep = new Upkeep(parts, inventory)
    const { interval } = parts.compaction
    if (interval > 0) this.#retentionDue = Date.now() + interval
  }

  /** Milliseconds until {@link tend} has something to do; `Infinity` while it is at work or there is nothing. */
  get wait(): number {
    if (this.#running) return Infinity
    const now = Date.now()
    // What is shipped meanwhile is due no sooner than what is waited for; and it is asked after each file.
    if (this.#levelsDue <= now || this.#levelsDue === Infinity) this.#levelsDue = this.#upkeep.due
    const due = Math.min(this.#levelsDue, this.#retentionDue)
    return Math.max(0, Math.max(due, this.#notBefore) - now)
  }

  /** A snapshot is in storage: older ones may go. */
  snapshotTaken(): void {
    if (this.#parts.compaction.afterSnapshot) this.#retentionDue = Date.now()
  }

  /** Begins what is due, if anything is. Does not wait for it. */
  tend(): void {
    if (this.wait > 0) return
    void this.run(Date.now() >= this.#retentionDue).catch(() => undefined)
  }

  /** Does what there is to do now, after whatever is under way. Rejects with what went wrong, which is reported here. */
  async run(retention: boolean): Promise<UpkeepResult> {
    return await this.#alone(() => this.#run(retention))
  }

  /** Tells what there is to do, snapshots included, and does it with `force`. Errors: those of {@link compactReport}. */
  async compact(force: boolean): Promise<CompactReport> {
    return await this.#alone(async () => {
      const { remote, signal, folder } = this.#parts
      await rm(folder, { recursive: true, force: true })
      const report = await compactReport(remote, this.#upkeep, force, signal)
      if (force) this.#pause = this.#notBefore = 0
      return report
    })
  }

  async #alone<T>(job: () => Promise<T>): Promise<T> {
    while (this.#running) await this.#running
    const work = this.#parts.heavy.run(job)
    this.#running = work.catch(() => undefined)
    try {
      return await work
    } finally {
      this.#running = undefined
      this.#levelsDue = 0
      this.#parts.wake()
    }
  }

  /** Resolves when nothing is under way. */
  async settled(): Promise<void> {
    await this.#running
  }

  /** Nothing could be done though something was due: then it is not looked at again at once. */
  #rest({ merged, removed }: UpkeepResult): void {
    const nothing = merged.length === 0 && removed.length === 0
    const idle = nothing && this.#upkeep.due <= Date.now()
    this.#pause = idle ? Math.min(LONGEST_IDLE, this.#pause * 2 || FIRST_PAUSE) : 0
    this.#notBefore = idle ? Date.now() + this.#pause : 0
  }

  async #run(retention: boolean): Promise<UpkeepResult> {
    const { signal, announce, log, compaction, folder } = this.#parts
    try {
      signal.throwIfAborted()
      // What a run before this one left there when it was killed.
      await rm(folder, { recursive: true, force: true })
      const result = await this.#upkeep.run(retention, signal)
      if (retention) this.#retentionDue = compaction.interval > 0 ? Date.now() + compaction.interval : Infinity
      this.#rest(result)
      return result
    } catch (error) {
      if (!signal.aborted) {
        log.error('merging and removing failed', { error: messageOf(error) })
        announce('retention_failed', { error })
        this.#pause = Math.min(LONGEST_PAUSE, this.#pause * 2 || FIRST_PAUSE)
        this.#notBefore = Date.now() + this.#pause
      }
      throw error
    }
  }
}
