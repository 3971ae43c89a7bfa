interface Pass {
  callers: number
  readonly ended: AbortController
  readonly done: Promise<unknown>
}

/**
 * Lets callers at once share one pass. Whoever comes before a pass begins is part of it; whoever comes later waits for
 * the next, of which there is at most one. A pass that nobody waits for any more is given up.
 */
export class SharedPasses {
  readonly #running = new Map<string, Promise<unknown>>()
  readonly #next = new Map<string, Pass>()

  async join(key: string, work: (signal: AbortSignal) => Promise<unknown>, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    const pass = this.#next.get(key) ?? this.#plan(key, work)
    pass.callers++
    let end: (() => void) | undefined
    const given = new Promise<never>((_resolve, reject) => {
      end = () => reject(signal?.reason as Error)
      signal?.addEventListener('abort', end, { once: true })
    })
    try {
      await Promise.race([pass.done, given])
    } finally {
      if (end) signal?.removeEventListener('abort', end)
      if (--pass.callers === 0) pass.ended.abort()
    }
  }

  #plan(key: string, work: (signal: AbortSignal) => Promise<unknown>): Pass {
    const ended = new AbortController()
    const before = this.#running.get(key) ?? Promise.resolve()
    const done = before
      .catch(() => undefined)
      .then(async () => {
        // From here on callers are for the next pass.
        this.#next.delete(key)
        this.#running.set(key, done)
        try {
          await work(ended.signal)
        } finally {
          if (this.#running.get(key) === done) this.#running.delete(key)
        }
      })
    done.catch(() => undefined)
    const pass: Pass = { callers: 0, ended, done }
    this.#next.set(key, pass)
    return pass
  }
}
