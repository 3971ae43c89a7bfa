import { isError, type WalrustError } from '../errors.js'
import type { EventName } from '../events.js'
import type { FoundDatabase } from '../discover.js'
import type { Log } from '../log.js'
import { type DatabaseStatus, refusedStatus } from '../status.js'

/** A database that is not watched, and why. */
export interface Refused {
  name: string
  path: string
  error: WalrustError
  /** How it shows in the status, if it was asked for by name. */
  status: DatabaseStatus | undefined
}

/** The databases that should be watched and cannot be, and why: said once, tried again. */
export class Refusals {
  readonly #byPath = new Map<string, Refused>()
  readonly #log: Log
  readonly #notify: (event: EventName, database: string, details: { error: unknown }) => void

  constructor(log: Log, notify: (event: EventName, database: string, details: { error: unknown }) => void) {
    this.#log = log
    this.#notify = notify
  }

  get all(): readonly Refused[] {
    return [...this.#byPath.values()]
  }

  get isEmpty(): boolean {
    return this.#byPath.size === 0
  }

  /** How those show in the status that were asked for by name. */
  get statuses(): readonly DatabaseStatus[] {
    return this.all.flatMap(({ status }) => status ?? [])
  }

  at(path: string): Refused | undefined {
    return this.#byPath.get(path)
  }

  named(name: string): Refused | undefined {
    return this.all.find((refused) => refused.name === name)
  }

  add({ name, path, found }: FoundDatabase, error: WalrustError): void {
    const before = this.#byPath.get(path)
    if (before?.error.code !== error.code) {
      const { message, hint, code } = error
      this.#log.error('not watched', { database: name, path, error: message, hint, code })
      if (!found || isError(error, 'E_DUPLICATE_NAME')) this.#notify('database_unavailable', name, { error })
    }
    // A file that a pattern found and that is not in WAL mode is somebody else's business.
    const status = found ? undefined : refusedStatus(name, path, error.message, before?.status?.since)
    this.#byPath.set(path, { name, path, error, status })
  }

  delete(path: string): void {
    this.#byPath.delete(path)
  }

  /** Nobody asks any more for what is at other paths. */
  keepOnly(paths: ReadonlySet<string>): void {
    for (const path of this.#byPath.keys()) if (!paths.has(path)) this.#byPath.delete(path)
  }
}
