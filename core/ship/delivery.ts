import { Inventory } from '../inventory.js'
import { untilAborted } from '../timers.js'
import { Unshipped } from './unshipped.js'

/** How far a database has come in one storage: what lies there, what was confirmed, and since when the rest waits. */
export class Delivery {
  /** What lies in storage; nothing is known of it before the first listing. */
  inventory: Inventory = new Inventory()
  readonly unshipped = new Unshipped()
  #confirmed = 0
  #lastSync: number | undefined
  #lag: number | undefined
  readonly #listeners: Array<() => void> = []

  /** The newest transaction that storage has confirmed. */
  get confirmed(): number {
    return this.#confirmed
  }

  /** When storage last confirmed one, milliseconds since the epoch, and how long its commits had waited for that. */
  get lastSync(): number | undefined {
    return this.#lastSync
  }

  get lag(): number | undefined {
    return this.#lag
  }

  /** Storage was found to hold everything up to `txid`. */
  found(txid: number): void {
    this.#confirmed = txid
  }

  /** The same, of what this machine brought there at some time. */
  resume(txid: number, time: number | undefined): void {
    this.#confirmed = txid
    this.#lastSync = time
  }

  /** Storage has confirmed a transaction. */
  confirm(txid: number): void {
    this.#confirmed = txid
    this.#lastSync = Date.now()
    const since = this.unshipped.confirm()
    if (since !== undefined) this.#lag = Math.max(0, this.#lastSync - since)
    for (const resolve of this.#listeners.splice(0)) resolve()
  }

  /** Resolves when storage has confirmed a transaction. Errors: the signal's reason. */
  async until(txid: number, signal: AbortSignal): Promise<void> {
    while (this.#confirmed < txid) {
      await untilAborted(new Promise<void>((resolve) => this.#listeners.push(resolve)), signal)
    }
  }
}
