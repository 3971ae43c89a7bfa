import { setMaxListeners } from 'node:events'
import { comparePositions, type LogPosition } from '../wal/position.js'

interface Waiter {
  target: LogPosition
  resolve: () => void
  reject: (error: Error) => void
}

/** Those who wait until everything up to a position is durable in storage. */
export class FlushWaiters {
  #waiters: Waiter[] = []

  /** Whether anybody waits. */
  get any(): boolean {
    return this.#waiters.length > 0
  }

  /** Resolves when everything up to `target` is durable. Rejects if that will not be, or with the signal. */
  wait(target: LogPosition, signal: AbortSignal | undefined): Promise<void> {
    // Hundreds of databases may be waited for with one signal: that is no leak that Node would have to warn of.
    if (signal) setMaxListeners(0, signal)
    return new Promise((resolve, reject) => {
      const end = () => {
        this.#waiters = this.#waiters.filter((other) => other !== waiter)
        reject(signal?.reason as Error)
      }
      const settled = () => signal?.removeEventListener('abort', end)
      const waiter: Waiter = {
        target,
        resolve: () => {
          settled()
          resolve()
        },
        reject: (error) => {
          settled()
          reject(error)
        },
      }
      signal?.addEventListener('abort', end, { once: true })
      this.#waiters.push(waiter)
    })
  }

  /**
   * @param durable up to where everything is; `undefined` if that is not known
   * @param end why nobody needs to wait any longer
   */
  settle(durable: LogPosition | undefined, end: Error | undefined): void {
    if (!this.any) return
    this.#waiters = this.#waiters.filter((waiter) => {
      if (durable && comparePositions(durable, waiter.target) >= 0) waiter.resolve()
      else if (end) waiter.reject(end)
      else return true
      return false
    })
  }
}
