import { isError, messageOf, WalrustError } from '../errors.js'
import { mayPass, storageFailure, storeErrorOf } from '../failures.js'
import type { Claim } from '../fence/claim.js'
import type { StoredFile } from '../inventory.js'
import { LEVEL_SHIPPED } from '../object-keys.js'
import type { FilePut, Remote } from '../remote.js'
import type { Announce, RetrySettings } from '../storage/health.js'
import type { StorageLink } from '../storage/link.js'

export type { Announce }

export interface UploadSettings extends RetrySettings {
  /** Raise the failure once it is reported, instead of trying on. */
  giveUp: boolean
}

/**
 * Brings files to one storage and does not give up on what may pass: a file whose upload fails stays where it is and
 * is tried again, the ones after it wait. What cannot pass ends in an error that halts the database.
 */
export class Uploader {
  readonly #remote: Remote
  readonly #link: StorageLink
  readonly #claim: Claim
  readonly #settings: UploadSettings
  readonly #announce: Announce
  /** Since when uploads fail, milliseconds since the epoch, and why; `undefined` while they work. */
  failing: { since: number; error: string } | undefined
  /** What was sent and not answered, and how many files were. */
  readonly #open = new Set<FilePut>()
  #stored = 0

  constructor(remote: Remote, link: StorageLink, claim: Claim, settings: UploadSettings, announce: Announce) {
    this.#remote = remote
    this.#link = link
    this.#claim = claim
    this.#settings = settings
    this.#announce = announce
  }

  /**
   * Whether something was under way to storage of which it is not known whether it has arrived, or will, and that would
   * matter to a successor. A snapshot beside the shipping does not: what it holds is there already.
   */
  get uncertain(): boolean {
    return [...this.#open].some(({ file }) => file.level === LEVEL_SHIPPED || this.#stored === 0)
  }

  /** Stores a file. Returns when it is durable. Errors: `E_FENCED`, `E_STORAGE`…, and the signal's reason. */
  async put(put: FilePut): Promise<StoredFile> {
    let wait: ((error: unknown) => number) | undefined
    for (let attempt = 1; ; attempt++) {
      put.signal.throwIfAborted()
      try {
        const stored = await this.#link.uploads.run(() => this.ask(() => this.#attempt(put), put.signal))
        this.#works()
        return stored
      } catch (error) {
        put.signal.throwIfAborted()
        const failure = this.#classify(error, put)
        if (failure) throw failure
        this.failing = { since: this.failing?.since ?? Date.now(), error: messageOf(error) }
        if (attempt > this.#settings.maxRetries) {
          if (attempt === this.#settings.maxRetries + 1) this.#announce('sync_failed', { error, attempts: attempt })
          if (this.#settings.giveUp) throw storageFailure(error, this.#remote.store.url, 'writing to')
        }
        wait ??= await backoff(this.#settings)
        await this.#link.health.pause(wait(error), put.signal)
      }
    }
  }

  /**
   * Asks the storage something once, when it is not to be left alone. Errors: what the work throws, the signal's reason;
   * `StoreError` while the storage is left alone, if it is not to be waited for.
   */
  async ask<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    return await this.#link.health.run(work, { signal, impatient: this.#settings.giveUp }, this.#announce)
  }

  async #attempt(put: FilePut): Promise<StoredFile> {
    await this.#claim.confirm(put.signal)
    this.#open.add(put)
    const stored = await this.#remote.put(put)
    this.#open.delete(put)
    this.#stored++
    return stored
  }

  /** What no further attempt can mend, as the error that ends it: whoever is ended by it tells of it. */
  #classify(error: unknown, put: FilePut): WalrustError | undefined {
    const { url } = this.#remote.store
    if (isError(error, 'E_FENCED')) return error
    if (isError(error, 'E_OBJECT_EXISTS')) {
      this.#open.delete(put)
      return new WalrustError('E_FENCED', `somebody else has written transaction ${put.file.maxTxid} to ${url}`, {
        database: put.database.name,
        storage: url,
        cause: error,
      })
    }
    // What a plugin stumbled over and no store has classified may be gone the next time: its policy is to try again.
    if (mayPass(error) || (isError(error, 'E_HOOK') && !storeErrorOf(error))) return undefined
    return storageFailure(error, url, 'writing to')
  }

  #works(): void {
    if (this.failing === undefined) return
    const seconds = Math.round((Date.now() - this.failing.since) / 1000)
    this.failing = undefined
    this.#announce('recovered', { context: { seconds } })
  }
}

/** How long to wait after each of several failures in a row. */
export async function backoff(settings: RetrySettings): Promise<(error: unknown) => number> {
  const { Backoff } = await import('../storage/retry.js')
  const waits = new Backoff(settings)
  return (error) => waits.next(error)
}
