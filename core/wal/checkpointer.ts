import { setTimeout as sleep } from 'node:timers/promises'
import { Connection, type CheckpointResult } from '../database/connection.js'
import type { DatabaseFile } from '../database/database-file.js'
import type { CheckpointPool } from './checkpoint-pool.js'
import type { Follower } from './follower.js'

/** After this long without a commit the WAL is backfilled completely: see {@link Checkpointer.tend}. */
const QUIET_MS = 1000

/**
 * How long after the last commit the pin moves to the end of the WAL, in milliseconds.
 *
 * A checkpointer with the write lock in its hand goes through SQLite's read slots one by one and waits at each that is
 * taken and has a mark below the end. It can find one taken for a moment by the writer it has just stopped. That slot
 * then has the best mark, so our pin would move to it; if it does before the checkpointer looks again, that waits for us
 * until its timeout, however far our mark reaches (tried: five seconds). How long it sleeps before it looks again grows
 * with how long it had to wait for the write lock: next to nothing beside a writer that leaves gaps, up to 100 ms beside
 * one that does not.
 */
const MOVE_MS = 1.5
const MOVE_LATE_MS = 110
/** Commits a second from which on a writer leaves no gaps to speak of. */
const TIGHT_RATE = 4000

/**
 * After so long without a commit, with somebody else at a checkpoint that does not get on, the pin steps aside, for as
 * long as SQLite's busy handler sleeps at most.
 */
const STUCK_MS = 250
const ASIDE_MS = 110

/**
 * Larger checkpoints run on a thread of their own; so does the next one after a slow one. A thread costs fifteen
 * megabytes for as long as it is there: more than a busy disk is worth that makes others wait for a quarter of a second.
 */
const INLINE_BYTES = 64 * 1024 * 1024
const INLINE_MS = 250

/** A WAL this many times `minPages` long, with no gap between its commits, is checkpointed under the write lock. */
const LOCK_FACTOR = 16

/** Between two attempts, and two moves of the pin beside a tight writer, lie this many times `minPages` at most. */
const LONGEST_STEP = 4

/**
 * Before the write lock is taken, so many checkpoints at most, each of which has less to do than the one before it: what
 * is left for the lock is what the disk can take in this part of the time it may be held. If it cannot, the lock is left
 * for later, unless the WAL is so many times as long as it should be.
 */
const PASSES = 4
const LOCK_SHARE = 0.4
const PATIENCE = 4

/**
 * How long to wait with the write lock in hand before looking again whether somebody else's checkpoint is over, and how
 * often for a reader in the way: more than a moment is for readers who stay.
 */
const LOCK_WAIT_MS = 1
const READER_WAITS = 3
/** How often it is waited for somebody else's checkpoint before the lock is taken. */
const BUSY_WAITS = 20

/** How long to try for the write lock in one go, in milliseconds. A tight writer leaves it free for microseconds. */
const LOCK_TRY_MS = 2

export interface CheckpointSettings {
  /** Milliseconds. */
  interval: number
  /** Pages in the WAL that are not in the database. */
  minPages: number
  /** Pages: beyond this the WAL file is cut off when it is quiet. */
  truncateThreshold: number
  /** Milliseconds to hold the write lock at most. */
  maxLock: number
}

/** What was done: as far as readers allow, under the write lock, cutting the file off; or by somebody else. */
export type CheckpointKind = 'passive' | 'locked' | 'truncate' | 'foreign'

export interface CheckpointReport {
  kind: CheckpointKind
  result: CheckpointResult
  /** Milliseconds the checkpoint took, and how long the write lock was held for it. */
  duration: number
  locked: number
}

/** What the checkpointer needs from whoever runs it. */
export interface CheckpointOwner {
  /**
   * Makes the frames that are only in the WAL safe elsewhere.
   *
   * @returns how many frames of the present generation are safe: all that were read, or fewer
   */
  keep(): Promise<number>
  /** Whether something is being read from the WAL right now that a restart would overwrite. */
  walInUse(): boolean
  report(report: CheckpointReport): void
  /** Pages that a checkpoint should have brought into the database file are not there. */
  damaged(pages: readonly number[]): void
}

/**
 * Decides when committed pages move from the WAL into the database and when the WAL may start again, so that it stays
 * short without a frame unread, without a frame of our own, and without making anyone wait.
 *
 * Moving the pin forward is what lets pages move, ours and the application's own automatic checkpoints alike. So it
 * stays where it is while commits follow each other closely (each move costs somebody two fsyncs), and moves
 * - when nothing came since the last look: whoever waits for readers, a foreign TRUNCATE with the write lock in its
 *   hand for instance, can go on at once
 * - when `minPages` have gathered, or the interval is over
 * - a second after the last commit: then the WAL is left fully backfilled, because an application that is stopped and
 *   given an older copy of its database must not find frames of the newer one
 */
export class Checkpointer {
  readonly #follower: Follower
  readonly #file: DatabaseFile
  readonly #settings: CheckpointSettings
  readonly #owner: CheckpointOwner
  readonly #pool: CheckpointPool
  #lastCommit = 0
  /** When a WAL that nobody writes to is looked after next, and how long after that again, in milliseconds. */
  #nextQuiet = 0
  #quietWait = QUIET_MS
  #lastCheckpoint = 0
  #lastDuration = 0
  /** The WAL length at which the next attempt is made, doubling its distance while writers leave no gap. */
  #nextAttempt: number
  #attemptStep: number
  #background: Promise<void> | undefined
  #nextAside = 0
  /** WAL length when the pin last moved because it had grown. */
  #movedAt = 0
  /** The last long WAL was restarted under the write lock. */
  #neededLock = false
  #tight = false
  /** What was last seen or done: more than that is somebody else's work. */
  #seen: { generation: number; log: number; checkpointed: number } | undefined
  #measured = 0
  #measuredAt = 0

  constructor(
    follower: Follower,
    file: DatabaseFile,
    settings: CheckpointSettings,
    owner: CheckpointOwner,
    pool: CheckpointPool,
  ) {
    this.#follower = follower
    this.#file = file
    this.#settings = settings
    this.#owner = owner
    this.#pool = pool
    this.#nextAttempt = settings.minPages
    this.#attemptStep = this.#firstStep
    this.#lastCheckpoint = performance.now()
    this.#nextQuiet = this.#lastCheckpoint + QUIET_MS
  }

  get #firstStep(): number {
    return Math.max(1, this.#settings.minPages >> 2)
  }

  /** Whether there is nothing left to do: all backfilled, and the next writer may restart the WAL. */
  get settled(): boolean {
    const { state, restartAllowed } = this.#follower
    return state.log === state.checkpointed && (restartAllowed || state.log === 0)
  }

  /** How long until something is to be done about a WAL that nobody writes to, in milliseconds. */
  get wait(): number {
    return this.#follower.state.log === 0 ? Infinity : Math.max(0, this.#nextQuiet - performance.now())
  }

  /** Called after each look at the WAL. `fresh`: there were new commits. */
  async tend(fresh: boolean): Promise<void> {
    const now = performance.now()
    if (fresh) {
      this.#lastCommit = now
      this.#quietWait = QUIET_MS
      this.#nextQuiet = now + QUIET_MS
      this.#measure(now)
    }
    const { state } = this.#follower
    if (this.#background) return
    this.#noteForeign()
    if (this.settled) {
      if (state.log > 0 && now >= this.#nextQuiet) this.#empty(now)
      return
    }
    if (state.log === state.checkpointed) {
      await this.#settle()
      return
    }
    // Under lock 0 each automatic checkpoint of the application sorts the whole WAL index before it finds that it can
    // do nothing (tried: a tenth of the commits). A mark, wherever it is, lets it see that at once.
    if (this.#follower.holdsUpBackfill) this.#follower.advance()
    await this.#moveAlong()
    await this.#movePin(now - this.#lastCommit)
    if (state.log < this.#settings.minPages) this.#resetAttempts()
    if (this.#isDue(now)) await this.#checkpoint(now)
  }

  /** Resolves when no checkpoint runs on the other thread: its connection holds locks of this process. */
  async rest(): Promise<void> {
    await this.#background?.catch(() => undefined)
  }

  /** Backfills what can be backfilled, whatever the time: before the process ends. */
  async finish(): Promise<void> {
    await this.rest()
    if (this.settled || !this.#file.isInPlace()) return
    this.#follower.advance()
    this.#follower.idle.checkpoint()
  }

  /**
   * Empties the WAL file of a quiet database. While anyone is connected a WAL is never deleted, and a fully backfilled
   * one does no harm as long as its index says so. But that is rebuilt from the WAL itself by whoever opens the database
   * when nobody else has it open, us included: an older copy put in the database's place would be given the newer
   * frames. Moves nothing into the database; SQLite holds the write lock for it as long as it takes to cut a file off.
   */
  #empty(now: number): void {
    this.#quietWaited(now)
    if (!this.#file.isInPlace()) return
    const result = this.#follower.idle.truncate()
    const duration = performance.now() - now
    if (result) this.#report('truncate', result, now, duration)
    this.#follower.collectNow()
    this.#noteOwn(this.#follower.state)
  }

  /** Waits twice as long until the next time, for as long as nothing is committed. */
  #quietWaited(now: number): void {
    this.#nextQuiet = now + this.#quietWait
    this.#quietWait = Math.min(this.#quietWait * 2, this.#settings.interval)
  }

  /**
   * Moves the pin on every `minPages`: the application's automatic checkpoints then have as much to do at a time as
   * without us. Left standing, they could do nothing, and the first after the pin has moved would have to do it all.
   * Beside a tight writer that costs it more than it saves: there the pin moves in longer steps.
   */
  async #moveAlong(): Promise<void> {
    const { log } = this.#follower.state
    if (log < this.#movedAt) this.#movedAt = 0
    if (log - this.#movedAt < this.#settings.minPages * (this.#tight ? LONGEST_STEP : 1)) return
    this.#movedAt = log
    await this.#advance()
  }

  /**
   * Moves the pin to the end of what was read. Beside a tight writer its next commit is a checkpoint up to there, which
   * makes the WAL durable first: that is done here, on a thread of its own, so that it finds little left to wait for.
   */
  async #advance(): Promise<void> {
    if (this.#tight) await this.#follower.syncWal()
    this.#follower.advance()
  }

  /** Lets whoever waits for readers go on: nobody has committed since the last looks. */
  async #movePin(silence: number): Promise<void> {
    if (silence < (this.#tight ? MOVE_LATE_MS : MOVE_MS) || this.#follower.advance()) return
    const now = performance.now()
    if (silence < STUCK_MS || now < this.#nextAside || this.#owner.walInUse()) return
    this.#nextAside = now + STUCK_MS
    const { log } = this.#follower.state
    const result = this.#follower.idle.checkpoint()
    this.#noteOwn(result)
    if (!result.busy || (await this.#owner.keep()) < log) return
    if (!this.#owner.walInUse()) this.#follower.stepAside(ASIDE_MS)
  }

  /** Notes how fast commits come, over spans of at least a tenth of a second with commits in them. */
  #measure(now: number): void {
    const span = now - this.#measuredAt
    if (span < 100) return
    const { commits } = this.#follower
    if (commits > this.#measured) this.#tight = ((commits - this.#measured) / span) * 1000 > TIGHT_RATE
    this.#measured = commits
    this.#measuredAt = now
  }

  #resetAttempts(): void {
    // Where the last WAL could only be restarted under the lock, each attempt before that costs the disk two fsyncs.
    this.#nextAttempt = this.#neededLock ? this.#lockAt : this.#settings.minPages
    this.#attemptStep = this.#firstStep
  }

  get #lockAt(): number {
    return Math.min(this.#settings.truncateThreshold, this.#settings.minPages * LOCK_FACTOR)
  }

  #isDue(now: number): boolean {
    const { log } = this.#follower.state
    const { interval } = this.#settings
    return log >= this.#nextAttempt || now >= this.#nextQuiet || now - this.#lastCheckpoint >= interval
  }

  async #checkpoint(now: number): Promise<void> {
    // On a file that was replaced a checkpoint writes old pages into the new database.
    if (!this.#file.isInPlace()) return
    this.#lastCheckpoint = now
    this.#quietWaited(now)
    const { log, checkpointed } = this.#follower.state
    if (this.#pageBytes(log - checkpointed) > INLINE_BYTES || this.#lastDuration > INLINE_MS) {
      this.#follower.advance()
      this.#background = this.#checkpointInThread().finally(() => (this.#background = undefined))
      return
    }
    const first = this.#follower.idle.checkpoint()
    this.#noteOwn(first)
    if (first.busy) return
    // Copied before, so that the gap that is hoped for need not last for as long as that takes.
    if (!this.#neededLock) await this.#owner.keep()
    await this.#advance()
    this.#checkpointInline('passive')
    this.#follower.collectNow()
    this.#neededLock = false
    if (await this.#settle()) return
    this.#nextAttempt = this.#follower.state.log + this.#attemptStep
    this.#attemptStep = Math.min(this.#attemptStep * 2, this.#settings.minPages * LONGEST_STEP)
    if (this.#follower.state.log < this.#lockAt) return
    this.#neededLock = true
    await this.#checkpointLocked()
  }

  #pageBytes(pages: number): number {
    return pages * (this.#follower.generation?.header.pageSize ?? 0)
  }

  #checkpointInline(kind: CheckpointKind): CheckpointResult {
    const start = performance.now()
    const result = this.#follower.idle.checkpoint()
    this.#noteOwn(result)
    this.#lastDuration = performance.now() - start
    this.#report(kind, result, start, 0)
    return result
  }

  async #checkpointInThread(): Promise<void> {
    const start = performance.now()
    const result = await this.#pool.run(this.#file.path)
    this.#noteOwn(result)
    this.#lastDuration = 0
    this.#report('passive', result, start, 0)
  }

  /** Lets the WAL be restarted, if everything in it is backfilled and safe elsewhere, and checks what was backfilled. */
  async #settle(): Promise<boolean> {
    if (!(await this.#letRestart())) return false
    await this.#checkBackfill()
    return true
  }

  async #letRestart(): Promise<boolean> {
    const { state } = this.#follower
    if (state.log !== state.checkpointed || this.#owner.walInUse()) return false
    const kept = await this.#owner.keep()
    // A file that was put in its place must not be given our locks' protection, nor its WAL be restarted by us.
    if (this.#owner.walInUse() || !this.#follower.settle(kept)) return false
    this.#resetAttempts()
    return true
  }

  async #checkBackfill(): Promise<void> {
    const damaged = await this.#follower.checkBackfill()
    if (damaged.length > 0) this.#owner.damaged(damaged)
  }

  /**
   * Writers leave no gap and the WAL has grown long: hold them up for the moment it takes to read the rest and to
   * backfill it. Everything slow is done before; the lock is given back when the time is over, done or not.
   */
  async #checkpointLocked(): Promise<void> {
    if (this.#owner.walInUse() || !(await this.#lessenRest())) return
    const lock = new Connection(this.#file.path)
    try {
      if (!this.#lockWrites(lock)) return
      const start = performance.now()
      const end = setTimeout(() => lock.unlockWrites(), this.#settings.maxLock)
      let settled = false
      try {
        settled = await this.#underLock(lock)
      } finally {
        clearTimeout(end)
        lock.unlockWrites()
      }
      const { log, checkpointed } = this.#follower.state
      this.#report('locked', { busy: false, log, checkpointed }, start, performance.now() - start)
      // Nobody may write the database file until the WAL is started over, so this need not hold up anyone.
      if (settled) await this.#checkBackfill()
    } finally {
      lock.close()
    }
  }

  /** Backfills until little is left to be done under the lock. Whether the lock is worth it. */
  async #lessenRest(): Promise<boolean> {
    const most = this.#settings.maxLock * LOCK_SHARE
    let took = Infinity
    for (let pass = 0; pass < PASSES && took > most; pass++) {
      await this.#owner.keep()
      await this.#advance()
      took = await this.#checkpointAfterOthers()
      this.#follower.collectNow()
    }
    if (took > most && this.#follower.state.log < this.#lockAt * PATIENCE) return false
    // Under the lock what is durable by then need not be waited for.
    await Promise.all([this.#follower.syncWal(), this.#file.sync()])
    return true
  }

  /**
   * A checkpoint, after that of somebody else who is at it, the writer itself mostly: what that leaves is not known yet.
   *
   * @returns how long it took, in milliseconds; `Infinity` if the other one did not come to an end
   */
  async #checkpointAfterOthers(): Promise<number> {
    for (let waits = 0; waits < BUSY_WAITS; waits++) {
      const start = performance.now()
      if (!this.#checkpointInline('passive').busy) return performance.now() - start
      await sleep(LOCK_WAIT_MS)
    }
    return Infinity
  }

  /**
   * What was written last is read, backfilled, and kept. The writer that was stopped may itself be at a checkpoint, after
   * its last commit: then that is waited for. Or it has just begun to read, for its next one: that it gives up at once.
   */
  async #underLock(lock: Connection): Promise<boolean> {
    this.#follower.collectNow()
    this.#follower.advance()
    for (let readers = 0; ;) {
      const result = this.#follower.idle.checkpoint()
      this.#noteOwn(result)
      const isHeldUp = !result.busy && result.checkpointed < result.log && ++readers <= READER_WAITS
      if (!result.busy && !isHeldUp) break
      await sleep(LOCK_WAIT_MS)
      if (!lock.pinned) return false
    }
    this.#follower.collectNow()
    return await this.#letRestart()
  }

  #lockWrites(connection: Connection): boolean {
    const end = performance.now() + LOCK_TRY_MS
    while (performance.now() < end) if (connection.tryLockWrites()) return true
    return false
  }

  /** What we did ourselves is not taken for the work of others. */
  #noteOwn({ log, checkpointed }: { log: number; checkpointed: number }): void {
    const generation = this.#follower.position.generation
    this.#seen = { generation, log, checkpointed }
  }

  /** Somebody else has moved pages into the database, or emptied the WAL. */
  #noteForeign(): void {
    const before = this.#seen
    const { log, checkpointed } = this.#follower.state
    this.#noteOwn({ log, checkpointed })
    if (!before) return
    const same = before.generation === this.#follower.position.generation
    // A writer that starts the WAL over leaves it as long as it is; only a checkpoint of somebody else's cuts it off.
    const emptied = log === 0 && before.log > 0 && this.#follower.isWalEmpty()
    if (!emptied && checkpointed <= (same ? before.checkpointed : 0)) return
    this.#owner.report({ kind: 'foreign', result: { busy: false, log, checkpointed }, duration: 0, locked: 0 })
  }

  #report(kind: CheckpointKind, result: CheckpointResult, start: number, locked: number): void {
    this.#owner.report({ kind, result, duration: performance.now() - start, locked })
  }
}
