/**
 * Trying again. Loaded only once something has failed: most processes never need it, and what is not loaded costs no
 * memory.
 */
import {
  circuitBreaker,
  CircuitState,
  ConsecutiveBreaker,
  ExponentialBackoff,
  fullJitterGenerator,
  handleWhen,
} from 'cockatiel'
import { mayPass, storeErrorOf } from '../failures.js'
import type { BreakerSettings, RetrySettings } from './health.js'

/** The waits between attempts: full jitter under an exponential bound, never shorter than what the service asks for. */
export class Backoff {
  readonly #factory: ExponentialBackoff<number>
  #current: ReturnType<ExponentialBackoff<number>['next']> | undefined

  constructor(settings: RetrySettings) {
    this.#factory = new ExponentialBackoff({
      initialDelay: settings.baseDelay,
      maxDelay: settings.maxDelay,
      generator: fullJitterGenerator,
    })
  }

  /** Milliseconds to wait after this failure. */
  next(error: unknown): number {
    this.#current = this.#current ? this.#current.next({}) : this.#factory.next()
    return Math.max(this.#current.duration, storeErrorOf(error)?.retryAfter ?? 0)
  }
}

export interface BreakerEvents {
  opened(error: unknown): void
  closed(): void
}

/** The first time a storage is left alone is this part of the whole cooldown; each probe that fails doubles it. */
const FIRST_COOLDOWN = 1 / 32

/**
 * Leaves a storage alone after so many failures in a row. When the cooldown is over one request goes through; the others
 * wait for what becomes of it.
 *
 * The library's own cooldown goes by the wall clock, which can be set back by an hour: here it is always over, and the
 * time is ours, by the monotonic clock.
 */
export class Breaker {
  readonly #policy: ReturnType<typeof circuitBreaker>
  #until = 0
  #probe: Promise<unknown> | undefined
  #open = false

  constructor({ threshold, cooldown }: BreakerSettings, events: BreakerEvents) {
    const breaker = new ConsecutiveBreaker(threshold)
    let next = cooldown * FIRST_COOLDOWN
    // A probe that was called off says nothing about the storage.
    const counts = (error: unknown) => mayPass(error) || error instanceof CalledOff
    this.#policy = circuitBreaker(handleWhen(counts), { halfOpenAfter: -Infinity, breaker })
    this.#policy.onBreak((reason) => {
      const error = 'error' in reason ? reason.error : undefined
      this.#until = error instanceof CalledOff ? 0 : performance.now() + next
      if (!(error instanceof CalledOff)) next = Math.min(cooldown, next * 2)
      if (!this.#open) events.opened(error)
      this.#open = true
    })
    this.#policy.onReset(() => {
      this.#open = false
      next = cooldown * FIRST_COOLDOWN
      events.closed()
    })
  }

  /** Milliseconds until a request may be tried; 0 if one may now. */
  get wait(): number {
    return this.#policy.state === CircuitState.Open ? Math.max(0, this.#until - performance.now()) : 0
  }

  /** Lets a request through now: somebody has reason to think that the storage is back. */
  hurry(): void {
    this.#until = 0
  }

  /** The request that shows whether the storage is back, while it is under way. */
  get probe(): Promise<unknown> | undefined {
    return this.#policy.state === CircuitState.HalfOpen ? this.#probe : undefined
  }

  /** Runs a request. Only to be called when there is neither a {@link wait} nor a {@link probe}. */
  run<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const running = this.#policy.execute(() =>
      work().catch((error: unknown) => {
        throw this.#open && signal.aborted ? new CalledOff(error) : error
      }),
    )
    if (this.#policy.state === CircuitState.HalfOpen) this.#probe = running.catch(() => undefined)
    return running.catch((error: unknown) => {
      throw error instanceof CalledOff ? error.cause : error
    })
  }
}

/** Whoever asked does not want to know any more. */
class CalledOff extends Error {
  constructor(cause: unknown) {
    super('called off', { cause })
  }
}
