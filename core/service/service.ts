import type { CompactReport } from '../compact/report.js'
import type { DatabaseSource, ResolvedConfig } from '../config/resolved.js'
import { controlCommands } from '../control/commands.js'
import { ControlServer } from '../control/server.js'
import { checkSqliteVersion } from '../database/connection.js'
import { Engine } from '../engine.js'
import { WalrustError } from '../errors.js'
import type { Host } from '../host.js'
import type { Log } from '../log.js'
import type { FlushOptions } from '../replicator/replicator.js'
import { type EngineStatus, maskedStatus } from '../status.js'
import { type Validate, Validator } from '../verify/validator.js'
import { checkHonoured } from './check-honoured.js'
import { restoreNamed } from './restore-named.js'
import { WatchList } from './watch-list.js'

/** Milliseconds beyond the shutdown timeout for plugins that keep to it themselves: to end in their own way. */
const STOP_GRACE = 1000

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
  /** Proves a backup in another process; without it nothing is validated by the clock. */
  validate?: Validate
  /** Names of databases not to follow, although the configuration says so: somebody has let them go. */
  released?: readonly string[]
}

export interface StartOptions {
  /** Do not mind that no database is named: some may be added. */
  empty?: boolean
  /** Do not mind that none of the databases can be watched yet: somebody is about to make them. */
  patient?: boolean
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
  readonly #list: WatchList
  #scanning: NodeJS.Timeout | undefined
  /** Where other processes ask this one. */
  readonly #control: ControlServer
  readonly #validator: Validator | undefined
  /** Until when databases are looked for often that were named and are not there. */
  #patientUntil = 0
  #halts: () => void = () => undefined

  constructor({ config, host, log, validate, released = [] }: ServiceParts) {
    this.#host = host
    this.#log = log
    this.#control = new ControlServer(controlCommands(this), log)
    const uploadConcurrency = config.upload.concurrency
    const { maxLag } = config.health
    const leaseTtl = config.lease.ttl
    const engine = new Engine({ host, log, uploadConcurrency, leaseTtl, maxLag, onHalt: () => this.#halts() })
    const failed = (name: string, error: string, context: object) =>
      engine.notify('validation_failed', name, { error, context })
    this.#engine = engine
    this.#validator = validate && new Validator({ validate, log, failed })
    const inside = { engine, control: this.#control, validator: this.#validator }
    this.#list = new WatchList({ config, host, log, released, ...inside })
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
    const { config } = this.#list
    checkHonoured(config, this.#validator !== undefined)
    if (config.databases.length === 0 && !empty) throw new WalrustError('E_NO_DATABASES', 'no database was named')
    const found = await this.#list.find(patient || empty)
    const { stores } = this.#list
    await this.#host.check(stores)
    await this.#host.start()
    await this.#list.begin(found)
    const first = this.refused.at(0)
    if (this.#engine.names.length === 0 && first && !patient) throw first
    const storage = [...stores].map(({ url }) => url).join(', ')
    this.#log.info('watching', { databases: this.#engine.names.length, storage })
  }

  /**
   * Before {@link start}: brings back every database that is named, whose file is not there and which some storage has.
   *
   * Errors: those of a restore; `E_USAGE` if nothing but patterns is named, which do not say what is missing.
   */
  async restoreMissing(signal?: AbortSignal): Promise<void> {
    await restoreNamed(this.#list.config, { host: this.#host, log: this.#log }, signal)
  }

  /** Why databases are not watched that should be. */
  get refused(): readonly WalrustError[] {
    return this.#list.refusals.all.map(({ error }) => error)
  }

  get names(): readonly string[] {
    return this.#engine.names
  }

  /** How everything is that is watched, and what should be and is not. */
  status(): EngineStatus {
    const status = this.#engine.status()
    const refused = this.#list.refusals.statuses
    const watched = status.databases.map((database) => {
      const validation = this.#validator?.statusOf(database.name)
      return validation ? { ...database, validation } : database
    })
    return { ...status, databases: [...watched, ...refused.map(maskedStatus)] }
  }

  /** The name of the database that somebody means by its name or by the path of its file. */
  nameOf(nameOrPath: string): string {
    return this.#list.nameOf(nameOrPath)
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
    const replicator = this.#list.replicator(name)
    this.#checkStorages(name, options.storages)
    await replicator.flush(options)
  }

  /**
   * Takes a snapshot of one database. Resolves with its newest transaction when it is durable in every storage, or in
   * those named. Errors: as {@link sync}.
   */
  async snapshot(name: string, storages?: readonly string[]): Promise<number> {
    const replicator = this.#list.replicator(name)
    this.#checkStorages(name, storages)
    return Math.max(...(await replicator.snapshot(storages)))
  }

  /**
   * Tells what there is to merge and to remove of a database in one storage, and does it with `force`; `undefined` if it
   * is not shipped there. Errors: why the database is halted or not watched, `E_NOT_WATCHED`, those of a compaction.
   */
  async compact(name: string, storage: string, force: boolean): Promise<CompactReport | undefined> {
    return await this.#list.replicator(name).compact(storage, force)
  }

  /** URLs of the storages of a database that is watched. */
  storagesOf(name: string): readonly string[] {
    return this.#list.replicator(name).shippers.map(({ url }) => url)
  }

  /** Looks for databases again: takes up new ones, and lets those go that are no longer there. */
  async rescan(): Promise<void> {
    await this.#list.rescan()
  }

  /**
   * Takes up another configuration: databases and their settings. What has not changed goes on undisturbed; a database
   * with other settings is let go and followed again from where it was. Plugins stay as they are.
   *
   * Errors: those of {@link start}; then everything goes on as before.
   */
  async reload(config: ResolvedConfig): Promise<void> {
    await this.#list.reload(config)
  }

  /**
   * Follows a database, or those that a pattern or folder stands for, beside those of the configuration. One that was
   * let go is followed again; what else had that path in the configuration is replaced.
   *
   * @returns their names. Errors: `E_NO_DATABASES`, `E_DUPLICATE_NAME` for one that is followed, why it cannot be
   * followed, and what its storage says; then everything is as before
   */
  async follow(source: DatabaseSource): Promise<string[]> {
    return await this.#list.follow(source)
  }

  /**
   * Ships what is pending of a database within the shutdown timeout and lets it go. Its backup stays, and its file is
   * not followed again before somebody asks for that.
   *
   * @returns what was not shipped: nothing, or an error. Errors: `E_NOT_WATCHED`
   */
  async release(name: string): Promise<WalrustError[]> {
    return await this.#list.release(name)
  }

  /**
   * Ships what is pending, for as long as `timeout` milliseconds, and lets everything go.
   *
   * @returns what was not shipped: nothing, or an error per database
   */
  async close(timeout = this.#list.config.shutdownTimeout): Promise<WalrustError[]> {
    try {
      await this.#validator?.close()
      return await this.#list.close(timeout)
    } finally {
      this.#control.closeAll()
      await this.#host.stop(this.#list.config.shutdownTimeout + STOP_GRACE)
    }
  }

  #scanLater(): void {
    const soon = this.#list.refusals.statuses.length > 0 && performance.now() < this.#patientUntil
    const scan = async () => {
      await this.rescan()
      if (this.#scanning) this.#scanLater()
    }
    this.#scanning = setTimeout(() => void scan(), soon ? PATIENT_RESCAN : RESCAN)
  }

  #checkStorages(name: string, storages: readonly string[] | undefined): void {
    const known = this.storagesOf(name)
    const unknown = storages?.find((url) => !known.includes(url))
    if (unknown === undefined) return
    const hint = `It is shipped to ${known.join(', ')}.`
    throw new WalrustError('E_USAGE', `${name} is not shipped to ${unknown}`, { database: name, hint })
  }
}

/** How a process ends that has met these errors: with the code of the gravest. */
export function gravest(errors: readonly WalrustError[]): number {
  return Math.max(0, ...errors.map(({ exitCode }) => exitCode))
}
