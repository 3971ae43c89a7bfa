/** Counts those who read pages that may be in the WAL only: it is neither restarted nor closed under them. */
export class WalReaders {
  #count = 0
  #ended: (() => void) | undefined

  get any(): boolean {
    return this.#count > 0
  }

  /** Runs work that reads such pages; it begins before anything else can happen. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    this.#count++
    try {
      return await work()
    } finally {
      this.#count--
      if (this.#count === 0) this.#ended?.()
    }
  }

  /** Resolves when there are none. */
  async none(): Promise<void> {
    while (this.#count > 0) await new Promise<void>((resolve) => (this.#ended = resolve))
  }
}
