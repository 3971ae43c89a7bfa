import { StoreError } from '../object-store.js'

/**
 * Watches over one request: it fails, as `transient` if not told otherwise, when nothing has moved for a while, and ends
 * when whoever asked for it wants that. `AbortSignal.any` would do half of it, but leaves something behind on a signal
 * that lives for months.
 */
export class Watchdog {
  readonly #limit: number
  readonly #late: () => Error
  readonly #outer: AbortSignal | undefined
  readonly #end = new AbortController()
  readonly #link: () => void
  /** Ends the step that is waited for. */
  #giveUp: ((reason: unknown) => void) | undefined
  /** When something has moved last; monotonic. */
  #moved = 0
  /** One for all steps, which looks when the first of them would be late: there may be a step for each object of a listing. */
  #timer: NodeJS.Timeout | undefined

  /**
   * @param limit milliseconds without movement
   * @param late the failure then
   */
  constructor(
    limit: number,
    outer: AbortSignal | undefined,
    late = (): Error => new StoreError('transient', `no answer for ${limit / 1000} s`),
  ) {
    this.#limit = limit
    this.#late = late
    this.#outer = outer
    this.#link = () => this.#stop(outer?.reason)
    outer?.throwIfAborted()
    outer?.addEventListener('abort', this.#link, { once: true })
  }

  /** For whoever does the work: aborted when it should stop. */
  get signal(): AbortSignal {
    return this.#end.signal
  }

  /** Something has moved: the time starts anew. */
  moved(): void {
    this.#moved = performance.now()
  }

  /** The result of a step, or the failure that it does not come. One step at a time. */
  async within<T>(step: Promise<T>): Promise<T> {
    const { signal } = this.#end
    try {
      return await new Promise<T>((resolve, reject) => {
        // Also of one that is given up: what becomes of it later is nobody's concern.
        step.then(resolve, reject)
        if (signal.aborted) reject(signal.reason as Error)
        this.#giveUp = reject
        this.moved()
        if (this.#timer) this.#timer.ref()
        else this.#arm(this.#limit)
      })
    } finally {
      this.#giveUp = undefined
      this.#timer?.unref()
    }
  }

  /** The request is over. */
  end(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#outer?.removeEventListener('abort', this.#link)
  }

  #arm(milliseconds: number): void {
    this.#timer = setTimeout(() => this.#look(), milliseconds)
  }

  #look(): void {
    this.#timer = undefined
    if (!this.#giveUp) return
    const left = this.#moved + this.#limit - performance.now()
    if (left > 0) this.#arm(left)
    else this.#stop(this.#late())
  }

  #stop(reason: unknown): void {
    this.#end.abort(reason)
    this.#giveUp?.(this.#end.signal.reason)
  }
}
