import { isError, systemCode } from '../errors.js'
import type { DatabaseInfo, FrameBatch } from '../hooks.js'
import type { Log } from '../log.js'
import { type Follower, ViewGivenUp } from '../wal/follower.js'
import { comparePositions, LOG_START, type LogPosition } from '../wal/position.js'
import { WalBatch } from '../wal/wal-batch.js'
import type { ReplicatorParts } from './parts.js'

/** Who frames are kept for: a shipper. */
export interface FrameUser {
  /** From where on it needs them; `undefined` while they are of no use to it. */
  readonly needs: LogPosition | undefined
  /** Whether everything read so far is durable in its storage. */
  readonly caughtUp: boolean
  /** Bytes that it has made of frames and that wait on this machine. */
  readonly waitingBytes: number
  readonly url: string
  /** What it still lacks is not kept any longer. */
  lost(reason: string): void
}

export interface FrameSupplyParts extends Pick<ReplicatorParts, 'hooks' | 'notify'> {
  database: DatabaseInfo
  users: readonly FrameUser[]
  /** What follows the WAL now. Errors: why nothing does. */
  following: () => Follower
  /** Bytes that may wait on this machine, and frames that the WAL may be long. */
  maxWaiting: number
  maxWal: number
  log: Log
}

/**
 * Where shippers get their frames from: the WAL, or, once that is to be restarted, whatever the tap of `frameRead` has
 * kept of it. What waits has a bound; beyond it frames are given up, and what they held is found by comparing.
 */
export class FrameSupply {
  readonly #parts: FrameSupplyParts
  /** What the tap of `frameRead` keeps outside the WAL. */
  #held: FrameBatch | undefined
  #keeping: Promise<unknown> = Promise.resolve()
  #walTooLong = false

  constructor(parts: FrameSupplyParts) {
    this.#parts = parts
  }

  /** Bytes that are kept outside the WAL. */
  get bytes(): number {
    return this.#held?.bytes ?? 0
  }

  /** The committed frames since a position, as far as the WAL has been read when this is called. */
  async read(since: LogPosition): Promise<FrameBatch> {
    const { database, hooks } = this.#parts
    const follower = this.#parts.following()
    // What is kept elsewhere is not read from the WAL: that may be restarted at any time once everything is kept.
    const wal = new WalBatch(follower, this.#keptSince(since))
    const request = { reason: 'ship' as const, database, pageSize: pageSizeOf(follower), since, wal }
    return (await hooks.frameRead.promise(request)) ?? wal
  }

  /**
   * Has the frames kept elsewhere that are only in the WAL.
   *
   * @returns how many frames of the present generation are safe: all that were read, or fewer
   */
  keep(): Promise<number> {
    // One after the other: two at once would hand over the same frames twice.
    const kept = this.#keeping.then(() => this.#keep())
    this.#keeping = kept.catch(() => undefined)
    return kept
  }

  /** Shippers have moved: what none of them needs any more may go. */
  trim(): void {
    const lowest = this.#lowest()
    if (lowest && this.#held) void this.#held.trim(lowest)
  }

  /** A WAL beyond its threshold is told of, and not held for frames that cannot be kept elsewhere. */
  async checkWalSize(follower: Follower): Promise<void> {
    const { log } = follower.state
    const { maxWal, database, notify } = this.#parts
    const tooLong = log > maxWal && !follower.restartAllowed
    if (tooLong && !this.#walTooLong) {
      notify('wal_size_exceeded', database.name, { context: { frames: log, limit: maxWal } })
    }
    this.#walTooLong = tooLong
    // A snapshot that is being read keeps the WAL from starting over.
    if (log > maxWal) follower.giveUpSpareViews(new ViewGivenUp('the WAL has grown too long to be held'))
    if (tooLong && (await this.keep()) < log) this.#giveUp('the WAL has grown too long to be held')
  }

  /** What the tap of `frameRead` still has from an earlier run. */
  async recover(): Promise<FrameBatch | undefined> {
    const { database, hooks } = this.#parts
    const request = { reason: 'recover' as const, database, pageSize: 0, since: LOG_START, wal: undefined }
    return (await hooks.frameRead.promise(request)) ?? undefined
  }

  /** Takes up what was recovered if the WAL continues there (`proved`), and has it thrown away otherwise. */
  async takeUp(held: FrameBatch, proved: boolean): Promise<void> {
    held.close()
    if (proved) this.#held = held
    else await held.trim(held.to)
  }

  /** Whether a position lies in what is kept outside the WAL, and that continues there. */
  holds(at: LogPosition): boolean {
    const held = this.#held
    return held !== undefined && comparePositions(held.from, at) <= 0 && comparePositions(at, held.to) <= 0
  }

  /** Nothing that was kept counts any more. */
  async forget(): Promise<void> {
    await this.#held?.trim(this.#held.to)
    this.#held = undefined
  }

  async #keep(): Promise<number> {
    const { database, hooks, notify } = this.#parts
    const follower = this.#parts.following()
    const end = follower.position
    const lowest = this.#lowest()
    if (!lowest || comparePositions(lowest, end) >= 0) return end.frame
    const since = this.#keptSince(lowest)
    if (comparePositions(since, end) >= 0) return end.frame
    const wal = new WalBatch(follower, since)
    const request = { reason: 'release' as const, database, pageSize: pageSizeOf(follower), since, wal }
    try {
      const kept = await hooks.frameRead.promise(request)
      kept?.close()
      if (kept) this.#held = kept
      this.#checkWaiting()
      const upTo = kept?.to ?? since
      return upTo.generation === end.generation ? upTo.frame : 0
    } catch (error) {
      if (!isDiskFull(error)) throw error
      notify('disk_full', database.name, { error })
      this.#giveUp('there was no room to keep them')
      return end.frame
    }
  }

  /** Up to where everything after `since` is kept outside the WAL; `since` itself if nothing is. */
  #keptSince(since: LogPosition): LogPosition {
    const held = this.#held
    return held && comparePositions(held.from, since) <= 0 && comparePositions(held.to, since) > 0 ? held.to : since
  }

  /** The lowest position that some shipper still needs frames from. */
  #lowest(): LogPosition | undefined {
    let lowest: LogPosition | undefined
    for (const { needs } of this.#parts.users)
      if (needs && (!lowest || comparePositions(needs, lowest) < 0)) lowest = needs
    return lowest
  }

  /** What waits on this machine has a bound: beyond it frames are given up. */
  #checkWaiting(): void {
    const { users, maxWaiting, database, notify } = this.#parts
    const waiting = this.bytes + users.reduce((sum, user) => sum + user.waitingBytes, 0)
    if (waiting <= maxWaiting) return
    notify('spool_high', database.name, { context: { bytes: waiting, limit: maxWaiting } })
    this.#giveUpSlowest('more was waiting than may be kept')
  }

  /**
   * Lets the frames go that only the storages furthest behind still lack: one that is away must not cost another its own
   * catching up. If that is not enough, the next look finds the next one.
   */
  #giveUpSlowest(reason: string): void {
    const lowest = this.#lowest()
    for (const user of this.#parts.users) {
      const { needs, caughtUp, url } = user
      if (!lowest || !needs || caughtUp || comparePositions(needs, lowest) > 0) continue
      this.#parts.log.warn('frames were given up', { reason, storage: url })
      user.lost(reason)
    }
    const held = this.#held
    const next = this.#lowest()
    if (!next) this.#held = undefined
    void held?.trim(next ?? held.to)
  }

  /**
   * Lets frames go that storage does not have, so that neither the WAL nor the disk is held for them. Nothing is lost:
   * when storage is back, what differs is found by comparing.
   */
  #giveUp(reason: string): void {
    this.#parts.log.warn('frames were given up', { reason })
    for (const user of this.#parts.users) if (!user.caughtUp) user.lost(reason)
    void this.#held?.trim(this.#held.to)
    this.#held = undefined
  }
}

function pageSizeOf(follower: Follower): number {
  return follower.generation?.header.pageSize ?? 0
}

/** Whether an error, or what caused it, is that a disk is full. */
function isDiskFull(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (isError(cause, 'E_DISK_FULL') || ['ENOSPC', 'EDQUOT'].includes(systemCode(cause) ?? '')) return true
  }
  return false
}
