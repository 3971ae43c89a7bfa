import { join } from 'node:path'
import type { CompactReport } from '../compact/report.js'
import { MachineLock } from '../database/machine-lock.js'
import type { WalrustError } from '../errors.js'
import type { EventName } from '../events.js'
import { loadIdentity } from '../fence/identity.js'
import { fileSize } from '../fs/file-size.js'
import type { DatabaseInfo, FrameBatch } from '../hooks.js'
import { type Log, withFields } from '../log.js'
import type { DatabaseView } from '../pages/database-view.js'
import { makeShipper } from '../ship/make-shipper.js'
import type { ShipperOwner } from '../ship/parts.js'
import type { Shipper } from '../ship/shipper.js'
import { stateFolder } from '../state-folder.js'
import type { DatabaseStatus } from '../status.js'
import type { StorageLink } from '../storage/link.js'
import type { LogPosition } from '../wal/position.js'
import { CheckpointReports } from './checkpoint-reports.js'
import { FollowLoop } from './follow-loop.js'
import { FrameSupply } from './frame-supply.js'
import type { ReplicatorParts } from './parts.js'
import { WalReaders } from './wal-readers.js'

/** A larger batch is copied out of the WAL before it is encoded: encoding would hold the WAL for too long. */
const LARGE_BATCH = 1024

export interface FlushOptions {
  /** URLs of the storages it is about; all of them by default. */
  storages?: readonly string[]
  /** Ask storage now, even if it is being left alone because it has failed. */
  force?: boolean
  signal?: AbortSignal
}

/** One database: what is asked of it, and what the shipper of each of its storages asks for. */
export class Replicator implements ShipperOwner {
  readonly database: DatabaseInfo
  readonly #parts: ReplicatorParts
  readonly #log: Log
  readonly #shippers: Shipper[] = []
  readonly #readers = new WalReaders()
  readonly #reports: CheckpointReports
  readonly #frames: FrameSupply
  readonly #loop: FollowLoop
  #lock: MachineLock | undefined
  #running: Promise<void>[] = []

  constructor(parts: ReplicatorParts) {
    const { name, path, settings } = parts
    this.#parts = parts
    this.#log = withFields(parts.log, { database: name })
    this.database = { name, path, stateDir: stateFolder(path, settings.stateDir) }
    const shared = { ...parts, database: this.database, log: this.#log }
    this.#reports = new CheckpointReports(shared)
    this.#frames = new FrameSupply({
      ...shared,
      users: this.#shippers,
      following: () => this.#loop.follower,
      maxWaiting: settings.spool.maxSize,
      maxWal: settings.checkpoint.truncateThreshold,
    })
    this.#loop = new FollowLoop({
      ...shared,
      shippers: this.#shippers,
      frames: this.#frames,
      readers: this.#readers,
      reports: this.#reports,
      isHalted: () => this.halted !== undefined,
    })
  }

  /** See {@link DatabaseStatus}. */
  get status(): DatabaseStatus {
    const halted = this.halted
    const { name, path } = this.database
    return {
      name,
      path,
      state: halted ? 'halted' : this.#loop.state,
      since: this.#loop.stateSince,
      error: (halted ?? this.#loop.error)?.message,
      // Asked for when somebody looks, which takes as long as all the rest. It opens nothing: no lock is lost.
      get databaseBytes() {
        return fileSize(path)
      },
      get walBytes() {
        return fileSize(`${path}-wal`)
      },
      commits: this.#loop.commits,
      heldBytes: this.#frames.bytes,
      damagedPages: this.#reports.damagedPages,
      storages: this.#shippers.map((shipper) => shipper.status),
    }
  }

  /** The gravest reason why a storage gets nothing more. */
  get halted(): WalrustError | undefined {
    return this.#shippers.every((shipper) => shipper.halted) ? this.#shippers[0]?.halted : undefined
  }

  get shippers(): readonly Shipper[] {
    return this.#shippers
  }

  get end(): LogPosition {
    return this.#loop.end
  }

  get observed(): number {
    return this.#loop.observed
  }

  /** Opens the database and starts. Errors: `E_DATABASE_…`, `E_NOT_WAL`, `E_NOT_SQLITE`, `E_STATE`. */
  async start(): Promise<void> {
    const { database } = this
    try {
      // First, so that nothing is made beside what cannot be followed.
      this.#loop.open()
      this.#lock = new MachineLock(join(database.stateDir, 'lock'), database.path)
      await this.#makeShippers()
      await this.#loop.attach()
    } catch (error) {
      await this.close()
      throw error
    }
    this.#running = this.#shippers.map((shipper) => shipper.run())
    this.#loop.run()
  }

  /** Resolves when everything committed before the call is durable in every storage, or in those asked for. */
  async flush({ storages, force = false, signal }: FlushOptions = {}): Promise<void> {
    if (this.#loop.isGone) return
    await this.#loop.lookThrough(signal)
    for (const { health, store } of force ? this.#parts.links : [])
      if (storages?.includes(store.url) ?? true) health.hurry()
    await Promise.all(this.#shippersOf(storages).map((shipper) => shipper.flush(signal)))
  }

  /** Takes a snapshot of the newest state for every storage. Resolves with their transactions when they are durable. */
  async snapshot(storages?: readonly string[]): Promise<number[]> {
    await this.#loop.lookThrough()
    return await Promise.all(this.#shippersOf(storages).map((shipper) => shipper.snapshot()))
  }

  #shippersOf(storages: readonly string[] | undefined): Shipper[] {
    return this.#shippers.filter(({ url }) => storages?.includes(url) ?? true)
  }

  /**
   * Tells what there is to merge and to remove in one storage, and does it with `force`; `undefined` if nothing is
   * shipped there. Errors: those of {@link Shipper.compact}.
   */
  async compact(storage: string, force: boolean): Promise<CompactReport | undefined> {
    return await this.#shippers.find(({ url }) => url === storage)?.compact(force)
  }

  get isUnavailable(): boolean {
    return this.#loop.state === 'unavailable' && !this.halted
  }

  /** Whether there is reason to look again although nothing has told of it: see {@link FollowLoop.isTouched}. */
  get isTouched(): boolean {
    return this.#loop.isTouched
  }

  /** Looks again now: somebody has reason to think that there is something new. */
  poke(): void {
    this.#loop.poke()
  }

  /** Ends shipping. What is not durable in storage stays in the database and the spool. */
  async close(): Promise<void> {
    await this.#loop.stop()
    await Promise.all(this.#shippers.map((shipper) => shipper.stop()))
    await Promise.all(this.#running)
    for (const shipper of this.#shippers) await shipper.close()
    await this.#loop.close()
    this.#lock?.release()
    this.#lock = undefined
  }

  /**
   * Tells every storage that nobody has to wait who wants to go on, unless something of ours may still arrive there.
   * After {@link close}.
   *
   * @param alone this database is let go, others are not: otherwise the end of the heartbeat says it
   */
  async release(alone: boolean): Promise<void> {
    const release = async (shipper: Shipper, { lease }: StorageLink) => {
      if (shipper.uncertain) lease.leaveSilent()
      else if (alone) await shipper.release()
    }
    await Promise.all(this.#shippers.map((shipper, index) => release(shipper, this.#parts.links[index])))
  }

  // What shippers ask for.

  frames(since: LogPosition): Promise<FrameBatch> {
    return this.#frames.read(since)
  }

  openView(): DatabaseView {
    return this.#loop.follower.openView()
  }

  moved(): void {
    if (this.halted) this.#parts.onHalt()
    this.#frames.trim()
    this.poke()
  }

  async reading<T>(since: LogPosition, work: () => Promise<T>): Promise<T> {
    // A large batch goes through the tap that keeps frames, so that the WAL is free again before it is encoded.
    const { end } = this
    const frames = since.generation === end.generation ? end.frame - since.frame : end.frame
    if (frames > LARGE_BATCH) await this.#frames.keep()
    return await this.readingExactly(work)
  }

  readingExactly<T>(work: () => Promise<T>): Promise<T> {
    return this.#readers.run(work)
  }

  async #makeShippers(): Promise<void> {
    const { name, settings, hooks, links, notify } = this.#parts
    const identity = await loadIdentity(this.database.stateDir)
    const announce = (event: EventName, details: object = {}) => notify(event, name, details)
    const parts = { owner: this, settings, hooks, identity, announce, log: this.#log }
    for (const link of links) this.#shippers.push(await makeShipper(parts, link))
  }
}
