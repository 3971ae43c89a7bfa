import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { DatabaseFile } from '../database/database-file.js'
import { openWalDatabase } from '../database/open-wal-database.js'
import { messageOf, systemCode, WalrustError } from '../errors.js'
import type { DatabaseInfo } from '../hooks.js'
import type { Log } from '../log.js'
import type { Shipper } from '../ship/shipper.js'
import { WakeUp } from '../ship/signal.js'
import type { DatabaseStatus } from '../status.js'
import { Checkpointer, type CheckpointOwner } from '../wal/checkpointer.js'
import { ContinuityLost, Follower } from '../wal/follower.js'
import { comparePositions, LOG_START, type LogPosition } from '../wal/position.js'
import { Attachment, Replaced } from './attachment.js'
import type { CheckpointReports } from './checkpoint-reports.js'
import type { FrameSupply } from './frame-supply.js'
import { Pace } from './pace.js'
import type { ReplicatorParts } from './parts.js'
import type { WalReaders } from './wal-readers.js'

/** How often a busy database is looked at, in milliseconds: reaction to a foreign checkpoint that waits for us. */
const TICK = 2
/** How often one is looked at that does not come to rest, because somebody else's reader is in the way. */
const SLOW_TICK = 250
/** An unavailable database is looked for after this long, doubling up to the longest. */
const FIRST_RETRY = 100
const LONGEST_RETRY = 5000

/** How long a deleted database may take to be drained, in milliseconds. */
const DRAIN = 5000

export interface FollowLoopParts extends Pick<ReplicatorParts, 'settings' | 'checkpoints' | 'notify'> {
  database: DatabaseInfo
  shippers: ReadonlyArray<Pick<Shipper, 'known' | 'placed' | 'committed' | 'lost' | 'flush'>>
  frames: FrameSupply
  readers: WalReaders
  reports: CheckpointReports
  /** Whether nothing more is shipped of it. */
  isHalted: () => boolean
  log: Log
}

/**
 * Follows the WAL of one database: looks, reads, tends to checkpoints, and sleeps until it changes. Whatever breaks
 * continuity ends in the same place: everything is closed, opened anew, and the shippers compare.
 */
export class FollowLoop {
  readonly #parts: FollowLoopParts
  readonly #wake = new WakeUp()
  readonly #pace = new Pace()
  #file: DatabaseFile | undefined
  #attached: Attachment | undefined
  #observed = Date.now()
  /** Whether it was told of that the file cannot be followed, since it could be. */
  #toldUnavailable = false
  /** Whether the file was deleted and everything that it held is in storage. */
  #drained = false
  #nextSequence = 1
  #state: Exclude<DatabaseStatus['state'], 'halted'> = 'starting'
  #stateSince = Date.now()
  /** Commits read through followers that are closed. */
  #commits = 0
  #error: WalrustError | undefined
  #stopping = false
  #running: Promise<void> | undefined

  constructor(parts: FollowLoopParts) {
    this.#parts = parts
  }

  get state(): DatabaseStatus['state'] {
    return this.#state
  }

  /** Since when it is in that state, milliseconds since the epoch. */
  get stateSince(): number {
    return this.#stateSince
  }

  /** Why the database is not followed. */
  get error(): WalrustError | undefined {
    return this.#error
  }

  /** Commits that were read. */
  get commits(): number {
    return this.#commits + (this.#attached?.follower.commits ?? 0)
  }

  /** Up to where the WAL has been read. */
  get end(): LogPosition {
    return this.#attached?.follower.position ?? LOG_START
  }

  /** When the newest commit read so far was first seen, milliseconds since the epoch. */
  get observed(): number {
    return this.#observed
  }

  /** What follows the WAL now. Errors: why nothing does. */
  get follower(): Follower {
    return this.#following().follower
  }

  /** Whether the database was deleted, after everything that it held was in storage. */
  get isGone(): boolean {
    return this.#drained && !this.#attached && !existsSync(this.#parts.database.path)
  }

  /** Whether there is reason to look again although nothing has told of it: the files are not as they were, or not open. */
  get isTouched(): boolean {
    return this.#attached?.isTouched ?? true
  }

  /** Opens the database file. Errors: those of {@link openWalDatabase}. */
  open(): void {
    this.#file = openWalDatabase(this.#parts.database.path)
  }

  /**
   * After {@link open}: tells the shippers where they stand, and begins to read the WAL from there.
   *
   * @param lost why nothing that was read before counts; `undefined` at the first start, when positions may be proved
   */
  async attach(lost?: string): Promise<void> {
    const { settings, checkpoints } = this.#parts
    const file = this.#file
    if (!file) throw new WalrustError('E_INTERNAL', 'attach without a file')
    const follower = new Follower(file, this.#nextSequence)
    try {
      await this.#place(follower, lost)
    } catch (error) {
      await follower.close(error as Error)
      throw error
    }
    const checkpointer = new Checkpointer(follower, file, settings.checkpoint, this.#checkpointOwner(), checkpoints)
    this.#attached = new Attachment(file, follower, checkpointer, () => this.poke())
    this.#pace.fresh()
    this.#observed = Date.now()
    this.#setState('live')
    this.#error = undefined
    this.#toldUnavailable = false
    this.#drained = false
  }

  /** After {@link attach}: goes on until {@link stop}. */
  run(): void {
    this.#running = this.#run()
  }

  /** Looks again now: somebody has reason to think that there is something new. */
  poke(): void {
    this.#wake.notify()
  }

  /**
   * Looks until a look goes through: a database that has to be opened anew is left to the loop, and everything after
   * that is found by comparing, which nobody is told of as durable before it is.
   */
  async lookThrough(signal?: AbortSignal): Promise<void> {
    while (this.#attached && !this.#stopping && !this.#parts.isHalted()) {
      signal?.throwIfAborted()
      try {
        await this.#look()
        return
      } catch {
        this.poke()
        await sleep(FIRST_RETRY / 2)
      }
    }
  }

  /** Looks no more. What is open stays open. */
  async stop(): Promise<void> {
    this.#stopping = true
    this.poke()
    await this.#running
  }

  /** After {@link stop}: backfills what can be backfilled, and closes everything. */
  async close(): Promise<void> {
    try {
      await this.#attached?.checkpointer.finish()
    } catch (error) {
      this.#parts.log.warn('the last checkpoint was not done', { error: messageOf(error) })
    }
    await this.#closeFile(new WalrustError('E_ABORTED', 'walrust was stopped'))
    this.#setState('closed')
  }

  #following(): Attachment {
    if (this.#attached) return this.#attached
    throw this.#error ?? new WalrustError('E_DATABASE_UNREADABLE', `${this.#parts.database.path} is not open`)
  }

  #setState(state: Exclude<DatabaseStatus['state'], 'halted'>): void {
    if (state !== this.#state) this.#stateSince = Date.now()
    this.#state = state
  }

  #checkpointOwner(): CheckpointOwner {
    return {
      keep: () => this.#parts.frames.keep(),
      walInUse: () => this.#parts.readers.any,
      report: (report) => this.#parts.reports.report(report),
      damaged: (pages) => this.#parts.reports.damaged(pages),
    }
  }

  /** Proves what can be proved of the positions that were kept, and tells the shippers. */
  async #place(follower: Follower, lost: string | undefined): Promise<void> {
    const known = this.#parts.shippers.flatMap(({ known }) => known ?? [])
    const held = lost === undefined ? await this.#parts.frames.recover() : undefined
    if (held) known.push({ at: held.to, proof: held.proof })
    const proved = await follower.attach(lost === undefined ? known : [])
    const isProved = (at: LogPosition) => proved.some((other) => comparePositions(at, other) === 0)
    if (held) await this.#parts.frames.takeUp(held, isProved(held.to))
    for (const shipper of this.#parts.shippers) {
      const at = shipper.known?.at
      // Either the position itself is in the WAL, or it lies in what was kept, and that continues there.
      const found = at !== undefined && (isProved(at) || this.#parts.frames.holds(at))
      shipper.placed(found ? undefined : (lost ?? 'it could not be proved that the WAL continues where it was left'))
    }
  }

  async #closeFile(reason: Error): Promise<void> {
    const attached = this.#attached
    this.#attached = undefined
    await attached?.rest()
    await this.#parts.readers.none()
    if (attached) {
      this.#nextSequence = attached.follower.nextSequence + 1
      this.#commits += attached.follower.commits
    }
    await attached?.follower.close(reason)
    // Last of all: closing it drops the locks of every connection on the file.
    this.#file?.close()
    this.#file = undefined
  }

  async #run(): Promise<void> {
    const { maxDelay } = this.#parts.settings.resilience
    const first = Math.min(FIRST_RETRY, maxDelay)
    let retry = first
    while (!this.#stopping) {
      try {
        if (!this.#attached) await this.#reopen()
        await this.#tick()
        retry = first
        await this.#sleep()
      } catch (error) {
        await this.#trouble(error)
        await this.#wake.wait(retry)
        retry = Math.min(LONGEST_RETRY, maxDelay, retry * 2)
      }
    }
  }

  async #tick(): Promise<void> {
    const { follower, checkpointer } = this.#following()
    if (!this.#pace.tick() && !follower.hasNews()) await checkpointer.tend(false)
    else await this.#look()
  }

  async #look(): Promise<void> {
    this.#pace.looked()
    const attached = this.#following()
    const { follower } = attached
    attached.checkIdentity()
    const fresh = await follower.collect()
    if (fresh) {
      this.#pace.fresh()
      this.#observed = Date.now()
      for (const shipper of this.#parts.shippers) shipper.committed()
    }
    await this.#attached?.checkpointer.tend(fresh)
    await this.#parts.frames.checkWalSize(follower)
  }

  /** Sleeps until there is reason to look again. */
  async #sleep(): Promise<void> {
    const attached = this.#following()
    const { file, follower, checkpointer } = attached
    const { settled } = checkpointer
    // With the pin at the end nobody waits for us before pages are moved, and that and the next commit are events.
    if (this.#pace.isBusy(file, settled, settled || follower.pinAtEnd)) {
      // Whoever wakes us knows of something that may not show in the WAL.
      if (await this.#wake.wait(TICK)) this.#pace.lookNext()
      return
    }
    if (!attached.arm()) {
      await this.#wake.wait(SLOW_TICK)
      this.#pace.lookNext()
      return
    }
    // Armed first, looked once more, then slept: a write in between is not missed.
    const before = this.end
    await this.#look()
    if (comparePositions(before, this.end) !== 0) return
    const due = checkpointer.wait
    const wait = settled ? due : Math.min(due, SLOW_TICK)
    const woken = await this.#doze(follower, wait)
    attached.disarm()
    this.#pace.lookNext()
    if (woken) this.#pace.fresh()
  }

  /** Sleeps until somebody wakes us (true), there may be something new, or for so many milliseconds. */
  async #doze(follower: Follower, wait: number): Promise<boolean> {
    const end = performance.now() + wait
    for (;;) {
      const { isRecent } = this.#pace
      // Not opened again while we listen: as root SQLite sets the owner of what it opens, which is an event.
      if (!isRecent && wait === Infinity) follower.rest()
      const next = Math.min(end, performance.now() + this.#pace.nextPeek)
      if (await this.#wake.wait(next - performance.now())) return true
      if (next === end || !isRecent || follower.hasNews()) return false
    }
  }

  /** Whether another file, or none, is where the one that is open was. One that cannot be looked at may still be it. */
  #isReplaced(): boolean {
    try {
      return this.#file?.isInPlace() === false
    } catch {
      return false
    }
  }

  /** Something about the database is not as it was. Everything is closed; the loop opens it anew. */
  async #trouble(error: unknown): Promise<void> {
    const { name } = this.#parts.database
    // Whatever it was that failed: it can do so because the file has gone since it was looked at.
    const replaced = error instanceof Replaced || this.#isReplaced()
    const reason = messageOf(error)
    const first = this.#state === 'live'
    const deleted = replaced && !existsSync(this.#parts.database.path)
    if (deleted) await this.#drainDeleted()
    if (replaced && !deleted) this.#parts.notify('database_replaced', name, { error: reason })
    else if (!(error instanceof ContinuityLost) && !this.#toldUnavailable) {
      this.#toldUnavailable = true
      const gone = `${this.#parts.database.path} was deleted`
      this.#parts.notify('database_unavailable', name, { error: deleted ? gone : reason })
    }
    if (!isExpected(error)) this.#parts.log.error('unexpected', { error: (error as Error).stack })
    if (first)
      this.#parts.log.warn(replaced ? 'the database was replaced' : 'the database has to be opened anew', { reason })
    for (const shipper of this.#parts.shippers) shipper.lost(reason)
    await this.#parts.frames.forget()
    this.#setState('unavailable')
    this.#error = error instanceof WalrustError ? error : new WalrustError('E_DATABASE_UNREADABLE', reason)
    await this.#closeFile(new ContinuityLost(reason))
  }

  /**
   * The file was deleted. What was committed before that can still be read by what we have open of it, and is lost for
   * good when that is closed: it is shipped first. Whatever keeps it from that is no reason to wait for long.
   */
  async #drainDeleted(): Promise<void> {
    try {
      this.#attached?.follower.orphaned()
      await this.#attached?.follower.collect()
      for (const shipper of this.#parts.shippers) shipper.committed()
      const signal = AbortSignal.timeout(DRAIN)
      const drained = await Promise.allSettled(this.#parts.shippers.map((shipper) => shipper.flush(signal)))
      const left = drained.filter(({ status }) => status === 'rejected').length
      if (left > 0) this.#parts.log.warn('a deleted database was not drained', { storages: left })
      this.#drained = left === 0
    } catch (error) {
      this.#parts.log.warn('a deleted database was not drained', { error: messageOf(error) })
    }
  }

  async #reopen(): Promise<void> {
    this.open()
    await this.attach(this.#error?.message ?? 'the database was opened anew')
    this.#parts.notify('recovered', this.#parts.database.name, {})
  }
}

/** Whether an error is one that a database or a disk can cause; anything else is a defect of ours. */
function isExpected(error: unknown): boolean {
  return (
    error instanceof WalrustError ||
    error instanceof ContinuityLost ||
    error instanceof Replaced ||
    systemCode(error) !== undefined
  )
}
