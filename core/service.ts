import type { DatabaseSource, ResolvedConfig } from './config/resolved.js'
import { controlCommands } from './control/commands.js'
import { ControlServer } from './control/server.js'
import { checkSqliteVersion } from './database/connection.js'
import { checkNames, discover, type FoundDatabase } from './discover.js'
import { Engine } from './engine.js'
import { isError, messageOf, WalrustError } from './errors.js'
import type { Host } from './host.js'
import type { Log } from './log.js'
import type { ObjectStore } from './object-store.js'
import type { FlushOptions, Replicator } from './replicator.js'
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

/** A database that is not watched, and why. */
interface Refused {
  name: string
  path: string
  error: WalrustError
  /** How it shows in the status, if it was asked for by name. */
  status: DatabaseStatus | undefined
}

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
  readonly #refused = new Map<string, Refused>()
  #scanning: NodeJS.Timeout | undefined
  /** Where other processes ask this one. */
  readonly #control: ControlServer
  #halts: () => void = () => undefined

  constructor({ config, host, log }: ServiceParts) {
    this.#config = config
    this.#host = host
    this.#log = log
    this.#control = new ControlServer(controlCommands(this), log)
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
    return [...this.#refused.values()].map(({ error }) => error)
  }

  get names(): readonly string[] {
    return this.#engine.names
  }

  /** How everything is that is watched, and what should be and is not. */
  status(): EngineStatus {
    const status = this.#engine.status()
    const unwatched = [...this.#refused.values()].flatMap((refused) => refused.status ?? [])
    return { ...status, databases: [...status.databases, ...unwatched] }
  }

  /** The name of the database that somebody means by its name or by the path of its file. */
  nameOf(nameOrPath: string): string {
    const known = [...this.#watched.values(), ...this.#refused.values()]
    return known.find(({ path }) => path === nameOrPath)?.name ?? nameOrPath
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

  /**
   * Resolves when everything committed to one database before the call is durable in every storage, or in those named.
   *
   * Errors: why the database is halted or not watched, `E_NOT_WATCHED`, the signal's reason.
   */
  async sync(name: string, options: FlushOptions = {}): Promise<void> {
    const replicator = this.#replicator(name)
    this.#checkStorages(name, options.storages)
    await replicator.flush(options)
  }

  /**
   * Takes a snapshot of one database. Resolves with its newest transaction when it is durable in every storage, or in
   * those named. Errors: as {@link sync}.
   */
  async snapshot(name: string, storages?: readonly string[]): Promise<number> {
    const replicator = this.#replicator(name)
    this.#checkStorages(name, storages)
    return Math.max(...(await replicator.snapshot(storages)))
  }

  /** URLs of the storages of a database that is watched. */
  storagesOf(name: string): readonly string[] {
    return this.#replicator(name).shippers.map(({ url }) => url)
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
      this.#control.closeAll()
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
    for (const path of this.#refused.keys()) if (!paths.has(path)) this.#refused.delete(path)
  }

  async #add(database: Found): Promise<void> {
    const { name, path, place } = database
    try {
      const stores = this.#stores.get(place) ?? []
      await this.#engine.add({ name, path, stores, settings: place.settings })
      this.#watched.set(name, database)
      this.#refused.delete(path)
      await this.#control.listen(this.#replicator(name).database.stateDir)
    } catch (error) {
      if (!(error instanceof WalrustError)) throw error
      this.#refuse(database, error)
    }
  }

  async #remove(name: string): Promise<void> {
    this.#control.close(this.#replicator(name).database.stateDir)
    await this.#engine.remove(name)
    this.#watched.delete(name)
  }

  #checkStorages(name: string, storages: readonly string[] | undefined): void {
    const known = this.storagesOf(name)
    const unknown = storages?.find((url) => !known.includes(url))
    if (unknown === undefined) return
    const hint = `It is shipped to ${known.join(', ')}.`
    throw new WalrustError('E_USAGE', `${name} is not shipped to ${unknown}`, { database: name, hint })
  }

  #replicator(name: string): Replicator {
    const replicator = this.#engine.get(name)
    if (replicator) return replicator
    const refused = [...this.#refused.values()].find((other) => other.name === name)
    throw refused?.error ?? new WalrustError('E_NOT_WATCHED', `no database ${name} is watched`, { database: name })
  }

  #refuse({ name, path, found }: Found, error: WalrustError): void {
    const before = this.#refused.get(path)
    if (before?.error.code !== error.code) {
      const { message, hint, code } = error
      this.#log.error('not watched', { database: name, path, error: message, hint, code })
      if (!found || isError(error, 'E_DUPLICATE_NAME')) this.#engine.notify('database_unavailable', name, { error })
    }
    // A file that a pattern found and that is not in WAL mode is somebody else's business.
    const status = found ? undefined : refusedStatus(name, path, error.message, before?.status?.since)
    this.#refused.set(path, { name, path, error, status })
  }
}

/** How a process ends that has met these errors: with the code of the gravest. */
export function gravest(errors: readonly WalrustError[]): number {
  return Math.max(0, ...errors.map(({ exitCode }) => exitCode))
}
