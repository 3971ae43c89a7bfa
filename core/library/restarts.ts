import { WalrustError } from '../errors.js'

/** Waits before a process that crashed is started again, in milliseconds, doubling. */
const FIRST = 250
const LONGEST = 30_000
/** One that ran for so long was well: the next crash is a first one again. */
const WELL = 60_000

/** When a process that crashes is started again. Waiting for that keeps no program alive. */
export class Restarts {
  #crashes = 0
  #wake: (() => void) | undefined

  /** Milliseconds to wait after a crash of one that has lived so long. */
  next(lived: number): number {
    this.#crashes = lived > WELL ? 1 : this.#crashes + 1
    return Math.min(LONGEST, FIRST * 2 ** (this.#crashes - 1))
  }

  async wait(milliseconds: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, milliseconds)
      timer.unref()
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    this.#wake = undefined
  }

  /** Ends a wait now. */
  hurry(): void {
    this.#wake?.()
  }
}

/** Keeps a program alive while it waits for something that by itself does not. */
export async function alive<T>(work: Promise<T>): Promise<T> {
  const timer = setInterval(() => undefined, 2 ** 30)
  try {
    return await work
  } finally {
    clearInterval(timer)
  }
}

export const notStarted = () =>
  new WalrustError('E_NOT_WATCHED', 'walrust has not been started', { hint: 'Call start() first.' })
