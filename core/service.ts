import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import type { CompactReport } from './compact/report.js'
import type { DatabaseSource, ResolvedConfig } from './config/resolved.js'
import { DEFAULT_PROCESS } from './config/settings-of.js'
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
import { restoreMissing } from './restore/restore-missing.js'
import { Semaphore } from './ship/signal.js'
import { type DatabaseStatus, type EngineStatus, refusedStatus } from './status.js'

/** How often patterns and folders are looked through for new files, in milliseconds. */
const RESCAN = 5000

/** The same, and for how long, while somebody is about to make a database that is not there yet. */
const PATIENT_RESCAN = 250
const PATIENCE = 60_000

export interface ServiceParts {
  config: ResolvedConfig
  /** Has the plugins of `config` already. Started and stopped by the service. */
  host: Host
  log: Log
  /** Names of databases not to follow, although the configuration says so: somebody has let them go. */
  released?: readonly string[]
}

export interface StartOptions {
  /** Do not mind that no database is named: some may be added. */
  empty?: boolean
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
  /** Names of databases that are not followed because somebody has let them go. */
  readonly #released: Set<string>
  #scanning: NodeJS.Timeout | undefined
  /** Where other processes ask this one. */
  readonly #control: ControlServer
  /** Until when databases are looked for often that were named and are not there. */
  #patientUntil = 0
  #halts: () => void = () => undefined

  constructor({ config, host, log, released = [] }: ServiceParts) {
    this.#config = config
    this.#released = new Set(released)
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
  async start({ patient = false, empty = false }: StartOptions = {}): Promise<void> {
    if (patient) this.#patientUntil = performance.now() + PATIENCE
    if (process.platform === 'win32') throw new WalrustError('E_PLATFORM', 'databases cannot be watched on Windows')
    checkSqliteVersion()
    checkHonoured(this.#config)
    const { databases } = this.#config
    if (databases.length === 0 && !empty) throw new WalrustError('E_NO_DATABASES', 'no database was named')
    this.#stores = await this.#openStores(this.#config)
    const found = await this.#discover()
    if (found.length === 0 && this.#released.size === 0 && !patient && !empty) {
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

  /**
   * Before {@link start}: brings back every database that is named, whose file is not there and which some storage has.
   *
   * Errors: those of a restore; `E_USAGE` if nothing but patterns is named, which do not say what is missing.
   */
  async restoreMissing(signal?: AbortSignal): Promise<void> {
    const stores = await this.#openStores(this.#config)
    const named = (await discover(this.#config.databases)).filter(({ found }) => !found)
    if (named.length === 0) {
      throw new WalrustError(
        'E_USAGE',
        'only databases that are named by their path can be restored before the start',
        {
          hint: 'Name each database, or restore them first: walrust restore NAME -o FILE.',
        },
      )
    }
    for (const { name, path, place } of named) {
      const { settings } = place
      const parts = { name, path, settings, stores: stores.get(place) ?? [], hooks: this.#host.hooks, signal }
      const done = await restoreMissing(parts)
      if (done === 'no-backup') this.#log.info('there is no backup yet to restore', { database: name, path })
      if (typeof done === 'string') continue
      const { result, storage } = done
      this.#log.info('restored', { database: name, path, storage, txid: result.txid, bytes: result.size })
    }
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
   * @returns the gravest reason why nothing is left that anything can be shipped of; nothing after the signal
   */
  async run(signal: AbortSignal): Promise<WalrustError[]> {
    this.#scanLater()
    try {
      while (!signal.aborted && !this.#engine.halted) {
        await new Promise<void>((resolve) => {
          this.#halts = resolve
          signal.addEventListener('abort', () => resolve(), { once: true })
        })
      }
    } finally {
      clearTimeout(this.#scanning)
      this.#scanning = undefined
    }
    return signal.aborted ? [] : [this.#engine.halted].flatMap((error) => error ?? [])
  }

  /** Resolves when everything committed before the call is durable in every storage. */
  async flush(signal?: AbortSignal): Promise<void> {
    await this.#engine.flush(signal)
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

  /**
   * Tells what there is to merge and to remove of a database in one storage, and does it with `force`; `undefined` if it
   * is not shipped there. Errors: why the database is halted or not watched, `E_NOT_WATCHED`, those of a compaction.
   */
  async compact(name: string, storage: string, force: boolean): Promise<CompactReport | undefined> {
    return await this.#replicator(name).compact(storage, force)
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
   * Takes up another configuration: databases and their settings. What has not changed goes on undisturbed; a database
   * with other settings is let go and followed again from where it was. Plugins stay as they are.
   *
   * Errors: those of {@link start}; then everything goes on as before.
   */
  async reload(config: ResolvedConfig): Promise<void> {
    await this.#alone.run(async () => {
      const stores = await this.#openStores(config)
      const all = await discover(config.databases, foldersOf(stores))
      const found = all.filter(({ name }) => !this.#released.has(name))
      checkNames(found)
      const known = new Set([...this.#stores.values()].flat())
      for (const store of new Set([...stores.values()].flat())) if (!known.has(store)) await store.check?.()
      this.#config = config
      this.#stores = stores
      const wanted = new Map(found.map((database) => [database.name, database]))
      for (const [name, watched] of [...this.#watched]) {
        const now = wanted.get(name)
        if (now && isSame(now, watched)) this.#watched.set(name, now)
        else await this.#remove(name, now?.path === watched.path ? undefined : config.shutdownTimeout)
      }
      await this.#lookAgain()
      this.#log.info('configuration read again', { databases: this.names.length })
    })
  }

  /**
   * Follows a database, or those that a pattern or folder stands for, beside those of the configuration. One that was
   * let go is followed again; what else had that path in the configuration is replaced.
   *
   * @returns their names. Errors: `E_NO_DATABASES`, `E_DUPLICATE_NAME` for one that is followed, why it cannot be
   * followed, and what its storage says; then everything is as before
   */
  async follow(source: DatabaseSource): Promise<string[]> {
    return await this.#alone.run(async () => {
      checkHonoured({ ...this.#config, databases: [source] })
      const others = this.#config.databases.filter(({ path }) => resolve(path) !== resolve(source.path))
      const config = { ...this.#config, databases: [...others, source] }
      const stores = await this.#openStores(config)
      const found = await discover([source], foldersOf(stores))
      if (found.length === 0) throw new WalrustError('E_NO_DATABASES', `there is no database at ${source.path}`)
      for (const { name, path } of found) {
        const other = this.#watched.get(name)
        if (other) throw new WalrustError('E_DUPLICATE_NAME', `${name} is followed already, at ${other.path}`)
        const same = [...this.#watched.values()].find((watched) => watched.path === path)
        if (same) throw new WalrustError('E_DUPLICATE_NAME', `${path} is followed already, as ${same.name}`)
      }
      const known = new Set([...this.#stores.values()].flat())
      for (const store of stores.get(source) ?? []) if (!known.has(store)) await store.check?.()
      const before = { config: this.#config, stores: this.#stores }
      this.#config = config
      this.#stores = stores
      for (const database of found) {
        await this.#add(database)
        const refused = this.#refused.get(database.path)
        if (!refused || database.found) continue
        this.#refused.delete(database.path)
        this.#config = before.config
        this.#stores = before.stores
        throw refused.error
      }
      for (const { name } of found) this.#released.delete(name)
      return found.map(({ name }) => name)
    })
  }

  /**
   * Ships what is pending of a database within the shutdown timeout and lets it go. Its backup stays, and its file is
   * not followed again before somebody asks for that.
   *
   * @returns what was not shipped: nothing, or an error. Errors: `E_NOT_WATCHED`
   */
  async release(name: string): Promise<WalrustError[]> {
    return await this.#alone.run(async () => {
      const refused = [...this.#refused.values()].find((other) => other.name === name)
      if (!refused) this.#replicator(name)
      this.#released.add(name)
      if (refused) this.#refused.delete(refused.path)
      return refused && !this.#watched.has(name) ? [] : await this.#remove(name, this.#config.shutdownTimeout)
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

  #scanLater(): void {
    const awaited = [...this.#refused.values()].some(({ status }) => status !== undefined)
    const soon = awaited && performance.now() < this.#patientUntil
    const scan = async () => {
      await this.rescan()
      if (this.#scanning) this.#scanLater()
    }
    this.#scanning = setTimeout(() => void scan(), soon ? PATIENT_RESCAN : RESCAN)
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
    const all = await discover(this.#config.databases, foldersOf(this.#stores))
    return all.filter(({ name }) => !this.#released.has(name))
  }

  async #lookAgain(): Promise<void> {
    const present = await this.#discover()
    for (const database of present) {
      const isWatched = this.#watched.get(database.name)?.path === database.path
      // One that was named and is not there is said once; opening it would leave a state folder behind each time.
      const isMissing = this.#refused.has(database.path) && !existsSync(database.path)
      if (!isWatched && !isMissing) await this.#add(database)
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

  async #remove(name: string, timeout?: number): Promise<WalrustError[]> {
    this.#control.close(this.#replicator(name).database.stateDir)
    const unshipped = await this.#engine.remove(name, timeout)
    for (const { message, code, hint } of unshipped) this.#log.error(message, { database: name, code, hint })
    this.#watched.delete(name)
    return unshipped
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

/** Folders on this machine where backups lie. */
function foldersOf(stores: ReadonlyMap<unknown, readonly ObjectStore[]>): string[] {
  return [...new Set([...stores.values()].flat().flatMap(({ folder }) => folder ?? []))]
}

/** Whether a database is to be followed as it is. */
function isSame(a: Found, b: Found): boolean {
  const asText = ({ path, place: { settings, storages } }: Found) => JSON.stringify({ path, settings, storages })
  return asText(a) === asText(b)
}

/** How a process ends that has met these errors: with the code of the gravest. */
export function gravest(errors: readonly WalrustError[]): number {
  return Math.max(0, ...errors.map(({ exitCode }) => exitCode))
}

/** What is configured and would not be done is an error, not a silence. Errors: `E_CONFIG`. */
function checkHonoured({ databases, lease }: ResolvedConfig): void {
  const refuse = (key: string, hint: string) => {
    throw new WalrustError('E_CONFIG', `${key} is not there yet: nothing would come of it`, { hint })
  }
  if (databases.some(({ settings }) => settings.validation.interval > 0)) {
    refuse('validation.interval', 'Leave it out, and run `walrust verify` by a timer.')
  }
  if (lease.ttl !== DEFAULT_PROCESS.lease.ttl) refuse('lease.ttl', 'Leave it out.')
}
