/**
 * Trying again. Loaded only once something has failed: most processes never need it, and what is not loaded costs no
 * memory.
 */
import { decorrelatedJitterGenerator, ExponentialBackoff } from 'cockatiel'
import { storeErrorOf } from './failures.js'

export interface RetrySettings {
  /** Attempts after the first before the failure is reported; tries go on after that. */
  maxRetries: number
  /** Milliseconds. */
  baseDelay: number
  maxDelay: number
}

/** The waits between attempts: growing with jitter, never shorter than what the service asks for. */
export class Backoff {
  readonly #factory: ExponentialBackoff<object>
  #current: ReturnType<ExponentialBackoff<object>['next']> | undefined

  constructor(settings: RetrySettings) {
    this.#factory = new ExponentialBackoff({
      initialDelay: settings.baseDelay,
      maxDelay: settings.maxDelay,
      generator: decorrelatedJitterGenerator,
    })
  }

  /** Milliseconds to wait after this failure. */
  next(error: unknown): number {
    this.#current = this.#current ? this.#current.next({}) : this.#factory.next()
    return Math.max(this.#current.duration, storeErrorOf(error)?.retryAfter ?? 0)
  }
}
