import { messageOf } from '../errors.js'
import type { EventName } from '../events.js'
import { failureKind, mayPass, storeErrorOf } from '../failures.js'
import { StoreError } from '../object-store.js'
import { timerDelay, untilAborted } from '../timers.js'
import type { Breaker } from './retry.js'

export interface RetrySettings {
  /** Attempts after the first before the failure is reported; tries go on after that. */
  maxRetries: number
  /** Milliseconds: bounds of the first wait and of the longest, whatever failed. */
  baseDelay: number
  maxDelay: number
}

export interface BreakerSettings {
  /** Failures in a row, whichever database meets them. */
  threshold: number
  /**
   * Milliseconds for which a storage that goes on failing is left alone. The first times are shorter, so that a moment's
   * trouble that many databases meet at once does not cost a minute: a 32nd of it, doubling.
   */
  cooldown: number
}

export interface RunOptions {
  signal: AbortSignal
  /** Fail while the storage is left alone, instead of waiting until it may be asked again. */
  impatient?: boolean
}

/** Tells the outside world of something. */
export type Announce = (event: EventName, details?: { error?: unknown; attempts?: number; context?: object }) => void

/** After each answer that asks to slow down, requests keep this distance, doubling, in milliseconds. */
const FIRST_SPACING = 50
const LONGEST_SPACING = 5000
/** With every success the distance shrinks by this. */
const RELAX = 0.7

/**
 * How one storage is doing, as all databases of this process see it together: what one has learned spares the others
 * the attempt. A storage that asks to slow down is asked more slowly; one that fails again and again is left alone for
 * a while.
 */
export class StorageHealth {
  readonly #url: string
  readonly #settings: BreakerSettings | false
  #announce: Announce = () => undefined
  #breaker: Breaker | undefined
  #starting: Promise<Breaker> | undefined
  #notBefore = 0
  #spacing = 0
  /** Why the storage is left alone. */
  #reason = ''
  /** Whoever waits for the storage to come back. */
  readonly #waiting = new Set<() => void>()

  constructor(url: string, settings: BreakerSettings | false) {
    this.#url = url
    this.#settings = settings
  }

  /** Whether the storage is left alone at the moment. */
  get open(): boolean {
    return (this.#breaker?.wait ?? 0) > 0 || this.#breaker?.probe !== undefined
  }

  /**
   * Runs one request when it is its turn.
   *
   * @param announce tells of what becomes of the storage in the name of whoever asked
   * Errors: those of the request, and the signal's reason
   */
  async run<T>(work: () => Promise<T>, { signal, impatient = false }: RunOptions, announce: Announce): Promise<T> {
    await this.#turn(signal, impatient)
    this.#announce = announce
    try {
      const result = this.#breaker ? await this.#breaker.run(work, signal) : await work()
      this.#spacing = this.#spacing * RELAX < FIRST_SPACING / 2 ? 0 : this.#spacing * RELAX
      return result
    } catch (error) {
      if (!signal.aborted) await this.#failed(error, signal)
      throw error
    }
  }

  /** Sleeps, but no longer than until the storage seems to be back. Errors: the signal's reason. */
  async pause(milliseconds: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    await new Promise<void>((resolve) => {
      const end = () => {
        clearTimeout(timer)
        this.#waiting.delete(end)
        signal.removeEventListener('abort', end)
        resolve()
      }
      const timer = setTimeout(end, timerDelay(milliseconds))
      this.#waiting.add(end)
      signal.addEventListener('abort', end, { once: true })
    })
    signal.throwIfAborted()
  }

  /**
   * Asks the storage again now, whatever waits for it: one that is left alone gets one request, and whoever sleeps after
   * a failure tries again. What the storage itself asked for is still kept to.
   */
  hurry(): void {
    this.#breaker?.hurry()
    for (const wake of [...this.#waiting]) wake()
  }

  async #turn(signal: AbortSignal, impatient: boolean): Promise<void> {
    for (;;) {
      const distance = this.#notBefore - performance.now()
      const wait = this.#breaker?.wait ?? 0
      const probe = this.#breaker?.probe
      if (wait > 0 && impatient) {
        throw new StoreError('transient', `it failed too often in a row: ${this.#reason}`)
      }
      if (distance > 0) await this.#sleep(distance, signal)
      else if (wait > 0) await this.pause(wait, signal)
      else if (probe)
        await untilAborted(
          probe.catch(() => undefined),
          signal,
        )
      else break
    }
    signal.throwIfAborted()
    if (this.#spacing > 0) this.#notBefore = performance.now() + this.#spacing
  }

  /** What the storage asks for is not cut short by good news. */
  async #sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
    const until = performance.now() + milliseconds
    for (let left = milliseconds; left > 0; left = until - performance.now()) await this.pause(left, signal)
  }

  async #failed(error: unknown, signal: AbortSignal): Promise<void> {
    if (failureKind(error) === 'throttled') {
      this.#spacing = Math.min(LONGEST_SPACING, Math.max(FIRST_SPACING, this.#spacing * 2))
      const asked = storeErrorOf(error)?.retryAfter ?? this.#spacing
      this.#notBefore = Math.max(this.#notBefore, performance.now() + asked)
    }
    if (this.#breaker || !this.#settings || !mayPass(error)) return
    this.#starting ??= this.#startBreaker(this.#settings)
    const breaker = await this.#starting
    // The failure that brought us here is one it has to know of.
    await breaker.run(() => Promise.reject(error as Error), signal).catch(() => undefined)
  }

  async #startBreaker(settings: BreakerSettings): Promise<Breaker> {
    const { Breaker } = await import('./retry.js')
    const context = { storage: this.#url }
    this.#breaker = new Breaker(settings, {
      opened: (error) => {
        this.#reason = messageOf(error)
        this.#announce('circuit_breaker_open', { error, context })
      },
      closed: () => {
        this.#announce('circuit_breaker_closed', { context })
        for (const wake of [...this.#waiting]) wake()
      },
    })
    return this.#breaker
  }
}
