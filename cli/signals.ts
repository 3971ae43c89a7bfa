import { EXIT } from '../core/errors.js'

/** Ask a process to end. */
const ENDING = ['SIGINT', 'SIGTERM'] as const

/** Mean something to an application, and nothing to us. */
const PASSED_ON = ['SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const

/** The signals of a running `watch`. */
export class StopSignals {
  readonly #stop = new AbortController()
  #onSignal: (signal: NodeJS.Signals) => void = () => undefined
  #onAbort: () => void = () => undefined

  constructor() {
    for (const signal of ENDING) {
      process.on(signal, () => {
        if (this.stop.aborted) {
          this.#onAbort()
          process.exit(EXIT.storage)
        }
        this.#stop.abort()
        this.#onSignal(signal)
      })
    }
  }

  /** Aborted at the first signal to end. At the second the process ends at once, whatever is under way. */
  get stop(): AbortSignal {
    return this.#stop.signal
  }

  /** Calls at SIGHUP, which would end the process otherwise. */
  onReload(reload: () => void): void {
    process.on('SIGHUP', () => {
      reload()
      this.#onSignal('SIGHUP')
    })
  }

  /**
   * Passes signals on from now on.
   *
   * @param abort called when the process is about to end at once
   */
  passTo(pass: (signal: NodeJS.Signals) => void, abort: () => void): void {
    this.#onSignal = pass
    this.#onAbort = abort
    for (const signal of PASSED_ON) process.on(signal, () => this.#onSignal(signal))
  }
}
