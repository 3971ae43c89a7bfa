import { isError, messageOf } from '../errors.js'
import type { Inventory } from '../inventory.js'
import type { Log } from '../log.js'
import type { Delivery } from './delivery.js'
import type { ShipperParts } from './parts.js'

export interface OwnershipParts extends Pick<ShipperParts, 'remote' | 'claim' | 'uploader'> {
  delivery: Delivery
  log: Log
  signal: AbortSignal
}

/** Makes sure that nobody else ships the database, before anything is decided and before anything is written. */
export class Ownership {
  readonly #parts: OwnershipParts
  /** Somebody else had the database and may only be asleep: this transaction has to be ours before anything else. */
  #fencePost = 0
  /** Whether everything is done that comes right after claiming the database. */
  #entered = false

  constructor(parts: OwnershipParts) {
    this.#parts = parts
  }

  /** The transaction that has to be ours before anything else; 0 if none has to. */
  get fencePost(): number {
    return this.#fencePost
  }

  /** Lists what there is and, before anything is decided by it, makes sure that nobody else is shipping it. */
  async survey(): Promise<Inventory> {
    const { remote, claim, uploader, signal } = this.#parts
    const list = () => uploader.ask(() => remote.inventory(signal), signal)
    let inventory = await list()
    if (claim.held) return inventory
    for (;;) {
      const { epoch } = inventory
      const holder = await claim.survey(epoch, signal)
      // What the holder shipped before it fell silent, or ended, may not be in the listing, nor who else has claimed it.
      if (holder === 'silent' || holder === 'released') inventory = await list()
      if (inventory.epoch === epoch) return inventory
    }
  }

  /** Whether this database is claimed for this process; if not, takes the next step towards that. Errors: `E_FENCED`. */
  async isClaimed(): Promise<boolean> {
    const { claim, uploader, delivery, log, signal } = this.#parts
    claim.check()
    if (claim.held) {
      if (claim.doubtful) await uploader.ask(() => claim.confirm(signal), signal)
      if (!this.#entered) await this.#enter()
      return true
    }
    if (!(await uploader.ask(() => claim.take(delivery.inventory.epoch, signal), signal))) {
      log.info('somebody else was quicker to claim the database')
      return false
    }
    await this.#enter()
    return true
  }

  /**
   * Whether the fence post met a file of whoever was given up: that file is history, and what this database is gets
   * compared with it. Its writer may have woken up, and go on with the next one: the post is that. Errors: `E_FENCED` if
   * there is more behind it.
   */
  async wasLate(error: unknown, txid: number): Promise<boolean> {
    const { claim, log, signal } = this.#parts
    if (!isError(error, 'E_FENCED') || txid !== this.#fencePost) return false
    claim.check()
    await claim.ascertain(signal)
    log.warn('a file of whoever had the database before has arrived', { txid })
    this.#fencePost = 0
    this.#entered = false
    return true
  }

  /** A transaction was stored, and nobody else had stored it. */
  async shipped(txid: number): Promise<void> {
    const { claim, signal } = this.#parts
    if (claim.unfenced && txid === this.#fencePost) await claim.fenced(signal)
  }

  /**
   * Whether what failed can come of a listing that is not true any more: whoever had the database before may have merged
   * and removed files until now. Not once it is ours. Errors: those of listing
   */
  async isOutdated(error: unknown): Promise<boolean> {
    const { remote, claim, uploader, delivery, log, signal } = this.#parts
    if (!isError(error, 'E_CHAIN_BROKEN') || claim.held) return false
    const listed = await uploader.ask(() => remote.inventory(signal), signal)
    const outdated = [...delivery.inventory.files()].some((file) => !listed.find(file))
    if (outdated) log.info('files have gone since storage was listed', { error: messageOf(error) })
    return outdated
  }

  /** The first that is done once the database is claimed; done again if it fails half way. */
  async #enter(): Promise<void> {
    const { claim, uploader, delivery, signal } = this.#parts
    const { inventory } = delivery
    const { newest, fencePosts } = inventory
    for (const file of await uploader.ask(() => claim.finishRemoval(signal), signal)) inventory.remove(file)
    if (claim.unfenced) {
      // In an empty storage each takeover has a number of its own: the one before may still put its first file.
      const txid = newest > 0 ? newest + 1 : Math.max(0, ...fencePosts) + 1
      await uploader.ask(() => claim.setFencePost(txid, signal), signal)
      fencePosts.add(txid)
    }
    // One that was announced by an earlier run, and does not lie there yet, is as good as ours.
    this.#fencePost = newest > 0 && fencePosts.has(newest + 1) ? newest + 1 : 0
    this.#entered = true
  }
}
