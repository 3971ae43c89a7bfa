import { createHash } from 'node:crypto'
import { existsSync, statSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { CompactReport } from './compact/report.js'
import { DatabaseFile, type FileMark, sameMark } from './database/database-file.js'
import { MachineLock } from './database/machine-lock.js'
import { isError, messageOf, systemCode, WalrustError } from './errors.js'
import type { EventName } from './events.js'
import type { DatabaseInfo, FrameBatch, Hooks } from './hooks.js'
import { type Log, withFields } from './log.js'
import type { ObjectStore } from './object-store.js'
import type { DatabaseView } from './pages/database-view.js'
import { Remote } from './remote.js'
import type { DatabaseSettings } from './settings.js'
import type { DatabaseStatus } from './status.js'
import { LocalState } from './ship/local-state.js'
import { Shipper, type ShipperOwner } from './ship/shipper.js'
import { WakeUp } from './ship/signal.js'
import { Uploader } from './ship/uploader.js'
import type { StorageLink } from './storage/link.js'
import type { CheckpointPool } from './wal/checkpoint-pool.js'
import { Checkpointer, type CheckpointOwner, type CheckpointReport } from './wal/checkpointer.js'
import { ContinuityLost, Follower, ViewGivenUp } from './wal/follower.js'
import { comparePositions, LOG_START, type LogPosition } from './wal/position.js'
import { WalBatch } from './wal/wal-batch.js'
import { FileWatcher } from './wal/watcher.js'

/** How often a busy database is looked at, in milliseconds: reaction to a foreign checkpoint that waits for us. */
const TICK = 2
/** So long after the last commit the database counts as busy, while there is something to be done about its WAL. */
const BUSY = 2000
/** The same when there is nothing to be done: file events tell of the next commit. */
const CALM = 8
/**
 * So long after the database file was written it is looked at that often too: somebody moves pages there, and once they
 * are durable may wait for our pin with the write lock in hand. No event tells of that moment.
 */
const BACKFILL = 300
/** How often one is looked at that does not come to rest, because somebody else's reader is in the way. */
const SLOW_TICK = 250
/** An unavailable database is looked for after this long, doubling up to the longest. */
const FIRST_RETRY = 100
const LONGEST_RETRY = 5000
/** A larger batch is copied out of the WAL before it is encoded: encoding would hold the WAL for too long. */
const LARGE_BATCH = 1024

export interface FlushOptions {
  /** URLs of the storages it is about; all of them by default. */
  storages?: readonly string[]
  /** Ask storage now, even if it is being left alone because it has failed. */
  force?: boolean
  signal?: AbortSignal
}

/** How long a deleted database may take to be drained, in milliseconds. */
const DRAIN = 5000

/** How often it is told of that somebody else empties the WAL, in milliseconds. */
const FOREIGN_EVERY = 10 * 60_000

export interface ReplicatorParts {
  name: string
  path: string
  settings: DatabaseSettings
  hooks: Hooks
  log: Log
  /** Where it is shipped to. */
  links: readonly StorageLink[]
  checkpoints: CheckpointPool
  /** Told when the database is {@link Replicator.halted}. */
  onHalt: () => void
  onCheckpoint: (database: string, report: CheckpointReport) => void
  notify: (
    event: EventName,
    database: string,
    details: { error?: unknown; attempts?: number; context?: object },
  ) => void
}

/**
 * One database: follows its WAL and feeds a shipper for each storage.
 *
 * The loop looks, reads, tends to checkpoints, and sleeps until the WAL changes. Whatever breaks continuity ends in the
 * same place: everything is closed, opened anew, and the shippers compare.
 */
export class Replicator implements ShipperOwner, CheckpointOwner {
  readonly database: DatabaseInfo
  readonly #parts: ReplicatorParts
  readonly #log: Log
  readonly #wake = new WakeUp()
  readonly #shippers: Shipper[] = []
  #lock: MachineLock | undefined
  #file: DatabaseFile | undefined
  #follower: Follower | undefined
  #checkpointer: Checkpointer | undefined
  #watcher: FileWatcher | undefined
  /** Listens to the database file itself. */
  #fileWatcher: FileWatcher | undefined
  /** What the tap of `frameRead` keeps outside the WAL. */
  #held: FrameBatch | undefined
  /** How many readers there are of pages in the WAL. */
  #reading = 0
  #readingEnded: (() => void) | undefined
  #keeping: Promise<unknown> = Promise.resolve()
  #observed = Date.now()
  #lastFresh = 0
  /** The database file as it was last seen while there was something in the WAL, and when that had changed. */
  #mark: FileMark | undefined
  #lastBackfill = -Infinity
  #walTooLong = false
  #nextSequence = 1
  #state: DatabaseStatus['state'] = 'starting'
  #stateSince = Date.now()
  /** Pages that were found damaged. */
  #damaged = 0
  /** How often somebody else has emptied the WAL since that was last told of, and when it may be told of again. */
  #emptied = 0
  #nextEmptied = 0
  /** Commits read through followers that are closed. */
  #commits = 0
  #error: WalrustError | undefined
  #stopping = false
  #loop: Promise<void> | undefined
  #running: Promise<void>[] = []

  constructor(parts: ReplicatorParts) {
    this.#parts = parts
    this.#log = withFields(parts.log, { database: parts.name })
    this.database = { name: parts.name, path: parts.path, stateDir: stateFolder(parts.path, parts.settings.stateDir) }
  }

  /** See {@link DatabaseStatus}. */
  get status(): DatabaseStatus {
    const halted = this.halted
    const { name, path } = this.database
    return {
      name,
      path,
      state: halted ? 'halted' : this.#state,
      since: this.#stateSince,
      error: (halted ?? this.#error)?.message,
      // Asking for sizes opens nothing: no lock is lost.
      databaseBytes: sizeOf(path),
      walBytes: sizeOf(`${path}-wal`),
      commits: this.#commits + (this.#follower?.commits ?? 0),
      heldBytes: this.#held?.bytes ?? 0,
      damagedPages: this.#damaged,
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
    return this.#follower?.position ?? LOG_START
  }

  get observed(): number {
    return this.#observed
  }

  /** Opens the database and starts. Errors: `E_DATABASE_…`, `E_NOT_WAL`, `E_NOT_SQLITE`, `E_STATE`. */
  async start(): Promise<void> {
    const { database } = this
    try {
      this.#lock = new MachineLock(join(database.stateDir, 'lock'), database.path)
      this.#openFile()
      for (const link of this.#parts.links) this.#shippers.push(await this.#makeShipper(link))
      await this.#attach(undefined)
    } catch (error) {
      await this.close()
      throw error
    }
    this.#running = this.#shippers.map((shipper) => shipper.run())
    this.#loop = this.#run()
  }

  /** Resolves when everything committed before the call is durable in every storage, or in those asked for. */
  async flush({ storages, force = false, signal }: FlushOptions = {}): Promise<void> {
    await this.#lookThrough(signal)
    for (const { health, store } of force ? this.#parts.links : [])
      if (storages?.includes(store.url) ?? true) health.hurry()
    await Promise.all(this.#shippersOf(storages).map((shipper) => shipper.flush(signal)))
  }

  /** Takes a snapshot of the newest state for every storage. Resolves with their transactions when they are durable. */
  async snapshot(storages?: readonly string[]): Promise<number[]> {
    await this.#lookThrough()
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

  /** Looks again now: somebody has reason to think that there is something new. */
  poke(): void {
    this.#wake.notify()
  }

  /** Ends shipping. What is not durable in storage stays in the database and the spool. */
  async close(): Promise<void> {
    this.#stopping = true
    this.poke()
    await this.#loop
    await Promise.all(this.#shippers.map((shipper) => shipper.stop()))
    await Promise.all(this.#running)
    for (const shipper of this.#shippers) await shipper.close()
    try {
      await this.#checkpointer?.finish()
    } catch (error) {
      this.#log.warn('the last checkpoint was not done', { error: messageOf(error) })
    }
    await this.#closeFile(new WalrustError('E_ABORTED', 'walrust was stopped'))
    this.#lock?.release()
    this.#lock = undefined
    this.#setState('closed')
  }

  // What shippers ask for.

  async frames(since: LogPosition): Promise<FrameBatch> {
    const follower = this.#following()
    // What is kept elsewhere is not read from the WAL: that may be restarted at any time once everything is kept.
    const wal = new WalBatch(follower, this.#keptSince(since))
    const request = { reason: 'ship' as const, database: this.database, pageSize: this.#pageSize, since, wal }
    return (await this.#parts.hooks.frameRead.promise(request)) ?? wal
  }

  openView(): DatabaseView {
    return this.#following().openView()
  }

  moved(): void {
    if (this.halted) this.#parts.onHalt()
    const lowest = this.#lowest()
    if (lowest && this.#held) void this.#held.trim(lowest)
    this.poke()
  }

  async reading<T>(since: LogPosition, work: () => Promise<T>): Promise<T> {
    // A large batch goes through the tap that keeps frames, so that the WAL is free again before it is encoded.
    const { end } = this
    const frames = since.generation === end.generation ? end.frame - since.frame : end.frame
    if (frames > LARGE_BATCH) await this.keep()
    return await this.readingExactly(work)
  }

  async readingExactly<T>(work: () => Promise<T>): Promise<T> {
    this.#reading++
    try {
      return await work()
    } finally {
      this.#reading--
      if (this.#reading === 0) this.#readingEnded?.()
    }
  }

  // What the checkpointer asks for.

  walInUse(): boolean {
    return this.#reading > 0
  }

  keep(): Promise<number> {
    // One after the other: two at once would hand over the same frames twice.
    const kept = this.#keeping.then(() => this.#keep())
    this.#keeping = kept.catch(() => undefined)
    return kept
  }

  async #keep(): Promise<number> {
    const follower = this.#following()
    const end = follower.position
    const lowest = this.#lowest()
    if (!lowest || comparePositions(lowest, end) >= 0) return end.frame
    const since = this.#keptSince(lowest)
    if (comparePositions(since, end) >= 0) return end.frame
    const wal = new WalBatch(follower, since)
    const request = { reason: 'release' as const, database: this.database, pageSize: this.#pageSize, since, wal }
    try {
      const kept = await this.#parts.hooks.frameRead.promise(request)
      kept?.close()
      if (kept) this.#held = kept
      this.#checkWaiting()
      const upTo = kept?.to ?? since
      return upTo.generation === end.generation ? upTo.frame : 0
    } catch (error) {
      if (!isDiskFull(error)) throw error
      this.#parts.notify('disk_full', this.database.name, { error })
      this.#giveUpFrames('there was no room to keep them')
      return end.frame
    }
  }

  /** Up to where everything after `since` is kept outside the WAL; `since` itself if nothing is. */
  #keptSince(since: LogPosition): LogPosition {
    const held = this.#held
    return held && comparePositions(held.from, since) <= 0 && comparePositions(held.to, since) > 0 ? held.to : since
  }

  /** What waits on this machine has a bound: beyond it frames are given up. */
  #checkWaiting(): void {
    const { settings, notify } = this.#parts
    const waiting = (this.#held?.bytes ?? 0) + this.#shippers.reduce((sum, shipper) => sum + shipper.waitingBytes, 0)
    if (waiting <= settings.spool.maxSize) return
    notify('spool_high', this.database.name, { context: { bytes: waiting, limit: settings.spool.maxSize } })
    this.#giveUpFrames('more was waiting than may be kept')
  }

  /**
   * Lets frames go that storage does not have, so that neither the WAL nor the disk is held for them. Nothing is lost:
   * when storage is back, what differs is found by comparing.
   */
  #giveUpFrames(reason: string): void {
    this.#log.warn('frames were given up', { reason })
    for (const shipper of this.#shippers) if (!shipper.caughtUp) shipper.lost(reason)
    void this.#held?.trim(this.#held.to)
    this.#held = undefined
  }

  report(report: CheckpointReport): void {
    this.#parts.onCheckpoint(this.database.name, report)
    if (report.kind === 'foreign') this.#noteForeign(report)
    this.#log.debug('checkpoint', {
      ...report.result,
      kind: report.kind,
      duration: report.duration,
      locked: report.locked,
    })
  }

  damaged(pages: readonly number[]): void {
    this.#damaged += pages.length
    const { path, name } = this.database
    const error = `${pages.length} pages of ${path} are not what was committed: a checkpoint did not bring them there`
    const context = { pages: pages.slice(0, 20), count: pages.length }
    this.#log.error('the database file is damaged; its backup is not', { error, ...context })
    this.#parts.notify('corruption_detected', name, { error, context })
  }

  /** Somebody else empties the WAL. That does no harm, but whoever looks for a cause should know: told of now and then. */
  #noteForeign({ result }: CheckpointReport): void {
    if (result.log > 0) return
    this.#emptied++
    const now = performance.now()
    if (now < this.#nextEmptied) return
    this.#nextEmptied = now + FOREIGN_EVERY
    this.#parts.notify('checkpoint_detected', this.database.name, { context: { count: this.#emptied } })
    this.#emptied = 0
  }

  /** The lowest position that some shipper still needs frames from. */
  #lowest(): LogPosition | undefined {
    let lowest: LogPosition | undefined
    for (const { needs } of this.#shippers)
      if (needs && (!lowest || comparePositions(needs, lowest) < 0)) lowest = needs
    return lowest
  }

  get #pageSize(): number {
    return this.#follower?.generation?.header.pageSize ?? 0
  }

  #following(): Follower {
    if (this.#follower) return this.#follower
    throw this.#error ?? new WalrustError('E_DATABASE_UNREADABLE', `${this.database.path} is not open`)
  }

  #setState(state: DatabaseStatus['state']): void {
    if (state !== this.#state) this.#stateSince = Date.now()
    this.#state = state
  }

  // Opening and closing.

  #openFile(): void {
    const { path } = this.database
    const file = DatabaseFile.open(path)
    try {
      const header = file.header()
      if (!header) {
        const empty = file.mark().size === 0n
        const what = empty ? 'is empty (0 bytes): it is no database yet' : 'is not an SQLite database'
        throw new WalrustError(empty ? 'E_NOT_WAL' : 'E_NOT_SQLITE', `${path} ${what}`, { database: path })
      }
      if (!header.wal) {
        const hint = `Turn it on once, with the application stopped: sqlite3 ${path} 'PRAGMA journal_mode=WAL'`
        throw new WalrustError('E_NOT_WAL', `${path} is not in WAL mode`, { database: path, hint })
      }
    } catch (error) {
      file.close()
      throw error
    }
    this.#file = file
  }

  /**
   * Starts to follow the WAL.
   *
   * @param lost why nothing that was read before counts; `undefined` at the first start, when positions may be proved
   */
  async #attach(lost: string | undefined): Promise<void> {
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
    this.#follower = follower
    this.#checkpointer = new Checkpointer(follower, file, settings.checkpoint, this, checkpoints)
    this.#watcher = new FileWatcher(follower.walPath, () => this.poke())
    this.#fileWatcher = new FileWatcher(file.path, () => this.poke())
    this.#lastFresh = performance.now()
    this.#observed = Date.now()
    this.#setState('live')
    this.#error = undefined
  }

  /** Proves what can be proved of the positions that were kept, and tells the shippers. */
  async #place(follower: Follower, lost: string | undefined): Promise<void> {
    const known = this.#shippers.flatMap(({ known }) => known ?? [])
    const held = lost === undefined ? await this.#recover() : undefined
    if (held) known.push({ at: held.to, proof: held.proof })
    const proved = await follower.attach(lost === undefined ? known : [])
    const isProved = (at: LogPosition) => proved.some((other) => comparePositions(at, other) === 0)
    held?.close()
    if (held && isProved(held.to)) this.#held = held
    else if (held) await held.trim(held.to)
    for (const shipper of this.#shippers) {
      const at = shipper.known?.at
      // Either the position itself is in the WAL, or it lies in what was kept, and that continues there.
      const kept =
        at && this.#held && comparePositions(this.#held.from, at) <= 0 && comparePositions(at, this.#held.to) <= 0
      const found = at !== undefined && (isProved(at) || kept === true)
      shipper.placed(found ? undefined : (lost ?? 'it could not be proved that the WAL continues where it was left'))
    }
  }

  /** What the tap of `frameRead` still has from an earlier run. */
  async #recover(): Promise<FrameBatch | undefined> {
    const { hooks } = this.#parts
    const request = {
      reason: 'recover' as const,
      database: this.database,
      pageSize: 0,
      since: LOG_START,
      wal: undefined,
    }
    return (await hooks.frameRead.promise(request)) ?? undefined
  }

  async #closeFile(reason: Error): Promise<void> {
    const follower = this.#follower
    const checkpointer = this.#checkpointer
    this.#follower = undefined
    this.#checkpointer = undefined
    await checkpointer?.rest()
    this.#watcher?.disarm()
    this.#watcher = undefined
    this.#fileWatcher?.disarm()
    this.#fileWatcher = undefined
    while (this.#reading > 0) await new Promise<void>((resolve) => (this.#readingEnded = resolve))
    if (follower) {
      this.#nextSequence = follower.nextSequence + 1
      this.#commits += follower.commits
    }
    await follower?.close(reason)
    // Last of all: closing it drops the locks of every connection on the file.
    this.#file?.close()
    this.#file = undefined
  }

  async #makeShipper(link: StorageLink): Promise<Shipper> {
    const { name, settings, hooks } = this.#parts
    const { store, heavy } = link
    const remote = new Remote(store, name, hooks)
    const announce = (event: EventName, details: object = {}) => this.#parts.notify(event, name, details)
    const folder = shippingFolder(this.database.path, settings, store)
    const local = await LocalState.load(folder, (body, codecs) => remote.unwrap(body, codecs))
    return new Shipper({
      owner: this,
      remote,
      hooks,
      uploader: new Uploader(remote, link, { ...settings.resilience, giveUp: settings.giveUp }, announce),
      settings: {
        ...settings.spool,
        interval: settings.sync.interval,
        checksums: settings.ltx.checksums,
        adopt: settings.adopt,
        giveUp: settings.giveUp,
        maxRetries: settings.resilience.maxRetries,
        snapshot: settings.snapshot,
        compaction: settings.compaction,
        retention: settings.retention,
      },
      local,
      heavy,
      announce,
      log: this.#log,
    })
  }

  // The loop.

  async #run(): Promise<void> {
    let retry = FIRST_RETRY
    while (!this.#stopping) {
      try {
        if (!this.#follower) await this.#reopen()
        await this.#look()
        retry = FIRST_RETRY
        await this.#sleep()
      } catch (error) {
        await this.#trouble(error)
        await this.#wake.wait(retry)
        retry = Math.min(LONGEST_RETRY, retry * 2)
      }
    }
  }

  /**
   * Looks until a look goes through: a database that has to be opened anew is left to the loop, and everything after
   * that is found by comparing, which nobody is told of as durable before it is.
   */
  async #lookThrough(signal?: AbortSignal): Promise<void> {
    while (this.#follower && !this.#stopping && !this.halted) {
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

  async #look(): Promise<void> {
    const follower = this.#following()
    this.#checkIdentity(follower)
    const fresh = await follower.collect()
    if (fresh) {
      this.#lastFresh = performance.now()
      this.#observed = Date.now()
      for (const shipper of this.#shippers) shipper.committed()
    }
    await this.#checkpointer?.tend(fresh)
    await this.#checkWalSize(follower)
  }

  /** A WAL beyond its threshold is told of, and not held for frames that cannot be kept elsewhere. */
  async #checkWalSize(follower: Follower): Promise<void> {
    const { log } = follower.state
    const limit = this.#parts.settings.checkpoint.truncateThreshold
    const tooLong = log > limit && !follower.restartAllowed
    if (tooLong && !this.#walTooLong) {
      this.#parts.notify('wal_size_exceeded', this.database.name, { context: { frames: log, limit } })
    }
    this.#walTooLong = tooLong
    // A snapshot that is being read keeps the WAL from starting over.
    if (log > limit) follower.giveUpSpareViews(new ViewGivenUp('the WAL has grown too long to be held'))
    if (tooLong && (await this.keep()) < log) this.#giveUpFrames('the WAL has grown too long to be held')
  }

  #checkIdentity(follower: Follower): void {
    if (this.#file?.isInPlace() === false) throw new Replaced('another file was put in its place')
    if (follower.isOverwritten()) throw new Replaced('the file was overwritten')
    if (follower.isWalReplaced()) throw new ContinuityLost('the -wal file was replaced or deleted')
  }

  /** Sleeps until there is reason to look again. */
  async #sleep(): Promise<void> {
    const now = performance.now()
    const settled = this.#checkpointer?.settled ?? true
    // With the pin at the end nobody waits for us before pages are moved, and that and the next commit are events.
    const calm = settled || this.#follower?.pinAtEnd === true
    const awaited = !settled && this.#isBeingBackfilled(now)
    if (awaited || now - this.#lastFresh < (calm ? CALM : BUSY)) {
      await this.#wake.wait(TICK)
      return
    }
    if (!this.#watcher?.arm()) {
      await this.#wake.wait(SLOW_TICK)
      return
    }
    // Somebody who puts an older copy in place is noticed at once, not when the application writes: it would be given
    // the old size of the database from the index that our connections keep alive, and find its file malformed. And
    // who empties the WAL waits for our pin from the moment that everything in it is in the database file.
    this.#fileWatcher?.arm()
    // Armed first, looked once more, then slept: a write in between is not missed.
    const before = this.end
    await this.#look()
    if (comparePositions(before, this.end) !== 0) return
    const due = this.#checkpointer?.wait ?? Infinity
    const wait = settled ? due : Math.min(due, SLOW_TICK)
    if (wait === Infinity) this.#follower?.rest()
    const woken = await this.#wake.wait(wait === Infinity ? undefined : wait)
    this.#watcher.disarm()
    this.#fileWatcher?.disarm()
    if (woken) this.#lastFresh = performance.now()
  }

  /** Whether pages were moved into the database file lately. */
  #isBeingBackfilled(now: number): boolean {
    const mark = this.#file?.mark()
    if (mark && !(this.#mark && sameMark(mark, this.#mark))) {
      this.#mark = mark
      this.#lastBackfill = now
    }
    return now - this.#lastBackfill < BACKFILL
  }

  /** Something about the database is not as it was. Everything is closed; the loop opens it anew. */
  async #trouble(error: unknown): Promise<void> {
    const { name } = this.database
    const replaced = error instanceof Replaced
    const reason = messageOf(error)
    const first = this.#state === 'live'
    if (replaced && first && !existsSync(this.database.path)) await this.#drainDeleted()
    if (replaced) this.#parts.notify('database_replaced', name, { error: reason })
    else if (!(error instanceof ContinuityLost) && first)
      this.#parts.notify('database_unavailable', name, { error: reason })
    if (!isExpected(error)) this.#log.error('unexpected', { error: (error as Error).stack })
    if (first) this.#log.warn(replaced ? 'the database was replaced' : 'the database has to be opened anew', { reason })
    for (const shipper of this.#shippers) shipper.lost(reason)
    await this.#held?.trim(this.#held.to)
    this.#held = undefined
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
      await this.#follower?.collect()
      for (const shipper of this.#shippers) shipper.committed()
      const signal = AbortSignal.timeout(DRAIN)
      const drained = await Promise.allSettled(this.#shippers.map((shipper) => shipper.flush(signal)))
      const left = drained.filter(({ status }) => status === 'rejected').length
      if (left > 0) this.#log.warn('a deleted database was not drained', { storages: left })
    } catch (error) {
      this.#log.warn('a deleted database was not drained', { error: messageOf(error) })
    }
  }

  async #reopen(): Promise<void> {
    this.#openFile()
    await this.#attach(this.#error?.message ?? 'the database was opened anew')
    this.#parts.notify('recovered', this.database.name, {})
  }
}

/** Bytes of a file; 0 if there is none. */
function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
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

/** Whether an error, or what caused it, is that a disk is full. */
function isDiskFull(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (isError(cause, 'E_DISK_FULL') || ['ENOSPC', 'EDQUOT'].includes(systemCode(cause) ?? '')) return true
  }
  return false
}

/** Another file, or other bytes in the same one, where the database was. */
class Replaced extends Error {
  override readonly name = 'Replaced'
}

/** Folder for the state of a database: beside it, or under a given one, where its path tells it from others. */
export function stateFolder(path: string, under: string | undefined): string {
  const file = resolve(path)
  if (under === undefined) return join(dirname(file), `.${basename(file)}-walrust`)
  return join(resolve(under), `${basename(file)}-${createHash('sha256').update(file).digest('hex').slice(0, 12)}`)
}

/** Folder for what this machine remembers of a database in one storage: another storage starts afresh. */
export function shippingFolder(
  path: string,
  { spool, stateDir }: Pick<DatabaseSettings, 'spool' | 'stateDir'>,
  store: ObjectStore,
): string {
  return join(stateFolder(path, spool.dir ?? stateDir), storeFolder(store))
}

function storeFolder(store: ObjectStore): string {
  return createHash('sha256').update(store.url).digest('hex').slice(0, 12)
}
