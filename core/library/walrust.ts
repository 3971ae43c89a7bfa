import { resolve } from 'node:path'
import type { DatabaseEntry, WalrustConfig } from '../config/generated/types.js'
import { WalrustError } from '../errors.js'
import { type Log, SILENT } from '../log.js'
import { parseTime } from '../restore/point-in-time.js'
import type { BackupHistory, BackupSummary } from '../restore/summary.js'
import type { VerifyResult } from '../verify/verify.js'
import type { EngineStatus } from '../status.js'
import { timerDelay } from '../timers.js'
import { type CallOptions, EngineClient, type EngineMessage } from './engine-client.js'
import { EngineKeeper } from './engine-keeper.js'
import { asCall } from './failures.js'
import { RelayedMetrics } from './metrics.js'
import type {
  Abortable,
  ReadOptions,
  ReplicateOptions,
  RestoreCallOptions,
  SnapshotOptions,
  StorageOptions,
  SyncOptions,
  WalrustOptions,
} from './options.js'
import type { EngineCalls, EngineSetup, RestoredDatabase } from './protocol.js'
import { Replication } from './replication.js'
import { SharedPasses } from './shared-passes.js'

/** Milliseconds between two looks of a replica at the storage. */
const REPLICA_INTERVAL = 5000

/**
 * Walrust inside a program. The engine runs in a process of its own: a second copy of SQLite in the application's
 * process that opens and closes the database would drop the locks of the first one. It is started again when it
 * crashes, and ends when the application does, however that ends.
 *
 * Every call rejects with a {@link WalrustError}: what the engine met, or `E_ABORTED` for the caller's signal.
 */
export class Walrust {
  readonly #base: EngineSetup
  readonly #options: WalrustOptions
  readonly #log: Log
  readonly #passes = new SharedPasses()
  readonly #keeper: EngineKeeper
  readonly #metrics: RelayedMetrics | undefined
  /** What was added and let go since it was made: an engine that is started again starts with it. */
  #added: Array<string | DatabaseEntry> = []
  readonly #released = new Set<string>()

  /** @param config a configuration, or the path of a file that holds one. Errors: `E_CONFIG` for functions in it */
  constructor(config: WalrustConfig | string, options: WalrustOptions = {}) {
    const folder = resolve(options.folder ?? '.')
    const { log = SILENT, registry } = options
    if (typeof config !== 'string') refuseFunctions(config, '')
    this.#base = { config, folder, metrics: registry !== undefined }
    this.#options = options
    this.#log = log
    this.#keeper = new EngineKeeper({
      setup: () => this.#setup(),
      log,
      onMessage: (message) => this.#hear(message),
      onCrash: (error) => options.onCrash?.(error),
    })
    this.#metrics = registry && new RelayedMetrics(registry, (signal) => this.#keeper.call('metrics', [], { signal }))
  }

  /** Process number of the engine, while there is one. */
  get enginePid(): number | undefined {
    return this.#keeper.pid
  }

  /** Starts to follow the databases. Errors: everything that is wrong with the configuration, storage or databases. */
  async start({ signal }: Abortable = {}): Promise<void> {
    await asCall(signal, async () => {
      await this.#keeper.start(signal)
      await this.#metrics?.register()
    })
  }

  /**
   * Ships what is pending within `shutdownTimeout`, and ends the engine. With the signal it ends at once.
   *
   * Errors: `E_UNSHIPPED` and what is as grave
   */
  async stop({ signal }: Abortable = {}): Promise<void> {
    try {
      await asCall(signal, () => this.#keeper.stop(signal))
    } finally {
      this.#metrics?.remove()
    }
  }

  /**
   * Follows another database, or those that a pattern or folder stands for, with the settings of the configuration and
   * its own. One of the same path in the configuration is replaced.
   *
   * @returns their names. Errors: `E_CONFIG`, `E_NO_DATABASES`, `E_DUPLICATE_NAME`, `E_DATABASE_…`, `E_STORAGE`…; then
   * nothing has changed
   */
  async add(database: string | DatabaseEntry, { signal }: Abortable = {}): Promise<string[]> {
    if (typeof database !== 'string') refuseFunctions(database, '')
    const names = await asCall(signal, () => this.#keeper.call('add', [database], { signal }))
    const path = this.#pathOf(database)
    this.#added = [...this.#added.filter((other) => this.#pathOf(other) !== path), database]
    for (const name of names) this.#released.delete(name)
    return names
  }

  /**
   * Ships what is pending of a database within `shutdownTimeout` and lets it go, until it is added again. Its backup
   * stays. Errors: `E_NOT_WATCHED`; `E_UNSHIPPED` for what was not shipped, when it has been let go all the same
   */
  async remove(name: string, { signal }: Abortable = {}): Promise<void> {
    try {
      await asCall(signal, () => this.#keeper.call('remove', [name], { signal }))
    } catch (error) {
      if (!(error instanceof WalrustError) || error.code !== 'E_UNSHIPPED') throw error
      this.#released.add(name)
      throw error
    }
    this.#released.add(name)
  }

  /**
   * Resolves when everything committed to a database before the call is durable in storage: the answer to "is my
   * commit safe?". Callers at once share one pass.
   *
   * Errors: `E_UNSHIPPED` after `timeout`, `E_ABORTED`, why the database is not followed.
   */
  async sync(name: string, { storages, timeout, signal, force = false }: SyncOptions = {}): Promise<void> {
    const late = timeout === undefined ? undefined : AbortSignal.timeout(timerDelay(timeout))
    const signals = [late, signal].filter((one) => one !== undefined)
    const either = signals.length > 0 ? AbortSignal.any(signals) : undefined
    const key = JSON.stringify([name, storages, force])
    const pass = (ended: AbortSignal) => this.#keeper.call('sync', [name, storages, force], { signal: ended })
    await asCall(signal, async () => {
      try {
        await this.#passes.join(key, pass, either)
      } catch (error) {
        if (!late?.aborted || signal?.aborted) throw error
        throw new WalrustError('E_UNSHIPPED', `commits of ${name} are not in storage after ${timeout} ms`, {
          database: name,
          cause: error,
        })
      }
    })
  }

  /** Takes a snapshot. Resolves with its transaction when it is durable. */
  async snapshot(name: string, { storages, signal }: SnapshotOptions = {}): Promise<number> {
    return await asCall(signal, () => this.#keeper.call('snapshot', [name, storages], { signal }))
  }

  /** How everything is that is followed. Errors: `E_NOT_WATCHED` before the start */
  async status({ signal }: Abortable = {}): Promise<EngineStatus> {
    return await asCall(signal, () => this.#keeper.call('status', [], { signal }))
  }

  /**
   * Brings a database of the configuration back if its file is not there: for the start with an empty disk, before the
   * application opens it. Nothing has to be started for that.
   *
   * @returns `no-backup` if every storage could be listed and none has anything of it. Errors: those of a restore
   */
  async ensureRestored(path: string, { signal }: Abortable = {}): Promise<'restored' | 'present' | 'no-backup'> {
    return await this.#apart('ensureRestored', [this.#setup(), path], { signal })
  }

  /**
   * Brings a database back, whether anything is started or not. What fails leaves the target as it was.
   *
   * @param name as it is in storage, or a URL that ends in it
   * Errors: `E_NO_BACKUP`, `E_POINT_UNAVAILABLE`, `E_TARGET_EXISTS`, `E_DATABASE_BUSY`, `E_CHECKSUM` and other damage,
   * `E_STORAGE`…
   */
  async restore(name: string, options: RestoreCallOptions = {}): Promise<RestoredDatabase> {
    const { output, storage, txid, timestamp, force = false, integrityCheck = 'full', signal, onProgress } = options
    if (txid !== undefined && timestamp !== undefined) {
      throw new WalrustError('E_USAGE', 'only one of txid and timestamp can be given', { database: name })
    }
    const file = output === undefined ? undefined : resolve(this.#base.folder, output)
    const time = timestamp === undefined ? undefined : momentOf(timestamp)
    if (Number.isNaN(time)) throw new WalrustError('E_USAGE', 'timestamp is not a valid date', { database: name })
    const wanted = { output: file, storage, txid, time, force, integrityCheck }
    return await this.#apart('restore', [this.#setup(), name, wanted], { signal, onProgress })
  }

  /** Reads everything that lies in storage for a database, and tells what is wrong with it: `findings` is empty if nothing is. */
  async verify(name: string, { storage, signal, onProgress }: ReadOptions = {}): Promise<VerifyResult> {
    return await this.#apart('verify', [this.#setup(), name, storage], { signal, onProgress })
  }

  /** The databases that a storage has something of, or what it has of one of them. Errors: `E_NO_BACKUP`, `E_STORAGE`… */
  async list(name?: undefined, options?: StorageOptions): Promise<BackupSummary[]>
  async list(name: string, options?: StorageOptions): Promise<BackupHistory>
  async list(name?: string, { storage, signal }: StorageOptions = {}): Promise<BackupSummary[] | BackupHistory> {
    if (name === undefined) return await this.#apart('list', [this.#setup(), storage], { signal })
    return await this.#apart('history', [this.#setup(), name, storage], { signal })
  }

  /**
   * Keeps a copy of a database that others can read while it follows the backup. Resolves when the copy can be opened;
   * the signal is for that, {@link Replication.stop} for what comes after.
   *
   * @param source as it is in storage, or a URL that ends in it
   * Errors: `E_NO_BACKUP`, `E_NOT_REPLICA`, `E_DATABASE_LOCKED`, `E_STORAGE`…
   */
  async replicate(source: string, options: ReplicateOptions): Promise<Replication> {
    const { local, storage, interval = REPLICA_INTERVAL, signal, onEnd = () => undefined } = options
    const wanted = { local: resolve(this.#base.folder, local), storage, interval }
    return await new Replication({ setup: this.#setup(), source, wanted, log: this.#log, onEnd }).open(signal)
  }

  /** Does something in a process of its own: an engine that ships is not held up, and the memory goes with it. */
  async #apart<Call extends keyof EngineCalls>(
    call: Call,
    args: Parameters<EngineCalls[Call]>,
    options: CallOptions,
  ): Promise<ReturnType<EngineCalls[Call]>> {
    return await asCall(options.signal, async () => {
      const engine = new EngineClient((message) => this.#hear(message))
      try {
        return await engine.call(call, args, options)
      } finally {
        await engine.end()
      }
    })
  }

  #setup(): EngineSetup {
    return { ...this.#base, added: this.#added, released: [...this.#released] }
  }

  #pathOf(database: string | DatabaseEntry): string {
    return resolve(this.#base.folder, typeof database === 'string' ? database : database.path)
  }

  #hear(message: EngineMessage): void {
    if ('event' in message) this.#options.onEvent?.(message.event)
    else if ('log' in message) this.#log[message.log.level](message.log.message, message.log.fields)
  }
}

/** Walrust for a configuration. Nothing happens before it is asked for something. */
export function createWalrust(config: WalrustConfig | string, options?: WalrustOptions): Walrust {
  return new Walrust(config, options)
}

/** Milliseconds since the epoch; NaN for a date that is none. Errors: `E_USAGE` */
function momentOf(timestamp: Date | string): number {
  return typeof timestamp === 'string' ? parseTime(timestamp) : timestamp.getTime()
}

/** Functions, and objects with functions such as plugins, cannot pass to another process. */
function refuseFunctions(value: unknown, path: string): void {
  if (typeof value === 'function') {
    throw new WalrustError('E_CONFIG', `${path} is or has a function, and the engine runs in another process`, {
      hint: 'Name plugins by package or path, or give the path of a configuration file instead of an object.',
    })
  }
  if (typeof value !== 'object' || value === null) return
  for (const [key, inner] of Object.entries(value)) refuseFunctions(inner, path === '' ? key : `${path}.${key}`)
}
