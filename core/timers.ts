/** Milliseconds, 24.8 days: a timer that is told to wait for longer does not wait at all. */
export const LONGEST_TIMER = 2 ** 31 - 1

/** A delay that a timer keeps to. Whoever is woken by it looks again at what he waits for. */
export function timerDelay(milliseconds: number): number {
  return Math.min(milliseconds, LONGEST_TIMER)
}

/** Waits for something until a signal comes. Errors: the signal's reason. */
export async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return await promise
  signal.throwIfAborted()
  let end: (() => void) | undefined
  const aborted = new Promise<never>((_resolve, reject) => {
    end = () => reject(signal.reason as Error)
    signal.addEventListener('abort', end, { once: true })
  })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    if (end) signal.removeEventListener('abort', end)
  }
}

/**
 * Fails unless something settles in time.
 *
 * @param spent milliseconds for which nobody else has held it up; less than all of them, and it gets more time
 */
export async function within<T>(
  milliseconds: number | undefined,
  work: Promise<T>,
  spent: () => number = () => Infinity,
): Promise<T> {
  if (milliseconds === undefined) return work
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    const look = () => {
      const left = milliseconds - spent()
      if (left > 0) timer = setTimeout(look, timerDelay(left))
      else reject(new Error(`it did not settle within ${milliseconds / 1000} s`))
    }
    timer = setTimeout(look, timerDelay(milliseconds))
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
