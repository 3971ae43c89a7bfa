import type { Command } from 'commander'
import { checkSqliteVersion } from '../../core/database/connection.js'
import { checkNames, discover, type FoundDatabase } from '../../core/discover.js'
import { Engine } from '../../core/engine.js'
import { messageOf, WalrustError } from '../../core/errors.js'
import type { ObjectStore } from '../../core/object-store.js'
import { type DatabaseSettings, DEFAULT_SETTINGS } from '../../core/settings.js'
import { shadowWal } from '../../plugins/shadow-wal/index.js'
import { folderOf } from '../../plugins/storage-file/file-store.js'
import { type Context, createContext, openStorage } from '../context.js'
import { count, duration, size } from '../values.js'

/** How often patterns and folders are looked through for new files, in milliseconds. */
const RESCAN = 5000

interface WatchOptions {
  bucket?: string
  syncInterval?: number
  snapshotInterval?: number
  onStartup?: boolean
  checkpointInterval?: number
  minCheckpointPages?: number
  walTruncateThreshold?: number
  maxRetries?: number
  baseDelay?: number
  maxDelay?: number
  uploadConcurrency: number
  shadowWal?: boolean
  spoolDir?: string
  spoolMaxSize?: number
  cacheRetention?: number
  cacheMaxSize?: number
  stateDir?: string
  shutdownTimeout: number
  adopt?: boolean
  once?: boolean
}

export function watchCommand(program: Command): void {
  program
    .command('watch')
    .description('follow databases and ship every commit')
    .argument('[databases...]', 'files, folders or quoted patterns')
    .option('-b, --bucket <url>', 'where to: file:///folder, s3://bucket/prefix, gs://bucket/prefix')
    .option('--once', 'ship everything pending, wait until it is durable, and end')
    .option('--sync-interval <duration>', 'time between two files under continuous writes (default: 1s)', duration)
    .option('--snapshot-interval <duration>', 'time between snapshots (default: 1h)', duration)
    .option('--on-startup', 'take a snapshot at start')
    .option('--checkpoint-interval <duration>', 'time between checkpoints (default: 60s)', duration)
    .option('--min-checkpoint-pages <count>', 'pages in the WAL before a checkpoint (default: 1000)', count)
    .option('--wal-truncate-threshold <count>', 'pages in the WAL that are too many (default: 121359)', count)
    .option('--max-retries <count>', 'attempts before a failure is reported (default: 5)', count)
    .option('--base-delay <duration>', 'first wait between attempts (default: 100ms)', duration)
    .option('--max-delay <duration>', 'longest wait between attempts (default: 30s)', duration)
    .option('--upload-concurrency <count>', 'uploads at a time', count, 4)
    .option('--shadow-wal', 'copy frames to the state directory before the WAL is restarted (default)')
    .option('--no-shadow-wal', 'keep the WAL until its frames are in the spool')
    .option('--spool-dir <folder>', 'where files wait for their upload (default: in the state directory)')
    .option('--spool-max-size <size>', 'how much may wait on this machine (default: 5GiB)', size)
    .option('--cache-retention <duration>', 'how long shipped files stay here (default: 24h)', duration)
    .option('--cache-max-size <size>', 'how much of shipped files stays here (default: 1GiB)', size)
    .option('--state-dir <folder>', 'where walrust keeps its state (default: beside each database)')
    .option('--shutdown-timeout <duration>', 'how long to go on shipping at the end', duration, 10_000)
    .option('--adopt', 'go on with a backup that this machine did not write last')
    .action(async (databases: string[], options: WatchOptions, command: Command) => {
      process.exitCode = await new Watch(createContext(command), databases, options).run()
    })
}

/** Settings from the flags that were typed. */
export function settingsOf(options: Partial<WatchOptions>): DatabaseSettings {
  const { sync, checkpoint, snapshot, spool, resilience } = DEFAULT_SETTINGS
  return {
    ...DEFAULT_SETTINGS,
    sync: { interval: options.syncInterval ?? sync.interval },
    checkpoint: {
      ...checkpoint,
      interval: options.checkpointInterval ?? checkpoint.interval,
      minPages: options.minCheckpointPages ?? checkpoint.minPages,
      truncateThreshold: options.walTruncateThreshold ?? checkpoint.truncateThreshold,
    },
    snapshot: {
      ...snapshot,
      interval: options.snapshotInterval ?? snapshot.interval,
      onStartup: options.onStartup ?? snapshot.onStartup,
    },
    spool: {
      dir: options.spoolDir,
      maxSize: options.spoolMaxSize ?? spool.maxSize,
      cacheRetention: options.cacheRetention ?? spool.cacheRetention,
      cacheMaxSize: options.cacheMaxSize ?? spool.cacheMaxSize,
    },
    resilience: {
      ...resilience,
      maxRetries: options.maxRetries ?? resilience.maxRetries,
      baseDelay: options.baseDelay ?? resilience.baseDelay,
      maxDelay: options.maxDelay ?? resilience.maxDelay,
    },
    stateDir: options.stateDir,
    adopt: options.adopt ?? false,
    giveUp: options.once ?? false,
  }
}

/** One run of `walrust watch`. */
class Watch {
  readonly #context: Context
  readonly #sources: readonly string[]
  readonly #options: WatchOptions
  readonly #settings: DatabaseSettings
  readonly #engine: Engine
  #store!: ObjectStore
  /** Why databases are not watched, by path: said once, tried again. */
  readonly #refused = new Map<string, WalrustError>()

  constructor(context: Context, sources: readonly string[], options: WatchOptions) {
    this.#context = context
    this.#sources = sources
    this.#options = options
    this.#settings = settingsOf(options)
    if (options.shadowWal !== false) context.host.use(shadowWal())
    const { host, log } = context
    this.#engine = new Engine({ host, log, uploadConcurrency: options.uploadConcurrency })
  }

  async run(): Promise<number> {
    const { host, log } = this.#context
    if (process.platform === 'win32') throw new WalrustError('E_PLATFORM', 'watch does not run on Windows')
    if (this.#sources.length === 0) throw new WalrustError('E_NO_DATABASES', 'no database was named')
    checkSqliteVersion()
    this.#store = await openStorage(this.#context, this.#options.bucket)
    const databases = await this.#discover()
    if (databases.length === 0) {
      throw new WalrustError('E_NO_DATABASES', `there is no database at ${this.#sources.join(', ')}`)
    }
    checkNames(databases)
    await host.check([this.#store])
    await host.start()
    const stop = stopSignal()
    try {
      for (const database of databases) await this.#add(database)
      const first = [...this.#refused.values()].at(0)
      if (this.#engine.names.length === 0 && first) throw first
      log.info('watching', { databases: this.#engine.names.length, storage: this.#store.url })
      const failed = this.#options.once ? await this.#flushOnce() : await this.#watchUntil(stop)
      return await this.#end(failed)
    } finally {
      await host.stop()
    }
  }

  async #discover(): Promise<FoundDatabase[]> {
    const ignored = this.#store.url.startsWith('file:') ? [folderOf(this.#store.url)] : []
    return await discover(this.#sources, ignored)
  }

  async #add({ name, path, found }: FoundDatabase): Promise<void> {
    try {
      await this.#engine.add({ name, path, stores: [this.#store], settings: this.#settings })
      this.#refused.delete(path)
    } catch (error) {
      if (!(error instanceof WalrustError)) throw error
      if (!this.#refused.has(path)) {
        this.#context.log.error('not watched', {
          database: name,
          path,
          error: error.message,
          hint: error.hint,
          code: error.code,
        })
        // A file that a pattern found and that is not in WAL mode is somebody else's business.
        if (!found) this.#engine.notify('database_unavailable', name, { error })
      }
      this.#refused.set(path, error)
    }
  }

  async #flushOnce(): Promise<WalrustError | undefined> {
    try {
      await this.#engine.flush()
      return [...this.#refused.values()].at(0)
    } catch (error) {
      return error instanceof WalrustError ? error : new WalrustError('E_INTERNAL', messageOf(error), { cause: error })
    }
  }

  /** Returns when a signal came, or when no database is left that anything can be shipped of. */
  async #watchUntil(stop: Promise<void>): Promise<WalrustError | undefined> {
    let stopped = false
    void stop.then(() => (stopped = true))
    let halted: WalrustError | undefined
    const rounds = async () => {
      while (!stopped) {
        await Promise.race([stop, new Promise((resolve) => setTimeout(resolve, RESCAN / 10).unref())])
        halted = this.#engine.halted
        if (halted) return
      }
    }
    const scanning = setInterval(() => void this.#rescan(), RESCAN)
    try {
      await rounds()
    } finally {
      clearInterval(scanning)
    }
    return halted
  }

  async #rescan(): Promise<void> {
    const { log } = this.#context
    try {
      const present = await this.#discover()
      const watched = new Set(this.#engine.names)
      for (const database of present) {
        if (!watched.has(database.name) || this.#refused.has(database.path)) await this.#add(database)
      }
      const paths = new Set(present.map(({ path }) => path))
      for (const { name, path, state } of this.#engine.status()) {
        if (state !== 'unavailable' || paths.has(path)) continue
        log.info('no longer there', { database: name, path })
        await this.#engine.remove(name)
      }
    } catch (error) {
      log.warn('looking for databases failed', { error: messageOf(error) })
    }
  }

  async #end(failed: WalrustError | undefined): Promise<number> {
    const { log } = this.#context
    const unshipped = await this.#engine.close(this.#options.shutdownTimeout)
    const errors = failed ? [failed, ...unshipped] : unshipped
    for (const error of errors) log.error(error.message, { code: error.code, hint: error.hint })
    return Math.max(0, ...errors.map(({ exitCode }) => exitCode))
  }
}

/** Resolves at the first signal to end. At the second the process ends at once. */
function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    let seen = 0
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => {
        if (++seen > 1) process.exit(4)
        resolve()
      })
    }
  })
}
