import { join } from 'node:path'
import { messageOf } from '../errors.js'
import type { StoredFile } from '../inventory.js'
import type { Log } from '../log.js'
import { LEVEL_SNAPSHOT } from '../object-keys.js'
import type { DatabaseView } from '../pages/database-view.js'
import { planRestore } from '../restore/plan.js'
import { ViewGivenUp } from '../wal/follower.js'
import { comparePositions } from '../wal/position.js'
import type { Continuity } from './continuity.js'
import type { Cutter } from './cutter.js'
import type { Delivery } from './delivery.js'
import type { ShipperParts, ShipperSettings } from './parts.js'
import { eventOf } from './setbacks.js'
import type { SnapshotSchedule } from './snapshot-schedule.js'
import type { SnapshotPoint, Snapshots } from './snapshots.js'
import { storeFromStorage } from './stored-snapshot.js'

export interface SnapshotTakerParts extends Pick<
  ShipperParts,
  'owner' | 'remote' | 'hooks' | 'uploader' | 'local' | 'heavy' | 'announce'
> {
  settings: Pick<ShipperSettings, 'checksums'>
  snapshots: Snapshots
  schedule: SnapshotSchedule
  cutter: Cutter
  continuity: Continuity
  delivery: Delivery
  log: Log
  signal: AbortSignal
}

interface Waiter {
  resolve: (txid: number) => void
  reject: (error: Error) => void
}

/** Takes snapshots beside the shipping, when one is due or somebody has asked for it, one at a time. */
export class SnapshotTaker {
  readonly #parts: SnapshotTakerParts
  /** Told when one is in storage, and when one has ended, whatever came of it. */
  readonly #onStored: () => void
  readonly #onEnd: () => void
  #waiters: Waiter[] = []
  #streaming: Promise<void> | undefined
  /** Whether the view that is to be streamed is being read. */
  #readingView = false

  constructor(parts: SnapshotTakerParts, onStored: () => void, onEnd: () => void) {
    this.#parts = parts
    this.#onStored = onStored
    this.#onEnd = onEnd
  }

  /** @param newest the newest one in storage */
  begin(newest: StoredFile | undefined): void {
    const now = performance.now()
    const age = Math.max(0, Date.now() - (newest?.timestamp ?? Date.now()))
    this.#parts.schedule.begin(newest?.maxTxid ?? 0, now - age, now)
  }

  /** When the next one is due, by `performance.now()`; `Infinity` while one is being taken, too. */
  get due(): number {
    return this.#streaming ? Infinity : this.#parts.schedule.due
  }

  /** Whether it is time to {@link take} one. */
  get wanted(): boolean {
    return !this.#streaming && (this.#waiters.length > 0 || performance.now() >= this.#parts.schedule.due)
  }

  /** Resolves with the transaction of the next one when that is durable. */
  ask(): Promise<number> {
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }))
  }

  /** There will be none any more for those who have asked and whose turn has not come. */
  refuse(reason: Error): void {
    for (const waiter of this.#waiters.splice(0)) waiter.reject(reason)
  }

  /** Resolves when none is being taken. */
  async settled(): Promise<void> {
    await this.#streaming
  }

  /** Cuts a file that ends exactly at a pinned state, and streams that state once the file is confirmed. */
  async take(): Promise<void> {
    const { local, owner, heavy, cutter, continuity, schedule } = this.#parts
    const view = owner.openView()
    view.spare = true
    // Before it is read, which may take its time to begin, it can be let go at once.
    view.signal.addEventListener('abort', () => this.#readingView || view.close(), { once: true })
    try {
      await cutter.cutExactly()
    } catch (error) {
      view.close()
      throw error
    }
    const { position } = local
    if (!continuity.unbroken || !position || comparePositions(position.log, view.at) !== 0) {
      view.close()
      return
    }
    const waiters = this.#waiters.splice(0)
    schedule.started(performance.now())
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
        this.#onEnd()
      })
  }

  async #stream(view: DatabaseView, point: SnapshotPoint): Promise<void> {
    const { schedule, delivery, announce, log, signal } = this.#parts
    const id = { level: LEVEL_SNAPSHOT, minTxid: 1, maxTxid: point.txid }
    try {
      if (delivery.inventory.find(id)) {
        schedule.stored(point.txid)
        return
      }
      // A snapshot of what is not there yet would be a file beyond a gap.
      await delivery.until(point.txid, signal)
      const file = await this.#store(view, point)
      delivery.inventory.add(file)
      schedule.stored(point.txid)
      this.#onStored()
      log.info('snapshot', { txid: point.txid, bytes: file.size })
      announce('snapshot_completed', { context: { txid: point.txid, bytes: file.size } })
    } catch (error) {
      if (!signal.aborted) {
        schedule.failed(performance.now())
        log.error('snapshot failed', { txid: point.txid, error: messageOf(error) })
        announce(eventOf(error), { error, context: { txid: point.txid, snapshot: true } })
      }
      throw error
    }
  }

  /** From the live database, or, if that cannot be held still for as long as it takes, from what storage holds. */
  async #store(view: DatabaseView, point: SnapshotPoint): Promise<StoredFile> {
    const { remote, hooks, uploader, owner, local, settings, snapshots, delivery, log, signal } = this.#parts
    try {
      this.#readingView = true
      return (await snapshots.store(view, point, signal)).file
    } catch (error) {
      if (signal.aborted || !(view.signal.reason instanceof ViewGivenUp)) throw error
    } finally {
      this.#readingView = false
    }
    view.close()
    log.info('the snapshot goes on from what storage holds', { txid: point.txid })
    const { files } = planRestore(delivery.inventory, point.txid, remote.name)
    const work = { remote, hooks, uploader, checksums: settings.checksums, signal }
    const place = { database: owner.database, folder: join(local.folder, 'snapshot') }
    return await storeFromStorage({ ...work, ...place }, files, point)
  }
}
