import { timerDelay } from '../timers.js'

/** Wakes one sleeper; a call while nobody sleeps is remembered. */
export class WakeUp {
  #set = false
  #wake: (() => void) | undefined

  notify(): void {
    this.#set = true
    this.#wake?.()
  }

  /** Sleeps until somebody calls {@link notify} (true), or for `milliseconds` (false): as long as a timer can, or for ever. */
  async wait(milliseconds = Infinity): Promise<boolean> {
    if (!this.#set) {
      await new Promise<void>((resolve) => {
        const timer = milliseconds === Infinity ? undefined : setTimeout(resolve, timerDelay(milliseconds))
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    const woken = this.#set
    this.#wake = undefined
    this.#set = false
    return woken
  }
}

/** Lets so many at a time through, in the order in which they came. */
export class Semaphore {
  #free: number
  readonly #queue: Array<() => void> = []

  constructor(count: number) {
    this.#free = count
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--
    else await new Promise<void>((resolve) => this.#queue.push(resolve))
    try {
      return await work()
    } finally {
      const next = this.#queue.shift()
      if (next) next()
      else this.#free++
    }
  }
}
