import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isBusy } from '../database/connection.js'
import { EXIT, isError, messageOf, WalrustError } from '../errors.js'
import type { EventName } from '../events.js'
import { storeErrorOf } from '../failures.js'
import type { DatabaseInfo, FrameBatch, Hooks } from '../hooks.js'
import { Inventory, type StoredFile } from '../inventory.js'
import { type Log, withFields } from '../log.js'
import type { CompactReport } from '../compact/report.js'
import type { ChecksumMode } from '../ltx/header.js'
import { LEVEL_SHIPPED, LEVEL_SNAPSHOT } from '../object-keys.js'
import type { DatabaseView } from '../pages/database-view.js'
import { PageChecksums } from '../pages/page-checksums.js'
import type { Remote } from '../remote.js'
import { planRestore } from '../restore/plan.js'
import { readRemoteTable } from '../restore/remote-table.js'
import type { CompactionSettings, RetentionSettings, SnapshotSettings } from '../settings.js'
import { readFileBody, type SpooledFile } from '../spool/spool.js'
import type { StorageStatus } from '../status.js'
import { ContinuityLost, ViewGivenUp } from '../wal/follower.js'
import { comparePositions, LOG_START, type LogPosition, type WalPosition } from '../wal/position.js'
import { findChangedPages } from './changed-pages.js'
import { factsOf, FileMaker } from './file-maker.js'
import type { LocalState } from './local-state.js'
import { type Head, reconcile } from './reconcile.js'
import { SnapshotSchedule } from './snapshot-schedule.js'
import { type Semaphore, WakeUp } from './signal.js'
import { type SnapshotPoint, Snapshots } from './snapshots.js'
import { storeFromStorage } from './stored-snapshot.js'
import { Unshipped } from './unshipped.js'
import { Upkeeper } from './upkeeper.js'
import type { Announce, Uploader } from './uploader.js'

export interface ShipperSettings {
  /** Milliseconds between two files under continuous writes. */
  interval: number
  checksums: ChecksumMode
  /** Bytes and milliseconds that confirmed files stay in the spool. */
  cacheMaxSize: number
  cacheRetention: number
  /** Ship the difference to a storage that has moved on without this machine. */
  adopt: boolean
  /** Stop when storage cannot be reached after the retries. */
  giveUp: boolean
  /** Failures in a row after the first before they are told of. */
  maxRetries: number
  snapshot: SnapshotSettings
  compaction: CompactionSettings
  /** `false` never deletes anything. */
  retention: false | RetentionSettings
}

/** What a shipper needs of the database it ships. */
export interface ShipperOwner {
  readonly database: DatabaseInfo
  /** Up to where the WAL has been read. */
  readonly end: LogPosition
  /** When the newest commit read so far was first seen, milliseconds since the epoch. */
  readonly observed: number
  /** The committed frames since a position, as far as the WAL has been read when this is called. */
  frames(since: LogPosition): Promise<FrameBatch>
  /** Runs work that reads pages written after `since`, which may still be in the WAL: it is not restarted meanwhile. */
  reading<T>(since: LogPosition, work: () => Promise<T>): Promise<T>
  /** The same; `work` begins before anything else can happen. */
  readingExactly<T>(work: () => Promise<T>): Promise<T>
  /** Pins and shows the newest state; until the next await, `end` is its position. */
  openView(): DatabaseView
  /** Told when {@link Shipper.log} has moved or the shipper does not need frames any more. */
  moved(): void
}

export interface ShipperParts {
  owner: ShipperOwner
  remote: Remote
  hooks: Hooks
  uploader: Uploader
  settings: ShipperSettings
  local: LocalState
  /** Bounds scans and snapshots of the whole process. */
  heavy: Semaphore
  announce: Announce
  log: Log
}

/** What has to happen before frames can be shipped one after the other. */
type Need =
  | { kind: 'nothing' }
  /** This machine and the storage have not been compared yet. */
  | { kind: 'prepare' }
  | { kind: 'snapshot' }
  | { kind: 'compare'; head: Head; ours: boolean; reason: string }
  /** Commits may have passed unseen: find what differs. */
  | { kind: 'heal'; reason: string }

interface Waiter {
  target: LogPosition
  resolve: () => void
  reject: (error: Error) => void
}

interface SnapshotWaiter {
  resolve: (txid: number) => void
  reject: (error: Error) => void
}

const STATE_OF_NEED = {
  nothing: 'shipping',
  prepare: 'starting',
  snapshot: 'comparing',
  compare: 'comparing',
  heal: 'comparing',
} as const

/** How many failures in a row end it where it is not to try on. */
const GIVE_UP_AFTER = 3

/** The table is saved after this long, or this many files. */
const SAVE_MS = 60_000
const SAVE_FILES = 256

/** A timer cannot be set for more than 24 days. */
const LONGEST_REST = 24 * 3_600_000

/** After a failure on this machine (a full disk, a busy database), in milliseconds, doubling. */
const FIRST_PAUSE = 250
const LONGEST_PAUSE = 30_000

/**
 * Brings one database to one storage, one file at a time.
 *
 * For every file: spool (final name, durable), position, upload, confirmed. At most one file is between spool and
 * confirmation; what is committed meanwhile becomes the next one. docs/architecture.md says what a kill leaves behind
 * after each step and how the next start goes on.
 */
export class Shipper {
  readonly #parts: ShipperParts
  readonly #maker: FileMaker
  readonly #snapshots: Snapshots
  readonly #log: Log
  readonly #wake = new WakeUp()
  readonly #abort = new AbortController()
  #waiters: Waiter[] = []
  /** What lies in storage; nothing is known of it before the first listing. */
  #inventory: Inventory = new Inventory()
  #need: Need = { kind: 'prepare' }
  /** The state that is being shipped as a whole: what comes after it is needed. */
  #viewed: LogPosition | undefined
  /** Why the position is not found in the WAL; `undefined` if it is. */
  #unplaced: string | undefined = 'the database has not been read yet'
  /** The newest transaction that storage has confirmed. */
  #confirmed = 0
  #nextCut = 0
  #saved = performance.now()
  #snapshotWaiters: SnapshotWaiter[] = []
  readonly #schedule: SnapshotSchedule
  #streaming: Promise<void> | undefined
  /** Whether the view that is to be streamed is being read. */
  #readingView = false
  readonly #confirmations: Array<() => void> = []
  readonly #unshipped = new Unshipped()
  #lag: number | undefined
  #lastSync: number | undefined
  #upkeeper: Upkeeper | undefined
  #pause = 0
  #failures = 0
  /** What fails since when, and whether it was told of. */
  #failing: { since: number; error: string; told: boolean } | undefined
  #stopping = false
  /** Why this storage gets nothing more. */
  halted: WalrustError | undefined

  constructor(parts: ShipperParts) {
    this.#parts = parts
    this.#log = withFields(parts.log, { storage: parts.remote.store.url })
    this.#maker = new FileMaker(parts.owner.database, parts.local, parts.hooks, parts.settings.checksums)
    this.#schedule = new SnapshotSchedule(parts.settings.snapshot)
    this.#snapshots = new Snapshots(parts.owner.database, this.#maker, parts.uploader, parts.settings.checksums)
  }

  /** From where on frames must be kept; `undefined` while they are of no use because everything will be compared. */
  get needs(): LogPosition | undefined {
    if (this.halted) return undefined
    if (this.#viewed) return this.#viewed
    if (this.#need.kind === 'heal' || this.#need.kind === 'snapshot' || this.#need.kind === 'compare') return undefined
    return this.#unplaced === undefined ? this.#parts.local.position?.log : undefined
  }

  /** The newest transaction on this machine and the newest confirmed by storage. */
  get txid(): number {
    return this.#parts.local.position?.txid ?? 0
  }

  get confirmed(): number {
    return this.#confirmed
  }

  /** Where it ships to. */
  get url(): string {
    return this.#parts.remote.store.url
  }

  /** Whether everything read so far is durable in storage. */
  get caughtUp(): boolean {
    const { durable } = this
    return durable !== undefined && comparePositions(durable, this.#parts.owner.end) >= 0
  }

  /** Up to where everything is durable in storage; `undefined` if that is not known. */
  get durable(): LogPosition | undefined {
    const known = this.#need.kind === 'nothing' && this.#confirmed === this.txid
    return known ? this.#parts.local.position?.log : undefined
  }

  /** Bytes in the spool that storage has not confirmed. */
  get waitingBytes(): number {
    const { files } = this.#parts.local.spool
    let bytes = 0
    for (let i = files.length - 1; i >= 0 && files[i].maxTxid > this.#confirmed; i--) bytes += files[i].size
    return bytes
  }

  /** See {@link StorageStatus}. */
  get status(): StorageStatus {
    const { remote, uploader, local } = this.#parts
    const dueIn = Math.max(0, this.#schedule.next - performance.now())
    return {
      url: remote.store.url,
      state: this.halted ? 'halted' : STATE_OF_NEED[this.#need.kind],
      txid: this.txid,
      confirmed: this.#confirmed,
      unshippedSince: this.#unshipped.since,
      lag: this.#lag,
      lastSync: this.#lastSync,
      nextSnapshot: dueIn === Infinity || this.halted ? undefined : Math.round(Date.now() + dueIn),
      spoolBytes: local.spool.bytes,
      waitingBytes: this.waitingBytes,
      storedBytes: this.#inventory.bytes,
      storedFiles: this.#inventory.size,
      failingSince: uploader.failing?.since ?? this.#failing?.since,
      error: this.halted?.message ?? uploader.failing?.error ?? this.#failing?.error,
    }
  }

  /** The position to be looked for in the WAL. */
  get known(): { at: LogPosition; proof: WalPosition | undefined } | undefined {
    const { position } = this.#parts.local
    return position && { at: position.log, proof: position.proof }
  }

  /**
   * Tells whether the position was found in the WAL.
   *
   * @param missing why it was not; `undefined` if it was
   */
  placed(missing: string | undefined): void {
    this.#unplaced = missing
    if (missing !== undefined) this.lost(missing)
  }

  /** Commits may have passed unseen: what differs is found by comparing. */
  lost(reason: string): void {
    this.#unplaced = reason
    this.#viewed = undefined
    this.#unshipped.doubt(Date.now())
    if (this.#need.kind === 'nothing') this.#need = { kind: 'heal', reason }
    this.wake()
  }

  wake(): void {
    this.#wake.notify()
  }

  /** There are new commits, up to the owner's end. */
  committed(): void {
    this.#unshipped.saw(this.#parts.owner.end, this.#parts.owner.observed)
    this.wake()
  }

  /** Ships until {@link stop}. Ends early only when it is {@link halted}. */
  async run(): Promise<void> {
    while (!this.#stopping && !this.halted) {
      try {
        const wait = await this.#step()
        this.#works()
        if (wait !== undefined) await this.#wake.wait(wait === Infinity ? undefined : wait)
      } catch (error) {
        if (this.#abort.signal.aborted) break
        await this.#failed(error)
      }
    }
    this.#settleWaiters()
    await this.#streaming
    await this.#upkeeper?.settled()
  }

  /** Resolves when everything read up to now is durable in storage. Rejects if that will not be, or with the signal. */
  flush(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted()
      const end = () => {
        this.#waiters = this.#waiters.filter((other) => other !== waiter)
        reject(signal?.reason as Error)
      }
      const settled = () => signal?.removeEventListener('abort', end)
      const waiter: Waiter = {
        target: this.#parts.owner.end,
        resolve: () => {
          settled()
          resolve()
        },
        reject: (error) => {
          settled()
          reject(error)
        },
      }
      signal?.addEventListener('abort', end, { once: true })
      this.#waiters.push(waiter)
      this.#settleWaiters()
      this.wake()
    })
  }

  /** Takes a snapshot beside the shipping. Resolves with its transaction when it is durable. */
  snapshot(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#snapshotWaiters.push({ resolve, reject })
      this.#settleWaiters()
      this.wake()
    })
  }

  /** Ends at once: what is under way is given up, what is in the spool stays there. */
  async stop(): Promise<void> {
    this.#stopping = true
    this.#abort.abort(new WalrustError('E_ABORTED', 'walrust was stopped'))
    this.wake()
    await this.#streaming?.catch(() => undefined)
    await this.#upkeeper?.settled()
  }

  /**
   * Tells what there is to merge and to remove, snapshots included, and does it with `force`.
   * Errors: those of {@link Upkeeper.compact}; `E_STORAGE` while storage has not been reached yet.
   */
  async compact(force: boolean): Promise<CompactReport> {
    if (this.halted) throw this.halted
    if (this.#upkeeper) return await this.#upkeeper.compact(force)
    const { url } = this.#parts.remote.store
    throw new WalrustError('E_STORAGE', `${url} has not been reached since the start`, { storage: url })
  }

  /** Makes what is worth keeping durable and lets the files go. */
  async close(): Promise<void> {
    const { local } = this.#parts
    try {
      if (local.position && local.tableTxid !== local.position.txid) await local.saveTable()
    } catch (error) {
      this.#log.warn('page checksums were not saved', { error: messageOf(error) })
    }
    await local.close()
  }

  /** Does the next thing there is to do. Returns how long to sleep, or `undefined` to go on at once. */
  async #step(): Promise<number | undefined> {
    const { local, owner } = this.#parts
    if (this.#need.kind === 'prepare') {
      await this.#prepare()
      return undefined
    }
    if (local.position && this.#need.kind !== 'compare' && this.#confirmed < local.position.txid) {
      await this.#upload()
      return undefined
    }
    if (this.#need.kind !== 'nothing') {
      await this.#parts.heavy.run(() => this.#fulfil(this.#need))
      return undefined
    }
    this.#settleWaiters()
    this.#schedule.changed(this.#confirmed, performance.now())
    this.#upkeeper?.tend()
    if (!this.#streaming && this.#wantsSnapshot()) {
      await this.#cutForSnapshot()
      return undefined
    }
    if (!local.position || comparePositions(owner.end, local.position.log) <= 0) {
      this.#unshipped.clear()
      return await this.#rest()
    }
    const early = this.#nextCut - performance.now()
    if (early > 0 && this.#waiters.length === 0) return early
    this.#nextCut = performance.now() + this.#parts.settings.interval
    await this.#cut()
    return undefined
  }

  /** Compares what this machine remembers with what lies in storage. */
  async #prepare(): Promise<void> {
    const { remote, local, uploader } = this.#parts
    const { signal } = this.#abort
    this.#inventory = await uploader.ask(() => remote.inventory(signal), signal)
    const newest = this.#inventory.level(LEVEL_SNAPSHOT).at(-1)
    const now = performance.now()
    this.#schedule.begin(newest?.maxTxid ?? 0, now - Math.max(0, Date.now() - (newest?.timestamp ?? Date.now())), now)
    this.#upkeeper = this.#makeUpkeeper()
    const start = await reconcile(local, remote, this.#inventory, signal)
    if ('reason' in start) this.#log.info('comparing with storage', { reason: start.reason })
    if ('lost' in start) this.#tellOfLoss(start.lost)
    if (start.need === 'continue') {
      this.#confirmed = start.staged ? this.txid - 1 : this.txid
      this.#lastSync = local.position?.timestamp
      if (start.staged && local.position) this.#unshipped.takeFrom(local.position.timestamp)
      const reason = this.#unplaced ?? (local.table ? undefined : 'the page checksums of this machine are not whole')
      this.#need = reason === undefined ? { kind: 'nothing' } : { kind: 'heal', reason }
    } else {
      this.#need = start.need === 'compare' ? { ...start, kind: 'compare' } : { kind: 'snapshot' }
    }
    this.#parts.owner.moved()
  }

  /**
   * Everything that was shipped is gone. A new chain begins at once, because no backup at all would be worse, but nobody
   * must take it for the old one: a disk that is not mounted, a wrong prefix, or somebody has deleted it.
   */
  #tellOfLoss(lost: number | undefined): void {
    const { remote, announce } = this.#parts
    const error = `${remote.store.url} is empty, though transactions up to ${lost} were shipped there: is it the right place, is its disk mounted? A new backup begins there`
    this.#log.error('the backup is gone', { error })
    announce('corruption_detected', { error, context: { lost } })
  }

  /** Merging and removing go on in a process that stays. One that ships once and ends has other things to do. */
  #makeUpkeeper(): Upkeeper | undefined {
    const { owner, remote, hooks, settings, local, heavy, announce } = this.#parts
    if (settings.giveUp) return undefined
    return new Upkeeper(
      {
        ...{ database: owner.database, remote, hooks, heavy, announce },
        ...{ compaction: settings.compaction, retention: settings.retention },
        ...{ folder: join(local.folder, 'merging'), log: this.#log, signal: this.#abort.signal },
        wake: () => this.wake(),
      },
      this.#inventory,
    )
  }

  /** Opens the newest state; what comes after it is needed until {@link #done} or a failure. */
  #open(): DatabaseView {
    const view = this.#parts.owner.openView()
    this.#unshipped.take()
    this.#viewed = view.at
    this.#unplaced = undefined
    return view
  }

  async #fulfil(need: Need): Promise<void> {
    if (need.kind === 'snapshot') await this.#firstSnapshot()
    if (need.kind === 'compare') await this.#compare(need)
    if (need.kind === 'heal') await this.#heal(need.reason)
  }

  /** Everything committed since the last file becomes the next one. */
  async #cut(): Promise<void> {
    const { local, owner } = this.#parts
    const since = local.position?.log ?? LOG_START
    if (comparePositions(owner.end, since) > 0) await owner.reading(since, () => this.#make(since))
  }

  async #make(since: LogPosition): Promise<void> {
    const { owner } = this.#parts
    this.#unshipped.take()
    const batch = await owner.frames(since)
    try {
      await this.#makeFrom(batch, since)
    } finally {
      batch.close()
    }
  }

  async #makeFrom(batch: FrameBatch, since: LogPosition): Promise<void> {
    const { local, owner } = this.#parts
    if (comparePositions(batch.from, since) > 0) {
      this.#need = { kind: 'heal', reason: 'frames since the last file are not there any more' }
      return
    }
    const pages = batch.pages(since)
    if (pages.pageSize !== local.table?.pageSize) {
      this.#need = { kind: 'heal', reason: 'the page size of the database has changed' }
      return
    }
    await this.#maker.make(pages, { at: batch.to, proof: batch.proof, observed: owner.observed })
    owner.moved()
  }

  /** Brings the newest file of the spool to storage. */
  async #upload(): Promise<void> {
    const { local, owner, uploader } = this.#parts
    const { position } = local
    const spooled = position && local.spool.find(position.txid)
    if (!spooled) throw new WalrustError('E_INTERNAL', `transaction ${position?.txid} is not in the spool`)
    const start = performance.now()
    const facts = factsOf(position)
    const stored = await uploader.put({
      database: owner.database,
      file: { level: LEVEL_SHIPPED, minTxid: position.txid, maxTxid: position.txid },
      body: () => readFileBody(spooled.path),
      facts: () => facts,
      size: spooled.size,
      timestamp: position.timestamp,
      signal: this.#abort.signal,
    })
    this.#inventory.add(stored)
    this.#confirm(position.txid)
    for (const resolve of this.#confirmations.splice(0)) resolve()
    this.#log.info('shipped', {
      txid: position.txid,
      bytes: spooled.size,
      checksum: position.checksum.toString(16),
      milliseconds: Math.round(performance.now() - start),
    })
    this.#settleWaiters()
    await this.#tidy()
  }

  /** The whole database as the first transaction of an empty storage. */
  async #firstSnapshot(): Promise<void> {
    const { local, owner } = this.#parts
    const { signal } = this.#abort
    const view = this.#open()
    try {
      const { at, proof, commit, pageSize } = view
      const table = await this.#snapshots.tableOf(view, signal)
      const point = { txid: 1, checksum: table.checksum, timestamp: owner.observed, gapStart: undefined }
      await local.begin(table.checksum)
      const { file, facts } = await this.#snapshots.store(view, point, signal)
      this.#inventory.add(file)
      local.table = table
      await local.writePosition({
        ...{ txid: 1, sha256: facts.sha256 ?? '', prev: undefined, pre: 0n, checksum: table.checksum },
        ...{ commit, pageSize, timestamp: point.timestamp, log: at, proof, codecs: facts.codecs, gapStart: undefined },
      })
      await local.saveTable()
      this.#confirm(1)
      this.#schedule.begin(1, performance.now(), performance.now())
      this.#done()
      this.#log.info('shipped', { txid: 1, bytes: file.size, checksum: table.checksum.toString(16), snapshot: true })
      this.#parts.announce('snapshot_completed', { context: { txid: 1, bytes: file.size } })
    } finally {
      view.close()
    }
  }

  /** Storage holds something this machine does not know: is it what the database is now? */
  async #compare(need: Need & { kind: 'compare' }): Promise<void> {
    const { local, owner, settings, remote } = this.#parts
    const { signal } = this.#abort
    const { file, facts } = need.head
    const view = this.#open()
    try {
      const live = await this.#snapshots.tableOf(view, signal)
      let table: PageChecksums | undefined = live.checksum === facts.post ? live : undefined
      if (!table && (facts.post === 0n || need.ours || settings.adopt)) {
        table = await readRemoteTable(remote, planRestore(this.#inventory, file.maxTxid, remote.name), signal)
      }
      const same = table?.checksum === live.checksum && table.commit === live.commit
      if (!table || (!same && !need.ours && !settings.adopt)) {
        throw new WalrustError(
          'E_STALE_MACHINE',
          `${need.reason}, and the database is not what lies in ${remote.store.url} as transaction ${file.maxTxid}`,
          { database: owner.database.name, storage: remote.store.url },
        )
      }
      local.table = table
      await local.writePosition({
        ...{ txid: file.maxTxid, sha256: facts.sha256 ?? '', prev: facts.prev, pre: facts.pre },
        ...{ checksum: table.checksum, commit: table.commit, pageSize: table.pageSize },
        ...{ timestamp: facts.timestamp ?? file.timestamp, codecs: facts.codecs, gapStart: facts.gapStart },
        ...{ log: view.at, proof: same ? view.proof : undefined },
      })
      await local.saveTable()
      this.#confirmed = file.maxTxid
      if (same) this.#done()
      else this.#need = { kind: 'heal', reason: need.reason }
      this.#viewed = undefined
      this.#log.info(same ? 'storage holds this state already' : 'shipping the difference', { txid: file.maxTxid })
    } finally {
      view.close()
    }
  }

  /** Finds what differs from the last file, page by page, and ships that as the next transaction. */
  async #heal(reason: string): Promise<void> {
    const { local, owner, announce } = this.#parts
    const { position } = local
    if (!position) throw new WalrustError('E_INTERNAL', 'there is nothing to compare the database with')
    const view = this.#open()
    try {
      if (!local.table) await this.#rebuildTable(position.txid)
      if (local.table?.pageSize !== view.pageSize) local.table = new PageChecksums(view.pageSize)
      const { pages, count, copied } = await findChangedPages(view, local.table, this.#abort.signal)
      if (copied) view.close()
      const end = { at: view.at, proof: view.proof, observed: owner.observed, gapStart: position.timestamp }
      const staged = await this.#maker.make(pages, end)
      this.#done()
      if (!staged) return
      const context = { txid: this.txid, pages: count, of: view.commit, bytes: staged.file.size, reason }
      this.#log.warn('commits that could not be followed were found by comparing', context)
      announce('gap_healed', { context })
    } finally {
      view.close()
    }
  }

  /** The page checksums of this machine are gone or wrong: read them from what lies in storage. */
  async #rebuildTable(txid: number): Promise<void> {
    const { local, remote } = this.#parts
    this.#log.warn('rebuilding the page checksums from storage', { txid })
    local.table = await readRemoteTable(remote, planRestore(this.#inventory, txid, remote.name), this.#abort.signal)
    await local.saveTable()
  }

  /** Cuts a file that ends exactly at a pinned state, and streams that state once the file is confirmed. */
  async #cutForSnapshot(): Promise<void> {
    const { local, owner, heavy } = this.#parts
    const view = owner.openView()
    view.spare = true
    // Before it is read, which may take its time to begin, it can be let go at once.
    view.signal.addEventListener('abort', () => this.#readingView || view.close(), { once: true })
    try {
      const since = local.position?.log ?? LOG_START
      if (comparePositions(owner.end, since) > 0) await owner.readingExactly(() => this.#make(since))
    } catch (error) {
      view.close()
      throw error
    }
    const { position } = local
    if (this.#need.kind !== 'nothing' || !position || comparePositions(position.log, view.at) !== 0) {
      view.close()
      return
    }
    const waiters = this.#snapshotWaiters.splice(0)
    this.#schedule.started(performance.now())
    const { txid, checksum, timestamp, gapStart } = position
    this.#streaming = heavy
      .run(() => this.#stream(view, { txid, checksum, timestamp, gapStart }))
      .then(
        () => waiters.forEach((waiter) => waiter.resolve(txid)),
        (error: unknown) => waiters.forEach((waiter) => waiter.reject(error as Error)),
      )
      .finally(() => {
        view.close()
        this.#streaming = undefined
        this.wake()
      })
  }

  async #stream(view: DatabaseView, point: SnapshotPoint): Promise<void> {
    const id = { level: LEVEL_SNAPSHOT, minTxid: 1, maxTxid: point.txid }
    try {
      if (this.#inventory.find(id)) {
        this.#schedule.stored(point.txid)
        return
      }
      // A snapshot of what is not there yet would be a file beyond a gap.
      while (this.#confirmed < point.txid) await this.#confirmation(this.#abort.signal)
      const file = await this.#storeSnapshot(view, point)
      this.#inventory.add(file)
      this.#schedule.stored(point.txid)
      this.#upkeeper?.snapshotTaken()
      this.#log.info('snapshot', { txid: point.txid, bytes: file.size })
      this.#parts.announce('snapshot_completed', { context: { txid: point.txid, bytes: file.size } })
    } catch (error) {
      if (!this.#abort.signal.aborted) {
        this.#schedule.failed(performance.now())
        this.#log.error('snapshot failed', { txid: point.txid, error: messageOf(error) })
        this.#parts.announce(eventOf(error), { error, context: { txid: point.txid, snapshot: true } })
      }
      throw error
    }
  }

  /** From the live database, or, if that cannot be held still for as long as it takes, from what storage holds. */
  async #storeSnapshot(view: DatabaseView, point: SnapshotPoint): Promise<StoredFile> {
    try {
      this.#readingView = true
      return (await this.#snapshots.store(view, point, this.#abort.signal)).file
    } catch (error) {
      if (this.#abort.signal.aborted || !(view.signal.reason instanceof ViewGivenUp)) throw error
    } finally {
      this.#readingView = false
    }
    view.close()
    const { remote, hooks, uploader, owner, local, settings } = this.#parts
    this.#log.info('the snapshot goes on from what storage holds', { txid: point.txid })
    const { files } = planRestore(this.#inventory, point.txid, remote.name)
    const work = { remote, hooks, uploader, checksums: settings.checksums, signal: this.#abort.signal }
    const place = { database: owner.database, folder: join(local.folder, 'snapshot') }
    return await storeFromStorage({ ...work, ...place }, files, point)
  }

  /** Resolves at the next confirmation of a file. */
  #confirmation(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = () => reject(signal.reason as Error)
      signal.addEventListener('abort', end, { once: true })
      this.#confirmations.push(() => {
        signal.removeEventListener('abort', end)
        resolve()
      })
    })
  }

  #done(): void {
    // While the state was being read, frames may have been lost again.
    const { local, owner } = this.#parts
    this.#need = this.#unplaced === undefined ? { kind: 'nothing' } : { kind: 'heal', reason: this.#unplaced }
    if (!local.table) this.#need = { kind: 'heal', reason: 'the page checksums of this machine are not whole' }
    this.#viewed = undefined
    owner.moved()
  }

  /** Nothing is pending: how long until something is due by the clock. */
  async #rest(): Promise<number> {
    const { local } = this.#parts
    this.#schedule.settled()
    const snapshotDue = this.#streaming ? Infinity : this.#schedule.due
    let wait = Math.min(snapshotDue - performance.now(), this.#upkeeper?.wait ?? Infinity)
    if (local.position && local.tableTxid !== local.position.txid) {
      await this.#tidy()
      if (local.tableTxid !== local.position.txid) wait = Math.min(wait, this.#saved + SAVE_MS - performance.now())
    }
    return Math.min(LONGEST_REST, Math.max(0, wait))
  }

  #wantsSnapshot(): boolean {
    return this.#snapshotWaiters.length > 0 || performance.now() >= this.#schedule.due
  }

  /** Saves the table when it is time, and lets the cache shrink to its bounds. Only files that are durable remotely. */
  async #tidy(): Promise<void> {
    const { local, settings } = this.#parts
    const { position } = local
    if (!position) return
    const behind = position.txid - local.tableTxid
    if (behind >= SAVE_FILES || (behind > 0 && performance.now() - this.#saved >= SAVE_MS)) {
      await local.saveTable()
      this.#saved = performance.now()
    }
    const oldest = Date.now() - settings.cacheRetention
    await this.#shrinkCache((bytes, file) => bytes > settings.cacheMaxSize || file.written < oldest)
  }

  /** The disk is full: what is kept only for convenience must not keep what is new from being shipped. */
  async #makeRoom(): Promise<void> {
    try {
      // Files are needed for as long as the table on disk is older; it is written in place.
      await this.#saveTableOnFullDisk()
      await this.#shrinkCache(() => true)
    } catch (error) {
      this.#log.debug('no room could be made', { error: messageOf(error) })
    }
  }

  /**
   * Saves the table where there may be no room for what it has grown by: files that storage has confirmed make way, one
   * after the other. If a kill comes before it is saved, the next start reads the table from storage, which has them.
   */
  async #saveTableOnFullDisk(): Promise<void> {
    const { local } = this.#parts
    for (;;) {
      try {
        await local.saveTable()
        return
      } catch (error) {
        const oldest = local.spool.files.find(({ maxTxid }) => maxTxid <= this.#confirmed)
        if (!isError(error, 'E_DISK_FULL') || !oldest) throw error
        await local.spool.remove(oldest)
      }
    }
  }

  /** Removes files, the oldest first, for as long as `go` says so, and none that is needed. */
  async #shrinkCache(go: (bytes: number, file: SpooledFile) => boolean): Promise<void> {
    const { spool, tableTxid } = this.#parts.local
    let { bytes } = spool
    for (const file of [...spool.files]) {
      if (file.maxTxid > Math.min(this.#confirmed, tableTxid) || !go(bytes, file)) return
      bytes -= file.size
      await spool.remove(file)
    }
  }

  #confirm(txid: number): void {
    this.#confirmed = txid
    this.#lastSync = Date.now()
    const since = this.#unshipped.confirm()
    if (since !== undefined) this.#lag = Math.max(0, this.#lastSync - since)
  }

  #settleWaiters(): void {
    const stopped = this.#stopping && new WalrustError('E_UNSHIPPED', 'stopped before everything was shipped')
    const end = this.halted ?? (stopped || undefined)
    const reached = this.durable
    this.#waiters = this.#waiters.filter((waiter) => {
      if (reached && comparePositions(reached, waiter.target) >= 0) waiter.resolve()
      else if (end) waiter.reject(end)
      else return true
      return false
    })
    if (end) for (const waiter of this.#snapshotWaiters.splice(0)) waiter.reject(end)
  }

  #works(): void {
    this.#pause = 0
    this.#failures = 0
    const failing = this.#failing
    if (!failing) return
    this.#failing = undefined
    if (!failing.told) return
    this.#parts.announce('recovered', { context: { seconds: Math.round((Date.now() - failing.since) / 1000) } })
  }

  /** A failure that may pass: told of once, a full disk at once, the rest when it does not pass soon. */
  #noteFailure(error: unknown): void {
    this.#failing ??= { since: Date.now(), error: '', told: false }
    this.#failing.error = messageOf(error)
    if (this.#failing.told || !(isError(error, 'E_DISK_FULL') || this.#failures > this.#parts.settings.maxRetries))
      return
    this.#failing.told = true
    this.#parts.announce(eventOf(error), { error, attempts: this.#failures })
  }

  /** Decides what a failure means: compare anew, wait and try again, or stop for good. */
  async #failed(error: unknown): Promise<void> {
    const { announce, owner, settings } = this.#parts
    this.#viewed = undefined
    this.#failures++
    if (error instanceof ContinuityLost || isError(error, 'E_CHECKSUM')) {
      if (this.#need.kind === 'nothing') this.#need = { kind: 'heal', reason: messageOf(error) }
    } else if (
      !isError(error, 'E_DISK_FULL') &&
      (!isPassing(error) || (settings.giveUp && this.#failures > GIVE_UP_AFTER))
    ) {
      this.halted = asWalrustError(error, owner.database.name)
      this.#log.error('halted', { error: messageOf(error), code: this.halted.code })
      announce(eventOf(error), { error })
      owner.moved()
      return
    }
    this.#noteFailure(error)
    if (isError(error, 'E_DISK_FULL')) await this.#makeRoom()
    this.#log.warn('trying again', { error: messageOf(error) })
    this.#pause = Math.min(LONGEST_PAUSE, this.#pause * 2 || FIRST_PAUSE)
    await sleep(this.#pause, undefined, { signal: this.#abort.signal }).catch(() => undefined)
  }
}

/** The event that a failure is told of by. */
export function eventOf(error: unknown): EventName {
  if (isError(error, 'E_DISK_FULL')) return 'disk_full'
  if (isError(error, 'E_FENCED')) return 'writer_fenced'
  if (isError(error, 'E_OBJECT_DAMAGED', 'E_CHAIN_BROKEN', 'E_CHECKSUM')) return 'corruption_detected'
  return storeErrorOf(error)?.kind === 'auth' || isError(error, 'E_STORAGE_AUTH') ? 'auth_failure' : 'sync_failed'
}

/** Whether a failure may be gone after a while: SQLite was busy, a plugin stumbled, the network was away. */
function isPassing(error: unknown): boolean {
  const kind = storeErrorOf(error)?.kind
  if (kind !== undefined) return kind === 'transient' || kind === 'throttled'
  // Whether a database that cannot be opened comes back is for its replicator to see.
  if (isBusy(error) || (error instanceof WalrustError && error.exitCode === EXIT.database)) return true
  return isError(error, 'E_HOOK', 'E_STATE')
}

function asWalrustError(error: unknown, database: string): WalrustError {
  if (error instanceof WalrustError) return error
  return new WalrustError('E_INTERNAL', messageOf(error), { database, cause: error })
}
