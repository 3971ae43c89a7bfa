import { join } from 'node:path'
import type { CompactReport } from '../compact/report.js'
import { isError, messageOf, WalrustError } from '../errors.js'
import { readFileBody } from '../fs/read-body.js'
import { type Log, withFields } from '../log.js'
import { LEVEL_SHIPPED, LEVEL_SNAPSHOT } from '../object-keys.js'
import type { StorageStatus } from '../status.js'
import { comparePositions, type LogPosition, type WalPosition } from '../wal/position.js'
import { CatchUp } from './catch-up.js'
import { Continuity } from './continuity.js'
import { Cutter } from './cutter.js'
import { Delivery } from './delivery.js'
import { factsOf, FileMaker } from './file-maker.js'
import { FlushWaiters } from './flush-waiters.js'
import { LocalUpkeep } from './local-upkeep.js'
import { Ownership } from './ownership.js'
import type { ShipperParts } from './parts.js'
import { SentFiles } from './sent-files.js'
import { asWalrustError, eventOf, Setbacks } from './setbacks.js'
import { WakeUp } from './signal.js'
import { SnapshotSchedule } from './snapshot-schedule.js'
import { SnapshotTaker } from './snapshot-taker.js'
import { Snapshots } from './snapshots.js'
import { Upkeeper } from './upkeeper.js'

/** It is looked once a day at least, in a quiet database too: what was set aside long ago goes then. */
const LONGEST_REST = 24 * 3_600_000

/**
 * Brings one database to one storage, one file at a time.
 *
 * For every file: spool (final name, durable), position, upload, confirmed. At most one file is between spool and
 * confirmation; what is committed meanwhile becomes the next one. docs/architecture.md says what a kill leaves behind
 * after each step and how the next start goes on.
 */
export class Shipper {
  readonly #parts: ShipperParts
  readonly #log: Log
  readonly #wake = new WakeUp()
  readonly #abort = new AbortController()
  readonly #continuity = new Continuity()
  readonly #delivery = new Delivery()
  readonly #sent = new SentFiles()
  readonly #setbacks: Setbacks
  readonly #ownership: Ownership
  readonly #catchUp: CatchUp
  readonly #cutter: Cutter
  readonly #schedule: SnapshotSchedule
  readonly #snapshots: SnapshotTaker
  readonly #localUpkeep: LocalUpkeep
  readonly #flushes = new FlushWaiters()
  readonly #undoubt: () => void
  #upkeeper: Upkeeper | undefined
  #nextCut = 0
  #stopping = false
  /** Why this storage gets nothing more. */
  halted: WalrustError | undefined

  constructor(parts: ShipperParts) {
    const { owner, remote, hooks, claim, uploader, settings, local, announce } = parts
    const log = withFields(parts.log, { storage: remote.store.url })
    const maker = new FileMaker(owner.database, local, hooks, settings.checksums, remote)
    const snapshots = new Snapshots(owner.database, maker, uploader, settings.checksums)
    const schedule = new SnapshotSchedule(settings.snapshot)
    const { signal } = this.#abort
    const inside = { ...parts, maker, snapshots, schedule, log, signal }
    const shared = { ...inside, continuity: this.#continuity, delivery: this.#delivery }
    this.#parts = parts
    this.#log = log
    this.#schedule = schedule
    this.#setbacks = new Setbacks(settings, announce)
    this.#ownership = new Ownership(shared)
    this.#catchUp = new CatchUp(shared)
    this.#cutter = new Cutter(shared)
    this.#snapshots = new SnapshotTaker(
      { ...shared, cutter: this.#cutter },
      () => this.#upkeeper?.snapshotTaken(),
      () => this.wake(),
    )
    this.#localUpkeep = new LocalUpkeep(shared)
    this.#undoubt = claim.onDoubt(() => this.wake())
  }

  /** From where on frames must be kept; `undefined` while they are of no use because everything will be compared. */
  get needs(): LogPosition | undefined {
    return this.halted ? undefined : this.#continuity.needs(this.#parts.local.position?.log)
  }

  /** The newest transaction on this machine and the newest confirmed by storage. */
  get txid(): number {
    return this.#parts.local.txid
  }

  get confirmed(): number {
    return this.#delivery.confirmed
  }

  /** Whether something was under way to storage when we were stopped, and may still arrive. */
  get uncertain(): boolean {
    return this.#parts.uploader.uncertain
  }

  /** Lets go of the claim. After {@link stop}, and not while something may still arrive under it. */
  async release(): Promise<void> {
    await this.#parts.claim.release()
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
    const known = this.#continuity.unbroken && this.confirmed === this.txid
    return known ? this.#parts.local.position?.log : undefined
  }

  /** Bytes in the spool that storage has not confirmed. */
  get waitingBytes(): number {
    let bytes = 0
    for (const { size } of this.#parts.local.spool.after(this.confirmed)) bytes += size
    return bytes
  }

  /** See {@link StorageStatus}. */
  get status(): StorageStatus {
    const { uploader, local } = this.#parts
    const { confirmed, inventory, unshipped, lag, lastSync } = this.#delivery
    const { failing } = this.#setbacks
    const dueIn = Math.max(0, this.#schedule.next - performance.now())
    return {
      url: this.url,
      state: this.halted ? 'halted' : this.#continuity.state,
      txid: this.txid,
      confirmed,
      unshippedSince: unshipped.since,
      lag,
      lastSync,
      nextSnapshot: dueIn === Infinity || this.halted ? undefined : Math.round(Date.now() + dueIn),
      spoolBytes: local.spool.bytes,
      waitingBytes: this.waitingBytes,
      storedBytes: inventory.bytes,
      storedFiles: inventory.size,
      failingSince: uploader.failing?.since ?? failing?.since,
      error: this.halted?.message ?? uploader.failing?.error ?? failing?.error,
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
    if (missing === undefined) this.#continuity.placed()
    else this.lost(missing)
  }

  /** Commits may have passed unseen: what differs is found by comparing. */
  lost(reason: string): void {
    this.#continuity.lost(reason)
    this.#delivery.unshipped.doubt(Date.now())
    this.wake()
  }

  wake(): void {
    this.#wake.notify()
  }

  /** There are new commits, up to the owner's end. */
  committed(): void {
    this.#delivery.unshipped.saw(this.#parts.owner.end, this.#parts.owner.observed)
    this.wake()
  }

  /** Ships until {@link stop}. Ends early only when it is {@link halted}. */
  async run(): Promise<void> {
    while (!this.#stopping && !this.halted) {
      try {
        const wait = await this.#step()
        this.#setbacks.over()
        if (wait !== undefined) await this.#wake.wait(wait)
      } catch (error) {
        if (this.#abort.signal.aborted) break
        await this.#failed(error)
      }
    }
    this.#settleWaiters()
    await this.#snapshots.settled()
    await this.#upkeeper?.settled()
  }

  /** Resolves when everything read up to now is durable in storage. Rejects if that will not be, or with the signal. */
  async flush(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    const flushed = this.#flushes.wait(this.#parts.owner.end, signal)
    this.#settleWaiters()
    this.wake()
    await flushed
  }

  /** Takes a snapshot beside the shipping. Resolves with its transaction when it is durable. */
  async snapshot(): Promise<number> {
    const taken = this.#snapshots.ask()
    this.#settleWaiters()
    this.wake()
    return await taken
  }

  /** Ends at once: what is under way is given up, what is in the spool stays there. */
  async stop(): Promise<void> {
    this.#stopping = true
    this.#abort.abort(new WalrustError('E_ABORTED', 'walrust was stopped'))
    this.wake()
    await this.#snapshots.settled().catch(() => undefined)
    await this.#upkeeper?.settled()
  }

  /**
   * Tells what there is to merge and to remove, snapshots included, and does it with `force`.
   * Errors: those of {@link Upkeeper.compact}; `E_STORAGE` while storage has not been reached yet.
   */
  async compact(force: boolean): Promise<CompactReport> {
    if (this.halted) throw this.halted
    if (this.#upkeeper) return await this.#upkeeper.compact(force)
    throw new WalrustError('E_STORAGE', `${this.url} has not been reached since the start`, { storage: this.url })
  }

  /** Makes what is worth keeping durable and lets the files go. */
  async close(): Promise<void> {
    this.#undoubt()
    await this.#localUpkeep.finish()
    await this.#parts.local.close()
  }

  /** Does the next thing there is to do. Returns how long to sleep, or `undefined` to go on at once. */
  async #step(): Promise<number | undefined> {
    const { local, owner, heavy, settings } = this.#parts
    const { need } = this.#continuity
    if (need.kind === 'prepare') {
      await this.#prepare()
      return undefined
    }
    if (need.kind !== 'compare' && !(await this.#ownership.isClaimed())) {
      this.#continuity.prepareAgain()
      return undefined
    }
    if (local.position && this.#continuity.need.kind !== 'compare' && this.confirmed < local.position.txid) {
      await this.#upload()
      return undefined
    }
    if (!this.#continuity.unbroken) {
      await this.#againIfOutdated(() => heavy.run(() => this.#catchUp.fulfil(this.#continuity.need)))
      return undefined
    }
    if (this.txid < this.#ownership.fencePost) {
      await this.#cutter.cutPost()
      return undefined
    }
    this.#settleWaiters()
    this.#schedule.changed(this.confirmed, performance.now())
    this.#upkeeper?.tend()
    if (this.#snapshots.wanted) {
      await this.#snapshots.take()
      return undefined
    }
    if (!local.position || comparePositions(owner.end, local.position.log) <= 0) {
      this.#delivery.unshipped.clear()
      return await this.#rest()
    }
    const early = this.#nextCut - performance.now()
    if (early > 0 && !this.#flushes.any) return early
    this.#nextCut = performance.now() + settings.interval
    await this.#cutter.cut()
    return undefined
  }

  /** Compares what this machine remembers with what lies in storage. */
  async #prepare(): Promise<void> {
    await this.#upkeeper?.settled()
    const inventory = await this.#ownership.survey()
    this.#delivery.inventory = inventory
    this.#sent.clear()
    this.#snapshots.begin(inventory.level(LEVEL_SNAPSHOT).at(-1))
    this.#upkeeper = this.#makeUpkeeper()
    await this.#againIfOutdated(() => this.#catchUp.prepare())
  }

  /** Does something that reads what was listed; what fails because that has gone meanwhile begins with a new listing. */
  async #againIfOutdated(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      if (!(await this.#ownership.isOutdated(error))) throw error
      this.#continuity.viewEnded()
      this.#continuity.prepareAgain()
    }
  }

  /** Merging and removing go on in a process that stays. One that ships once and ends has other things to do. */
  #makeUpkeeper(): Upkeeper | undefined {
    const { owner, remote, hooks, settings, local, heavy, announce, claim } = this.#parts
    if (settings.giveUp) return undefined
    return new Upkeeper(
      {
        ...{ database: owner.database, remote, hooks, heavy, announce },
        ...{ compaction: settings.compaction, retention: settings.retention },
        ...{ folder: join(local.folder, 'merging'), log: this.#log, signal: this.#abort.signal },
        removals: claim,
        avoided: claim.avoided,
        local: this.#sent,
        wake: () => this.wake(),
      },
      this.#delivery.inventory,
    )
  }

  /** Brings the newest file of the spool to storage. */
  async #upload(): Promise<void> {
    const { local, owner, uploader } = this.#parts
    const { position } = local
    const spooled = position && local.spool.find(position.txid)
    if (!spooled) throw new WalrustError('E_INTERNAL', `transaction ${position?.txid} is not in the spool`)
    const start = performance.now()
    const facts = factsOf(position)
    let stored
    try {
      stored = await uploader.put({
        ...{ database: owner.database, size: spooled.size, timestamp: position.timestamp, signal: this.#abort.signal },
        file: { level: LEVEL_SHIPPED, minTxid: position.txid, maxTxid: position.txid },
        body: () => readFileBody(spooled.path),
        facts: () => facts,
      })
    } catch (error) {
      if (!(await this.#ownership.wasLate(error, position.txid))) throw error
      this.#continuity.prepareAgain()
      return
    }
    this.#delivery.inventory.add(stored)
    this.#sent.add(stored, spooled, facts)
    this.#delivery.confirm(position.txid)
    this.#log.info('shipped', {
      txid: position.txid,
      bytes: spooled.size,
      checksum: position.checksum.toString(16),
      milliseconds: Math.round(performance.now() - start),
    })
    this.#settleWaiters()
    await this.#ownership.shipped(position.txid)
    await this.#localUpkeep.tidy()
  }

  /** Nothing is pending: how long until something is due by the clock. */
  async #rest(): Promise<number> {
    this.#schedule.settled()
    const local = await this.#localUpkeep.rest()
    const wait = Math.min(this.#snapshots.due - performance.now(), this.#upkeeper?.wait ?? Infinity, local)
    return Math.min(LONGEST_REST, Math.max(0, wait))
  }

  #settleWaiters(): void {
    const stopped = this.#stopping && new WalrustError('E_UNSHIPPED', 'stopped before everything was shipped')
    const end = this.halted ?? (stopped || undefined)
    this.#flushes.settle(this.durable, end)
    if (end) this.#snapshots.refuse(end)
  }

  /** Compares anew, waits and tries again, or stops for good. */
  async #failed(error: unknown): Promise<void> {
    const { announce, owner } = this.#parts
    this.#continuity.viewEnded()
    const verdict = this.#setbacks.judge(error)
    if (verdict === 'halt') {
      this.halted = asWalrustError(error, owner.database.name)
      this.#log.error('halted', { error: messageOf(error), code: this.halted.code })
      announce(eventOf(error), { error })
      owner.moved()
      return
    }
    if (verdict === 'compare') this.#continuity.doubt(messageOf(error))
    this.#setbacks.note(error)
    if (isError(error, 'E_DISK_FULL')) await this.#localUpkeep.makeRoom()
    this.#log.warn('trying again', { error: messageOf(error) })
    await this.#setbacks.pause(error, this.#abort.signal)
  }
}
