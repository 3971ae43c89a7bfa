import { setTimeout as sleep } from 'node:timers/promises'
import { isBusy } from '../database/connection.js'
import { EXIT, isError, messageOf, WalrustError } from '../errors.js'
import type { EventName } from '../events.js'
import { storeErrorOf } from '../failures.js'
import { timerDelay } from '../timers.js'
import { ContinuityLost } from '../wal/follower.js'
import type { ShipperSettings } from './parts.js'
import { type Announce, backoff } from './uploader.js'

/** How many failures in a row end it where it is not to try on. */
const GIVE_UP_AFTER = 3

/** What a failure means: compare anew, wait and try again, or stop for good. */
export type Verdict = 'compare' | 'retry' | 'halt'

/** The failures in a row of one shipper: what each means, when they are told of, and how long to wait after one. */
export class Setbacks {
  readonly #settings: Pick<ShipperSettings, 'giveUp' | 'resilience'>
  readonly #announce: Announce
  #failures = 0
  /** How long to wait after each of them. */
  #waits: ((error: unknown) => number) | undefined
  /** What fails since when, and whether it was told of. */
  #failing: { since: number; error: string; told: boolean } | undefined

  constructor(settings: Pick<ShipperSettings, 'giveUp' | 'resilience'>, announce: Announce) {
    this.#settings = settings
    this.#announce = announce
  }

  /** Since when it fails, milliseconds since the epoch, and why; `undefined` while it works. */
  get failing(): { readonly since: number; readonly error: string } | undefined {
    return this.#failing
  }

  /** Counts a failure, and decides what it means. */
  judge(error: unknown): Verdict {
    this.#failures++
    if (error instanceof ContinuityLost || isError(error, 'E_CHECKSUM')) return 'compare'
    if (isError(error, 'E_DISK_FULL')) return 'retry'
    const over = this.#settings.giveUp && this.#failures > GIVE_UP_AFTER
    return isPassing(error) && !over ? 'retry' : 'halt'
  }

  /** A failure that may pass: told of once, a full disk at once, the rest when it does not pass soon. */
  note(error: unknown): void {
    this.#failing ??= { since: Date.now(), error: '', told: false }
    this.#failing.error = messageOf(error)
    if (this.#failing.told || !(isError(error, 'E_DISK_FULL') || this.#failures > this.#settings.resilience.maxRetries))
      return
    this.#failing.told = true
    this.#announce(eventOf(error), { error, attempts: this.#failures })
  }

  /** Waits before it is tried again, for longer after each failure, or until the signal. */
  async pause(error: unknown, signal: AbortSignal): Promise<void> {
    this.#waits ??= await backoff(this.#settings.resilience)
    await sleep(timerDelay(this.#waits(error)), undefined, { signal }).catch(() => undefined)
  }

  /** It works (again). */
  over(): void {
    this.#waits = undefined
    this.#failures = 0
    const failing = this.#failing
    if (!failing) return
    this.#failing = undefined
    if (!failing.told) return
    this.#announce('recovered', { context: { seconds: Math.round((Date.now() - failing.since) / 1000) } })
  }
}

/** The event that a failure is told of by. */
export function eventOf(error: unknown): EventName {
  if (isError(error, 'E_DISK_FULL')) return 'disk_full'
  if (isError(error, 'E_FENCED')) return 'writer_fenced'
  if (isError(error, 'E_OBJECT_DAMAGED', 'E_CHAIN_BROKEN', 'E_CHECKSUM')) return 'corruption_detected'
  return storeErrorOf(error)?.kind === 'auth' || isError(error, 'E_STORAGE_AUTH') ? 'auth_failure' : 'sync_failed'
}

/** What halts a database, in our own words. */
export function asWalrustError(error: unknown, database: string): WalrustError {
  if (error instanceof WalrustError) return error
  return new WalrustError('E_INTERNAL', messageOf(error), { database, cause: error })
}

/** Whether a failure may be gone after a while: SQLite was busy, a plugin stumbled, the network was away. */
function isPassing(error: unknown): boolean {
  const kind = storeErrorOf(error)?.kind
  if (kind !== undefined) return kind === 'transient' || kind === 'throttled'
  // Whether a database that cannot be opened comes back is for its replicator to see.
  if (isBusy(error) || (error instanceof WalrustError && error.exitCode === EXIT.database)) return true
  return isError(error, 'E_HOOK', 'E_STATE')
}
