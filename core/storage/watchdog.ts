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
    this.#link = () => this.#end.abort(outer?.reason)
    outer?.throwIfAborted()
    outer?.addEventListener('abort', this.#link, { once: true })
  }

  /** For whoever does the work: aborted when it should stop. */
  get signal(): AbortSignal {
    return this.#end.signal
  }

  /** Something has moved: the time starts anew. */
  moved(): void {
    if (this.#timer) this.#arm()
  }

  /** The result of a step, or the failure that it does not come. */
  async within<T>(step: Promise<T>): Promise<T> {
    const { signal } = this.#end
    let stop: (() => void) | undefined
    const stopped = new Promise<never>((_resolve, reject) => {
      stop = () => reject(signal.reason as Error)
      signal.addEventListener('abort', stop, { once: true })
    })
    this.#arm()
    try {
      return await Promise.race([step, stopped])
    } finally {
      clearTimeout(this.#timer)
      this.#timer = undefined
      if (stop) signal.removeEventListener('abort', stop)
    }
  }

  /** The request is over. */
  end(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#outer?.removeEventListener('abort', this.#link)
  }

  #arm(): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#end.abort(this.#late()), this.#limit)
  }
}
