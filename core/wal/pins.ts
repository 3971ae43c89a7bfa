import { Connection, type WalState } from '../database/connection.js'
import { WalrustError } from '../errors.js'

/**
 * The read transaction that keeps the WAL from being restarted, handed over from one connection to the other without
 * a break.
 *
 * SQLite gives a reader one of two kinds of lock. On a WAL with frames that are not in the database yet, a *mark*: no
 * restart while it is held. On a fully backfilled WAL, *lock 0*: the next writer may restart the WAL once, but nobody
 * may backfill, so the new generation is pinned from its first frame. Which kind a reader got cannot be asked. But it
 * follows from what is known, and that decides when the old pin may be let go:
 *
 * - There are frames beyond any mark the old pin can have. Then they cannot be backfilled while the old pin holds, so
 *   the WAL is not fully backfilled, so the new pin is a mark: nothing that is in the WAL goes away.
 * - With both pins held, the WAL is seen not to be fully backfilled: the same follows. (Seen through a third connection,
 *   for when it is not clear how far the old mark reaches.)
 * - Everything is backfilled and everything up to there is kept elsewhere. If the new pin is lock 0 a restart takes away
 *   nothing we need; if frames came in between, it is a mark.
 *
 * Otherwise the old pin stays. States after a kill: none, locks die with the process.
 */
export class Pins {
  readonly #path: string
  #held: Connection | undefined
  #idle: Connection | undefined
  /** The mark of the held pin lies between these two frames of the generation that was current when it was taken. */
  #least = 0
  #bound = 0
  #mayBeZero = false
  #closed = false

  constructor(path: string) {
    this.#path = path
  }

  /** No mark of the held pin can be beyond this frame. */
  get bound(): number {
    return this.#bound
  }

  /** The mark of the held pin is at this frame or beyond it. */
  get least(): number {
    return this.#least
  }

  /** Whether the pin may be lock 0, under which nobody can backfill. */
  get mayBeZero(): boolean {
    return this.#mayBeZero
  }

  /** The connection that is in no transaction, for asking and for checkpoints. Errors: it was closed. */
  get idle(): Connection {
    if (this.#closed) throw new WalrustError('E_ABORTED', 'the database is not followed any more')
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
    this.#mayBeZero = true
    this.#least = 0
    this.#bound = this.idle.state().log
  }

  /**
   * Moves the pin forward over frames that stay in the WAL, so that they can be backfilled.
   *
   * @param state as it was just seen; every frame of it has been read
   * @returns whether it was done
   */
  advance(state: WalState): boolean {
    if (state.log > this.#bound) {
      this.#handOver(state.log)
      return true
    }
    // A commit came just when this pin was taken: it may stand before that, and hold up whoever wants to backfill it.
    return state.log > this.#least && this.#advanceWatched()
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
    this.#handOver(state.log)
    this.#mayBeZero = true
    return true
  }

  /**
   * Lets the pin go for a moment, until `over` says so or the time is up, and takes it again. In between anything can
   * happen to the WAL: whoever calls this has to prove afterwards that nothing did. Waits without giving others their
   * turn, because a millisecond later it is too late.
   *
   * @param limit milliseconds
   */
  stepAside(over: () => boolean, limit: number): void {
    this.#held?.unpin()
    const end = performance.now() + limit
    while (!over() && performance.now() < end);
    this.#held?.pin()
    this.#least = 0
    this.#bound = this.idle.state().log
  }

  /** Tells that a new generation has begun under lock 0: the held pin has no mark in it. */
  restarted(): void {
    this.#least = 0
    this.#bound = 0
  }

  /**
   * The database file was deleted: no connection can be opened any more, so the one that pins becomes the one that asks.
   * Afterwards nothing is pinned.
   */
  orphaned(): void {
    if (this.#idle || !this.#held) return
    this.#held.unpin()
    this.#idle = this.#held
    this.#held = undefined
  }

  /** Closes the connection that holds nothing, to save its memory while the database is quiet. */
  rest(): void {
    this.#idle?.close()
    this.#idle = undefined
  }

  /** Lets everything go. The idle connection goes first, so that the pin lasts to the end. */
  close(): void {
    this.#closed = true
    this.rest()
    this.#held?.unpin()
    this.#held?.close()
    this.#held = undefined
  }

  /** Hands over after making sure, with both pins held, that the WAL is not fully backfilled. */
  #advanceWatched(): boolean {
    const next = this.idle
    next.pin()
    const third = new Connection(this.#path)
    try {
      const { log, checkpointed } = third.state()
      if (log === checkpointed) {
        next.unpin()
        return false
      }
      this.#swap(log)
      return true
    } finally {
      third.close()
    }
  }

  #handOver(least: number): void {
    this.idle.pin()
    this.#swap(least)
  }

  /** Lets the old pin go, the idle connection having been pinned. */
  #swap(least: number): void {
    const old = this.#held
    this.#held = this.#idle
    this.#idle = old
    old?.unpin()
    this.#mayBeZero = false
    this.#least = least
    this.#bound = this.idle.state().log
  }
}
