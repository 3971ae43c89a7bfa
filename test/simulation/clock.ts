import { syncBuiltinESMExports } from 'node:module'
import { performance } from 'node:perf_hooks'
import timers from 'node:timers/promises'

interface Timer {
  id: number
  at: number
  /** Milliseconds between two calls; `undefined` for a single one. */
  every: number | undefined
  run: () => void
}

/** Each question for the time takes so long, in milliseconds: loops that wait for a moment come to an end. */
const GLANCE = 0.005

/** Where the wall clock stands when a process begins, milliseconds since the epoch. */
export const EPOCH = Date.UTC(2026, 0, 1)

/**
 * A clock that stands still until it is told to go on, in the place of the process's own. Timers fire in the order of
 * their times, and nothing else happens between two of them than what the first has set off.
 */
export class VirtualClock {
  #now = 0
  #wall = EPOCH
  #next = 1
  readonly #timers = new Map<number, Timer>()

  /** Milliseconds since the process began. */
  get now(): number {
    return this.#now
  }

  /** Moves the wall clock and no other: as an administrator does, or a time server. */
  jump(milliseconds: number): void {
    this.#wall += milliseconds
  }

  /** Lets time pass while this process sleeps: nothing happens, and what is due is late. */
  sleep(milliseconds: number): void {
    this.#now += milliseconds
  }

  /** Lets time pass. `settle` resolves when everything that a timer has set off is done or waits for something. */
  async advance(milliseconds: number, settle: () => Promise<void>): Promise<void> {
    const end = this.#now + milliseconds
    await settle()
    for (;;) {
      const timer = this.#first()
      if (!timer || timer.at > end) break
      this.#now = Math.max(this.#now, timer.at)
      if (timer.every === undefined) this.#timers.delete(timer.id)
      else timer.at = this.#now + Math.max(1, timer.every)
      timer.run()
      await settle()
    }
    this.#now = Math.max(this.#now, end)
  }

  /** Takes the place of the clock and the timers of this process. Before anything that uses them is loaded. */
  install(): void {
    const clear = (timer: unknown) => void this.#timers.delete((timer as { id?: number } | undefined)?.id ?? 0)
    const set = (run: (...args: unknown[]) => void, milliseconds = 0, ...args: unknown[]) =>
      this.#add(() => run(...args), milliseconds, undefined)
    const repeat = (run: (...args: unknown[]) => void, milliseconds = 0, ...args: unknown[]) =>
      this.#add(() => run(...args), milliseconds, milliseconds)
    Object.assign(globalThis, { setTimeout: set, setInterval: repeat, clearTimeout: clear, clearInterval: clear })
    Object.defineProperty(performance, 'now', { value: () => (this.#now += GLANCE) })
    Date.now = () => Math.round(this.#wall + this.#now)
    timers.setTimeout = ((milliseconds: number, value: unknown, options?: { signal?: AbortSignal }) =>
      this.#sleep(milliseconds, value, options?.signal)) as typeof timers.setTimeout
    syncBuiltinESMExports()
  }

  #sleep(milliseconds: number, value: unknown, signal: AbortSignal | undefined): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const abort = () => reject(new DOMException('The operation was aborted', 'AbortError'))
      if (signal?.aborted) abort()
      signal?.addEventListener('abort', abort, { once: true })
      this.#add(() => resolve(value), milliseconds, undefined)
    })
  }

  #add(run: () => void, milliseconds: number, every: number | undefined): object {
    const id = this.#next++
    this.#timers.set(id, { id, at: this.#now + Math.max(0, milliseconds || 0), every, run })
    const handle = { id, ref: () => handle, unref: () => handle, hasRef: () => true }
    return handle
  }

  #first(): Timer | undefined {
    let first: Timer | undefined
    for (const timer of this.#timers.values()) if (!first || timer.at < first.at) first = timer
    return first
  }
}
