import { WalrustError } from '../errors.js'
import type { Log } from '../log.js'
import type { DatabaseView } from '../pages/database-view.js'
import { PageChecksums } from '../pages/page-checksums.js'
import { planRestore } from '../restore/plan.js'
import { readRemoteTable } from '../restore/remote-table.js'
import { findChangedPages } from './changed-pages.js'
import type { Continuity, Need } from './continuity.js'
import type { Delivery } from './delivery.js'
import type { FileMaker } from './file-maker.js'
import type { ShipperParts, ShipperSettings } from './parts.js'
import { reconcile } from './reconcile.js'
import type { SnapshotSchedule } from './snapshot-schedule.js'
import type { Snapshots } from './snapshots.js'

export interface CatchUpParts extends Pick<ShipperParts, 'owner' | 'remote' | 'local' | 'announce'> {
  settings: Pick<ShipperSettings, 'adopt'>
  maker: FileMaker
  snapshots: Snapshots
  schedule: SnapshotSchedule
  continuity: Continuity
  delivery: Delivery
  log: Log
  signal: AbortSignal
}

/**
 * Brings storage up to the database where frames do not lead there: what this machine remembers is held against what lies
 * in storage, and the database against either, and what differs becomes a file.
 */
export class CatchUp {
  readonly #parts: CatchUpParts

  constructor(parts: CatchUpParts) {
    this.#parts = parts
  }

  /** Compares what this machine remembers with what lies in storage, and finds out what there is to be done. */
  async prepare(): Promise<void> {
    const { remote, local, owner, continuity, delivery, log, signal } = this.#parts
    const start = await reconcile(local, remote, delivery.inventory, signal)
    if ('reason' in start) log.info('comparing with storage', { reason: start.reason })
    if ('lost' in start) this.#tellOfLoss(start.lost)
    if (start.need === 'continue') {
      delivery.resume(start.staged ? local.txid - 1 : local.txid, local.position?.timestamp)
      if (start.staged && local.position) delivery.unshipped.takeFrom(local.position.timestamp)
      continuity.restored(local.table !== undefined)
    } else {
      continuity.start(start.need === 'compare' ? { ...start, kind: 'compare' } : { kind: 'snapshot' })
    }
    owner.moved()
  }

  /** Does what has to happen before frames can be shipped one after the other. */
  async fulfil(need: Need): Promise<void> {
    if (need.kind === 'snapshot') await this.#firstSnapshot()
    if (need.kind === 'compare') await this.#compare(need)
    if (need.kind === 'heal') await this.#heal(need.reason)
  }

  /**
   * Everything that was shipped is gone. A new chain begins at once, because no backup at all would be worse, but nobody
   * must take it for the old one: a disk that is not mounted, a wrong prefix, or somebody has deleted it.
   */
  #tellOfLoss(lost: number | undefined): void {
    const { remote, announce, log } = this.#parts
    const error = `${remote.store.url} is empty, though transactions up to ${lost} were shipped there: is it the right place, is its disk mounted? A new backup begins there`
    log.error('the backup is gone', { error })
    announce('corruption_detected', { error, context: { lost } })
  }

  /** Opens the newest state; what comes after it is needed until {@link #done} or a failure. */
  #open(): DatabaseView {
    const { owner, continuity, delivery } = this.#parts
    const view = owner.openView()
    delivery.unshipped.take()
    continuity.viewing(view.at)
    return view
  }

  #done(): void {
    const { local, owner, continuity } = this.#parts
    continuity.restored(local.table !== undefined)
    owner.moved()
  }

  /** The whole database as the first transaction of an empty storage. */
  async #firstSnapshot(): Promise<void> {
    const { local, owner, snapshots, schedule, delivery, announce, log, signal } = this.#parts
    const { inventory } = delivery
    const view = this.#open()
    try {
      const { at, proof, commit, pageSize } = view
      const table = await snapshots.tableOf(view, signal)
      const txid = Math.max(0, ...inventory.fencePosts) + 1
      const point = { txid, checksum: table.checksum, timestamp: owner.observed, gapStart: undefined }
      await local.begin(table.checksum)
      const { file, facts } = await snapshots.store(view, point, signal)
      inventory.add(file)
      local.table = table
      await local.writePosition({
        ...{ txid, sha256: facts.sha256 ?? '', prev: undefined, pre: 0n, checksum: table.checksum },
        ...{ commit, pageSize, timestamp: point.timestamp, log: at, proof, codecs: facts.codecs, gapStart: undefined },
      })
      await local.saveTable()
      delivery.confirm(txid)
      schedule.begin(txid, performance.now(), performance.now())
      this.#done()
      log.info('shipped', { txid, bytes: file.size, checksum: table.checksum.toString(16), snapshot: true })
      announce('snapshot_completed', { context: { txid, bytes: file.size } })
    } finally {
      view.close()
    }
  }

  /** Storage holds something this machine does not know: is it what the database is now? */
  async #compare(need: Need & { kind: 'compare' }): Promise<void> {
    const { local, owner, settings, remote, snapshots, continuity, delivery, log, signal } = this.#parts
    const { file, facts } = need.head
    const view = this.#open()
    try {
      const live = await snapshots.tableOf(view, signal)
      let table: PageChecksums | undefined = live.checksum === facts.post ? live : undefined
      if (!table && (facts.post === 0n || need.ours || settings.adopt)) {
        table = await readRemoteTable(remote, planRestore(delivery.inventory, file.maxTxid, remote.name), signal)
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
      delivery.found(file.maxTxid)
      if (same) this.#done()
      else continuity.heal(need.reason)
      continuity.viewEnded()
      log.info(same ? 'storage holds this state already' : 'shipping the difference', { txid: file.maxTxid })
    } finally {
      view.close()
    }
  }

  /** Finds what differs from the last file, page by page, and ships that as the next transaction. */
  async #heal(reason: string): Promise<void> {
    const { local, owner, maker, announce, log, signal } = this.#parts
    const { position } = local
    if (!position) throw new WalrustError('E_INTERNAL', 'there is nothing to compare the database with')
    const view = this.#open()
    try {
      if (!local.table) await this.#rebuildTable(position.txid)
      if (local.table?.pageSize !== view.pageSize) local.table = new PageChecksums(view.pageSize)
      const { pages, count, copied } = await findChangedPages(view, local.table, signal)
      if (copied) view.close()
      const end = { at: view.at, proof: view.proof, observed: owner.observed, gapStart: position.timestamp }
      const staged = await maker.make(pages, end)
      this.#done()
      if (!staged) return
      const context = { txid: local.txid, pages: count, of: view.commit, bytes: staged.file.size, reason }
      log.warn('commits that could not be followed were found by comparing', context)
      announce('gap_healed', { context })
    } finally {
      view.close()
    }
  }

  /** The page checksums of this machine are gone or wrong: read them from what lies in storage. */
  async #rebuildTable(txid: number): Promise<void> {
    const { local, remote, delivery, log, signal } = this.#parts
    log.warn('rebuilding the page checksums from storage', { txid })
    local.table = await readRemoteTable(remote, planRestore(delivery.inventory, txid, remote.name), signal)
    await local.saveTable()
  }
}
