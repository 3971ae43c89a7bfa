import { isError, messageOf, WalrustError } from './errors.js'
import type { EventName, WalrustEvent } from './events.js'
import type { Host } from './host.js'
import type { DatabaseInfo } from './hooks.js'
import type { Log } from './log.js'
import type { ObjectStore } from './object-store.js'
import { redact, redactValue } from './redact.js'
import { Replicator } from './replicator/replicator.js'
import type { DatabaseSettings } from './settings.js'
import { type EngineStatus, maskedStatus } from './status.js'
import { StorageLink } from './storage/link.js'
import { timerDelay } from './timers.js'
import { VERSION } from './version.js'
import { CheckpointPool } from './wal/checkpoint-pool.js'

/** How often the files of databases at rest are looked at even if no event came, in milliseconds. */
const SAFETY_POLL = 10_000
/** One in so many of these looks is at all of them; the others are at those whose files were written. */
const THOROUGH_POLL = 30

/** Milliseconds: `health.maxLag` if nobody says otherwise. */
const DEFAULT_MAX_LAG = 5 * 60_000

/** Milliseconds: `lease.ttl` if nobody says otherwise. */
const DEFAULT_LEASE_TTL = 20_000

export interface EngineOptions {
  host: Host
  log: Log
  /** Uploads to one storage at a time, over all databases. */
  uploadConcurrency: number
  /** Milliseconds after which somebody else may take over from a process that shows no sign of life. */
  leaseTtl?: number
  /** Told when a database halts: nothing more is shipped of it. */
  onHalt?: () => void
  /** Milliseconds that a commit may wait before its database counts as unhealthy. */
  maxLag?: number
}

export interface WatchedDatabase {
  name: string
  path: string
  stores: readonly ObjectStore[]
  settings: DatabaseSettings
}

/** All databases of one process, and what they share. */
export class Engine {
  readonly #options: EngineOptions
  readonly #replicators = new Map<string, Replicator>()
  readonly #links = new Map<ObjectStore, StorageLink>()
  readonly #checkpoints = new CheckpointPool()
  readonly #startedAt = Date.now()
  #poll: NodeJS.Timeout | undefined
  #polls = 0
  /** Events being delivered. */
  readonly #delivering = new Set<Promise<unknown>>()

  constructor(options: EngineOptions) {
    this.#options = options
    options.host.observe(() => this.status())
  }

  /** Starts to follow a database. Errors: those of {@link Replicator.start}, `E_DUPLICATE_NAME`. */
  async add(database: WatchedDatabase): Promise<void> {
    const { name, path } = database
    const other = this.#replicators.get(name)
    if (other) {
      throw new WalrustError('E_DUPLICATE_NAME', `${path} and ${other.database.path} would both be stored as ${name}`)
    }
    const replicator = new Replicator({
      ...database,
      hooks: this.#options.host.hooks,
      log: this.#options.log,
      links: database.stores.map((store) => this.#link(store, database.settings)),
      checkpoints: this.#checkpoints,
      onHalt: () => this.#options.onHalt?.(),
      onCheckpoint: (database, report) => this.#options.host.checkpointed(database, report),
      notify: (event, name, details) => this.notify(event, name, details),
    })
    this.#replicators.set(name, replicator)
    try {
      await replicator.start()
    } catch (error) {
      this.#replicators.delete(name)
      throw error
    }
    this.#poll ??= setInterval(() => this.#pollAll(), SAFETY_POLL)
  }

  /**
   * Ends shipping of one database and lets it go.
   *
   * @param timeout ship what is pending, for as long as so many milliseconds
   * @returns what was not shipped in that time: nothing, or an error
   */
  async remove(name: string, timeout?: number): Promise<WalrustError[]> {
    const replicator = this.#replicators.get(name)
    if (!replicator) return []
    const unshipped = timeout === undefined ? [] : await drain([replicator], timeout)
    this.#replicators.delete(name)
    await replicator.close()
    await replicator.release(true)
    return unshipped
  }

  get(name: string): Replicator | undefined {
    return this.#replicators.get(name)
  }

  /** Databases whose file cannot be followed just now. */
  get unavailable(): DatabaseInfo[] {
    return [...this.#replicators.values()].filter(({ isUnavailable }) => isUnavailable).map(({ database }) => database)
  }

  get names(): string[] {
    return [...this.#replicators.keys()]
  }

  /** What can be said of it at a glance. */
  status(): EngineStatus {
    return {
      startedAt: this.#startedAt,
      maxLag: this.#options.maxLag ?? DEFAULT_MAX_LAG,
      databases: [...this.#replicators.values()].map(({ status }) => maskedStatus(status)),
    }
  }

  /** The gravest reason why nothing is shipped any more; `undefined` as long as one database is. */
  get halted(): WalrustError | undefined {
    const halted = [...this.#replicators.values()].map((replicator) => replicator.halted)
    if (halted.length === 0 || halted.includes(undefined)) return undefined
    return halted.reduce((worst, error) => ((error?.exitCode ?? 0) > (worst?.exitCode ?? 0) ? error : worst))
  }

  /** Resolves when everything committed before the call is durable in every storage. */
  async flush(signal?: AbortSignal): Promise<void> {
    await Promise.all([...this.#replicators.values()].map((replicator) => replicator.flush({ signal })))
  }

  /**
   * Ships what is pending, for as long as `timeout` milliseconds, and lets everything go.
   *
   * @returns what was not shipped: nothing, or an error per database
   */
  async close(timeout: number): Promise<WalrustError[]> {
    clearInterval(this.#poll)
    const all = [...this.#replicators.values()]
    const unshipped = await drain(all, timeout)
    await Promise.all(all.map((replicator) => replicator.close()))
    this.#replicators.clear()
    await Promise.all(all.map((replicator) => replicator.release(false)))
    await Promise.all([...this.#links.values()].map((link) => link.close()))
    this.#links.clear()
    await this.#checkpoints.close()
    await Promise.all(this.#delivering)
    return unshipped
  }

  /** Hands an event to whoever wants to know. */
  notify(
    event: EventName,
    database: string,
    { error, attempts, context }: { error?: unknown; attempts?: number; context?: object } = {},
  ): void {
    const payload: WalrustEvent = {
      event,
      database,
      ...(error === undefined ? {} : { error: redact(messageOf(error)) }),
      ...(attempts === undefined ? {} : { attempts }),
      timestamp: new Date().toISOString(),
      version: VERSION,
      ...(context === undefined ? {} : { context: redactValue({ ...context }) as Record<string, unknown> }),
    }
    const delivery = this.#options.host.hooks.notify.promise(payload).finally(() => this.#delivering.delete(delivery))
    this.#delivering.add(delivery)
  }

  /** What the databases share about a storage. The first one that names it says how patient to be with it. */
  #link(store: ObjectStore, { resilience }: DatabaseSettings): StorageLink {
    const { uploadConcurrency, leaseTtl = DEFAULT_LEASE_TTL } = this.#options
    const { circuitBreaker } = resilience
    const link = this.#links.get(store) ?? new StorageLink(store, { uploadConcurrency, circuitBreaker, leaseTtl })
    this.#links.set(store, link)
    return link
  }

  #pollAll(): void {
    const thorough = ++this.#polls % THOROUGH_POLL === 0
    for (const replicator of this.#replicators.values()) if (replicator.isTouched || thorough) replicator.poke()
  }
}

/** Ships what is pending of some databases, for as long as `timeout` milliseconds. Returns an error for each that is left. */
async function drain(replicators: readonly Replicator[], timeout: number): Promise<WalrustError[]> {
  const unshipped: WalrustError[] = []
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(), timerDelay(timeout))
  const drainOne = async (replicator: Replicator) => {
    const { name } = replicator.database
    try {
      await replicator.flush({ signal: late.signal })
    } catch (error) {
      const why = replicator.status.storages.find((storage) => storage.error !== undefined)?.error
      const unfinished = `commits of ${name} are not in storage yet${why === undefined ? '' : `: ${why}`}`
      const message = late.signal.aborted ? unfinished : `${name}: ${messageOf(error)}`
      if (replicator.halted) unshipped.push(replicator.halted)
      else if (isError(error, 'E_UNSHIPPED')) unshipped.push(error)
      else unshipped.push(new WalrustError('E_UNSHIPPED', message, { database: name, cause: error }))
    }
  }
  await Promise.all(replicators.map(drainOne))
  clearTimeout(timer)
  return unshipped
}
