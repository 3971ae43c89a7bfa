import { isError, messageOf } from '../errors.js'
import type { Log } from '../log.js'
import type { SpooledFile } from '../spool/spool.js'
import type { Delivery } from './delivery.js'
import type { LocalState } from './local-state.js'
import type { ShipperSettings } from './parts.js'

/** The table is saved after this long, or this many files. */
const SAVE_MS = 60_000
const SAVE_FILES = 256

/** So many shipped files stay at most, however small they are: a start looks at each of them. */
const MOST_CACHED = 100_000

/**
 * So long files stay on this machine that were set aside, because what lies in storage is another chain: time for people
 * to find out what happened. Looked through so often, and only while everything committed is in storage.
 */
const SET_ASIDE_KEEP = 30 * 24 * 3_600_000
const SWEEP_EVERY = 24 * 3_600_000

export interface LocalUpkeepParts {
  local: LocalState
  delivery: Delivery
  settings: Pick<ShipperSettings, 'cacheMaxSize' | 'cacheRetention'>
  log: Log
}

/** Keeps what lies on this machine small: saves the page-checksum table, and lets files go that nothing needs any more. */
export class LocalUpkeep {
  readonly #parts: LocalUpkeepParts
  #saved = performance.now()
  /** When what was set aside is looked through next. */
  #nextSweep = 0

  constructor(parts: LocalUpkeepParts) {
    this.#parts = parts
  }

  /** Saves the table when it is time, and lets the cache shrink to its bounds. Only files that are durable remotely. */
  async tidy(): Promise<void> {
    const { local, settings } = this.#parts
    const { position } = local
    if (!position) return
    const behind = position.txid - local.tableTxid
    if (behind >= SAVE_FILES || (behind > 0 && performance.now() - this.#saved >= SAVE_MS)) {
      await local.saveTable()
      this.#saved = performance.now()
    }
    const oldest = Date.now() - settings.cacheRetention
    const { spool } = local
    const { cacheMaxSize } = settings
    await this.#shrinkCache(
      ({ written }) => spool.bytes > cacheMaxSize || spool.count > MOST_CACHED || written < oldest,
    )
  }

  /** Nothing is pending: does what is due, and tells in how many milliseconds there is something again. */
  async rest(): Promise<number> {
    const { local } = this.#parts
    await this.#sweep()
    if (!local.position || local.tableTxid === local.position.txid) return Infinity
    await this.tidy()
    return local.tableTxid === local.position.txid ? Infinity : this.#saved + SAVE_MS - performance.now()
  }

  /** The disk is full: what is kept only for convenience must not keep what is new from being shipped. */
  async makeRoom(): Promise<void> {
    try {
      // Files are needed for as long as the table on disk is older; it is written in place.
      await this.#saveTableOnFullDisk()
      await this.#shrinkCache(() => true)
    } catch (error) {
      this.#parts.log.debug('no room could be made', { error: messageOf(error) })
    }
  }

  /** Makes the table durable before everything is let go. What fails costs the next start a comparison. */
  async finish(): Promise<void> {
    const { local, log } = this.#parts
    try {
      if (local.position && local.tableTxid !== local.position.txid) await local.saveTable()
    } catch (error) {
      log.warn('page checksums were not saved', { error: messageOf(error) })
    }
  }

  /** Everything is in storage: what was set aside long ago may go. */
  async #sweep(): Promise<void> {
    const { local, delivery, log } = this.#parts
    if (performance.now() < this.#nextSweep || delivery.confirmed !== local.txid) return
    this.#nextSweep = performance.now() + SWEEP_EVERY
    try {
      await local.spool.sweep(Date.now() - SET_ASIDE_KEEP)
    } catch (error) {
      log.debug('what was set aside was not looked through', { error: messageOf(error) })
    }
  }

  /**
   * Saves the table where there may be no room for what it has grown by: files that storage has confirmed make way, one
   * after the other. If a kill comes before it is saved, the next start reads the table from storage, which has them.
   */
  async #saveTableOnFullDisk(): Promise<void> {
    const { local, delivery } = this.#parts
    for (;;) {
      try {
        await local.saveTable()
        return
      } catch (error) {
        const { oldest } = local.spool
        if (!isError(error, 'E_DISK_FULL') || !oldest || oldest.maxTxid > delivery.confirmed) throw error
        await local.spool.remove(oldest)
      }
    }
  }

  /** Removes files, the oldest first, for as long as `go` says so, and none that is needed. */
  async #shrinkCache(go: (file: SpooledFile) => boolean): Promise<void> {
    const { local, delivery } = this.#parts
    const { spool, tableTxid } = local
    const needless = Math.min(delivery.confirmed, tableTxid)
    for (let file = spool.oldest; file && file.maxTxid <= needless && go(file); file = spool.oldest) {
      await spool.remove(file)
    }
  }
}
