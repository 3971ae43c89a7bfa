import { type FSWatcher, watch } from 'node:fs'

/**
 * Tells when a file is written to, renamed or replaced, without opening it. Fires once per arming: a busy writer causes
 * thousands of events a second, and while the database is busy it is looked at regularly anyway.
 */
export class FileWatcher {
  readonly #path: string
  readonly #onChange: () => void
  #watcher: FSWatcher | undefined

  constructor(path: string, onChange: () => void) {
    this.#path = path
    this.#onChange = onChange
  }

  /** Starts listening. False if there is nothing to listen to: then only looking helps. */
  arm(): boolean {
    if (this.#watcher) return true
    try {
      const watcher = watch(this.#path, { persistent: true }, () => this.#fire())
      watcher.on('error', () => this.#fire())
      this.#watcher = watcher
      return true
    } catch {
      // No file yet, or a file system without events.
      return false
    }
  }

  disarm(): void {
    this.#watcher?.close()
    this.#watcher = undefined
  }

  #fire(): void {
    this.disarm()
    this.#onChange()
  }
}
