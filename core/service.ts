import type { DatabaseSource, ResolvedConfig } from './config/resolved.js'
import { checkSqliteVersion } from './database/connection.js'
import { checkNames, discover, type FoundDatabase } from './discover.js'
import { Engine } from './engine.js'
import { isError, messageOf, WalrustError } from './errors.js'
import type { Host } from './host.js'
import type { Log } from './log.js'
import type { ObjectStore } from './object-store.js'
import { Semaphore } from './ship/signal.js'
import { type DatabaseStatus, type EngineStatus, refusedStatus } from './status.js'

/** How often patterns and folders are looked through for new files, in milliseconds. */
const RESCAN = 5000

export interface ServiceParts {
  config: ResolvedConfig
  /** Has the plugins of `config` already. Started and stopped by the service. */
  host: Host
  log: Log
}

export interface StartOptions {
  /** Do not mind that none of the databases can be watched yet: somebody is about to make them. */
  patient?: boolean
}

type Found = FoundDatabase<DatabaseSource>

/**
 * What `walrust watch` and the library run: the databases of a configuration, found, followed, found again when files
 * come and go, and drained at the end. Everything it says goes to the log and the hooks; it knows no process, no
 * signals and no terminal.
 */
export class Service {
  readonly #host: Host
  readonly #log: Log
  readonly #engine: Engine
  /** Finding, adding and removing: one at a time. */
  readonly #alone = new Semaphore(1)
  #config: ResolvedConfig
  #stores = new Map<DatabaseSource, readonly ObjectStore[]>()
  /** What is watched, by name. */
  readonly #watched = new Map<string, Found>()
  /** Why databases are not watched, by path: said once, tried again. */
  readonly #refused = new Map<string, WalrustError>()
  /** The ones among them that were asked for by name, as they show in the status. */
  readonly #unwatched = new Map<string, DatabaseStatus>()
  #scanning: NodeJS.Timeout | undefined
  #halts: () => void = () => undefined

  constructor({ config, host, log }: ServiceParts) {
    this.#config = config
    this.#host = host
    this.#log = log
    const uploadConcurrency = config.upload.concurrency
    const { maxLag } = config.health
    this.#engine = new Engine({ host, log, uploadConcurrency, maxLag, onHalt: () => this.#halts() })
    host.observe(() => this.status())
  }

  /**
   * Checks everything that can be checked, and starts to follow.
   *
   * Errors: `E_PLATFORM`, `E_NO_DATABASES`, `E_DUPLICATE_NAME`, what plugins and stores find in their checks, and, if
   * there is no database at all that can be followed, why the first of them cannot.
   */
  async start({ patient = false }: StartOptions = {}): Promise<void> {
    if (process.platform === 'win32') throw new WalrustError('E_PLATFORM', 'databases cannot be watched on Windows')
    checkSqliteVersion()
    const { databases } = this.#config
    if (databases.length === 0) throw new WalrustError('E_NO_DATABASES', 'no database was named')
    this.#stores = await this.#openStores(this.#config)
    const found = await this.#discover()
    if (found.length === 0 && !patient) {
      throw new WalrustError(
        'E_NO_DATABASES',
        `there is no database at ${databases.map(({ path }) => path).join(', ')}`,
      )
    }
    checkNames(found)
    await this.#host.check(new Set([...this.#stores.values()].flat()))
    await this.#host.start()
    await this.#alone.run(async () => {
      for (const database of found) await this.#add(database)
    })
    const first = this.refused.at(0)
    if (this.#engine.names.length === 0 && first && !patient) throw first
    const storages = [...new Set([...this.#stores.values()].flat())].map(({ url }) => url)
    this.#log.info('watching', { databases: this.#engine.names.length, storage: storages.join(', ') })
  }

  /** Why databases are not watched that should be. */
  get refused(): readonly WalrustError[] {
    return [...this.#refused.values()]
  }

  get names(): readonly string[] {
    return this.#engine.names
  }

  /** How everything is that is watched, and what should be and is not. */
  status(): EngineStatus {
    const status = this.#engine.status()
    return { ...status, databases: [...status.databases, ...this.#unwatched.values()] }
  }

  /**
   * Looks for files that come and go until `signal` says that it is enough.
   *
   * @returns the gravest reason why nothing is left that anything can be shipped of; `undefined` after the signal
   */
  async run(signal: AbortSignal): Promise<WalrustError | undefined> {
    this.#scanning = setInterval(() => void this.rescan(), RESCAN)
    try {
      while (!signal.aborted && !this.#engine.halted) {
        await new Promise<void>((resolve) => {
          this.#halts = resolve
          signal.addEventListener('abort', () => resolve(), { once: true })
        })
      }
    } finally {
      clearInterval(this.#scanning)
    }
    return signal.aborted ? undefined : this.#engine.halted
  }

  /** Resolves when everything committed before the call is durable in every storage. */
  async flush(): Promise<void> {
    await this.#engine.flush()
  }

  /** Takes a snapshot of one database. Resolves with its transaction when it is durable in every storage. */
  async snapshot(name: string): Promise<number> {
    return await this.#engine.snapshot(name)
  }

  /** Looks for databases again: takes up new ones, and lets those go that are no longer there. */
  async rescan(): Promise<void> {
    await this.#alone.run(async () => {
      try {
        await this.#lookAgain()
      } catch (error) {
        this.#log.warn('looking for databases failed', { error: messageOf(error) })
      }
    })
  }

  /**
   * Ships what is pending, for as long as `timeout` milliseconds, and lets everything go.
   *
   * @returns what was not shipped: nothing, or an error per database
   */
  async close(timeout = this.#config.shutdownTimeout): Promise<WalrustError[]> {
    try {
      return await this.#alone.run(() => this.#engine.close(timeout))
    } finally {
      await this.#host.stop()
    }
  }

  async #openStores(config: ResolvedConfig): Promise<Map<DatabaseSource, readonly ObjectStore[]>> {
    const stores = new Map<DatabaseSource, readonly ObjectStore[]>()
    for (const source of config.databases) {
      const own: ObjectStore[] = []
      for (const { url, options } of source.storages) own.push(await this.#host.store(url, options))
      stores.set(source, own)
    }
    return stores
  }

  async #discover(): Promise<Found[]> {
    const folders = [...this.#stores.values()].flat().flatMap(({ folder }) => folder ?? [])
    return await discover(this.#config.databases, [...new Set(folders)])
  }

  async #lookAgain(): Promise<void> {
    const present = await this.#discover()
    for (const database of present) {
      const watched = this.#watched.get(database.name)
      if (watched?.path !== database.path) await this.#add(database)
    }
    const paths = new Set(present.map(({ path }) => path))
    for (const { name, path, state } of this.#engine.status().databases) {
      if (state !== 'unavailable' || paths.has(path)) continue
      this.#log.info('no longer there', { database: name, path })
      await this.#remove(name)
    }
    for (const path of this.#refused.keys()) if (!paths.has(path)) this.#taken(path)
  }

  async #add(database: Found): Promise<void> {
    const { name, path, place } = database
    try {
      const stores = this.#stores.get(place) ?? []
      await this.#engine.add({ name, path, stores, settings: place.settings })
      this.#watched.set(name, database)
      this.#taken(path)
    } catch (error) {
      if (!(error instanceof WalrustError)) throw error
      this.#refuse(database, error)
    }
  }

  async #remove(name: string): Promise<void> {
    await this.#engine.remove(name)
    this.#watched.delete(name)
  }

  /** A path is watched, or nobody wants it to be any more. */
  #taken(path: string): void {
    this.#refused.delete(path)
    this.#unwatched.delete(path)
  }

  #refuse({ name, path, found }: Found, error: WalrustError): void {
    if (this.#refused.get(path)?.code !== error.code) {
      const { message, hint, code } = error
      this.#log.error('not watched', { database: name, path, error: message, hint, code })
      // A file that a pattern found and that is not in WAL mode is somebody else's business.
      if (!found || isError(error, 'E_DUPLICATE_NAME')) this.#engine.notify('database_unavailable', name, { error })
    }
    this.#refused.set(path, error)
    if (!found) this.#unwatched.set(path, refusedStatus(name, path, error.message, this.#unwatched.get(path)?.since))
  }
}

/** How a process ends that has met these errors: with the code of the gravest. */
export function gravest(errors: readonly WalrustError[]): number {
  return Math.max(0, ...errors.map(({ exitCode }) => exitCode))
}
