import { Connection, type WalState } from '../database/connection.js'

/**
 * The read transaction that keeps the WAL from being restarted, handed over from one connection to the other without
 * a break.
 *
 * SQLite gives a reader one of two kinds of lock. On a WAL with frames that are not in the database yet, a *mark*: no
 * restart while it is held. On a fully backfilled WAL, *lock 0*: the next writer may restart the WAL once, but nobody
 * may backfill, so the new generation is pinned from its first frame. Which kind a reader got cannot be asked. But it
 * follows from what was known before, and that decides when the old pin may be let go:
 *
 * - {@link advance}: there are frames beyond any mark the old pin can have. Then they cannot be backfilled while the
 *   old pin holds, so the WAL is not fully backfilled, so the new pin is a mark: nothing that is in the WAL goes away.
 * - {@link settle}: everything is backfilled and everything up to there is kept elsewhere. If the new pin is lock 0 a
 *   restart takes away nothing we need; if frames came in between, it is a mark.
 *
 * Otherwise the old pin stays. States after a kill: none, locks die with the process.
 */
export class Pins {
  readonly #path: string
  #held: Connection | undefined
  #idle: Connection | undefined
  /** Of the generation that was current when the pin was taken. */
  #bound = 0

  constructor(path: string) {
    this.#path = path
  }

  /** No mark of the held pin can be beyond this frame. */
  get bound(): number {
    return this.#bound
  }

  /** The connection that is in no transaction, for asking and for checkpoints. */
  get idle(): Connection {
    this.#idle ??= new Connection(this.#path)
    return this.#idle
  }

  /** Takes the first pin. Errors: SQLite's busy, if somebody recovers or locks the database just then. */
  take(): void {
    const connection = new Connection(this.#path)
    try {
      connection.pin()
    } catch (error) {
      connection.close()
      throw error
    }
    this.#held = connection
    this.#bound = this.idle.state().log
  }

  /** Whether the WAL holds frames beyond any mark that the held pin can have. */
  canAdvance(state: WalState): boolean {
    return state.log > this.#bound
  }

  /** Moves the pin forward over frames that stay in the WAL. Only when {@link canAdvance}. */
  advance(): void {
    this.#handOver()
  }

  /**
   * Moves the pin forward on a fully backfilled WAL.
   *
   * @param kept frames of the current generation that are safe elsewhere
   * @returns whether it was done: not if frames came in between
   */
  settle(kept: number): boolean {
    const state = this.idle.state()
    if (state.log !== state.checkpointed || state.log > kept) return false
    this.#handOver()
    return true
  }

  /** Tells that a new generation has begun under lock 0: the held pin has no mark in it. */
  restarted(): void {
    this.#bound = 0
  }

  /** Closes the connection that holds nothing, to save its memory while the database is quiet. */
  rest(): void {
    this.#idle?.close()
    this.#idle = undefined
  }

  /** Lets everything go. The idle connection goes first, so that the pin lasts to the end. */
  close(): void {
    this.rest()
    this.#held?.unpin()
    this.#held?.close()
    this.#held = undefined
  }

  #handOver(): void {
    const next = this.idle
    next.pin()
    const old = this.#held
    old?.unpin()
    this.#held = next
    this.#idle = old
    this.#bound = this.idle.state().log
  }
}
