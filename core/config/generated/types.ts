// Made by scripts/generate.mjs from schemas/; `npm run generate` makes it anew.
import type { Duration, PluginEntry, PresetEntry, Size, StorageEntry } from '../entries.js'

/**
 * A database, or all that a folder or pattern stands for, with settings of its own. Settings are written as at the top level, or flat by the name of their flag: `snapshotInterval`.
 */
export interface DatabaseEntry {
  /**
   * File, folder or pattern.
   */
  path: string
  /**
   * Name in storage. `{name}` stands for the file's name without extension, `{folder}` for the name of its folder, `{path}` for its path below the fixed part of the pattern, without extension (the default).
   */
  name?: string | null
  /**
   * Where to: a URL, an object with a `url` and settings for it, or a list of them, each with a position of its own.
   */
  storage?: StorageEntry | StorageEntry[] | null
  /**
   * When commits are shipped.
   */
  sync?: {
    /**
     * Time between two files of one database under continuous writes. A commit after a quiet interval ships at once.
     */
    interval?: Duration | null
  } | null
  /**
   * When frames are moved from the WAL into the database file.
   */
  checkpoint?: {
    /**
     * Time after which a WAL with anything in it is checkpointed.
     */
    interval?: Duration | 'off' | false | null
    /**
     * Pages in the WAL from which on it is checkpointed.
     */
    minPages?: number | null
    /**
     * Pages in the WAL that are too many: it is emptied, if need be under the write lock.
     */
    truncateThreshold?: number | null
    /**
     * How long the write lock may be held for a checkpoint.
     */
    maxLock?: Duration | null
  } | null
  /**
   * When the whole database is stored. Nothing is stored where nothing changed; an empty remote always gets one.
   */
  snapshot?: {
    /**
     * Time between two snapshots.
     */
    interval?: Duration | 'off' | false | null
    /**
     * Transactions since the newest snapshot after which the next one is taken.
     */
    maxChanges?: number | 'off' | false | null
    /**
     * Longest time from the first change since the newest snapshot to the next one.
     */
    maxInterval?: Duration | 'off' | false | null
    /**
     * Time without a commit after which changes are put into a snapshot.
     */
    onIdle?: Duration | 'off' | false | null
    /**
     * Take a snapshot at every start.
     */
    onStartup?: boolean | null
  } | null
  /**
   * How many of the newest hours, days, weeks and months keep their newest snapshot; `false` never deletes one.
   */
  retention?:
    | {
        /**
         * Newest hours that keep their newest snapshot.
         */
        hourly?: number | null
        /**
         * Newest days that keep their newest snapshot.
         */
        daily?: number | null
        /**
         * Newest weeks that keep their newest snapshot.
         */
        weekly?: number | null
        /**
         * Newest months that keep their newest snapshot.
         */
        monthly?: number | null
      }
    | false
    | null
  /**
   * How small files are merged into larger ones, and when retention is applied.
   */
  compaction?: {
    /**
     * Apply retention after each snapshot. While this and `interval` are off, nothing is ever deleted.
     */
    afterSnapshot?: boolean | null
    /**
     * Time between two applications of retention.
     */
    interval?: Duration | 'off' | false | null
    /**
     * The span of one file of level 1, 2, 3 …, each longer than the one before.
     *
     * @minItems 1
     * @maxItems 8
     */
    levels?: Duration[] | null
    /**
     * How long files of level 0, 1, 2 … stay once they have been merged into a higher one, at least five minutes after their commits. Level 0 holds every transaction.
     *
     * @minItems 1
     * @maxItems 9
     */
    keep?: Duration[] | null
  } | null
  /**
   * Proofs of what lies in storage while `watch` runs: each in a short-lived process, one at a time. The newest state is restored for trial every time, where the disk has room for it twice over.
   */
  validation?: {
    /**
     * Time between two validations of a backup; `validation_failed` is raised for what they find.
     */
    interval?: Duration | 'off' | false | null
    /**
     * What is read beside the newest state: `quick` of every file its record and both ends, `full` every byte of the whole history, which storages may charge for.
     */
    depth?: 'quick' | 'full' | null
  } | null
  /**
   * The files that wait on this machine for their upload, and those that stay for a while after it.
   */
  spool?: {
    /**
     * Folder for files that wait, instead of the state directory.
     */
    dir?: string | null
    /**
     * How much may wait on this machine. Beyond it changes are found later, by comparing.
     */
    maxSize?: Size | null
    /**
     * How long shipped files stay on this machine.
     */
    cacheRetention?: Duration | null
    /**
     * How much of the shipped files stays on this machine, and never more than 100,000 of them.
     */
    cacheMaxSize?: Size | null
  } | null
  /**
   * What happens when storage fails.
   */
  resilience?: {
    /**
     * Attempts after the first before a failure is reported; tries go on after that.
     */
    maxRetries?: number | null
    /**
     * Bound of the first wait between attempts, doubling with each; how long it is below that is left to chance.
     */
    baseDelay?: Duration | null
    /**
     * The longest wait between attempts, whatever fails on the way to storage: an upload, a listing, reading the database, a plugin, a full disk. Only a service that asks for more gets more, and `circuitBreaker` leaves a storage alone for as long as its cooldown says.
     */
    maxDelay?: Duration | null
    /**
     * Leaves a storage alone for a while after failures in a row; `false` never does.
     */
    circuitBreaker?:
      | {
          /**
           * Failures in a row after which a storage is left alone.
           */
          threshold?: number | null
          /**
           * How long at most a storage is left alone after failures: shorter at first, doubling up to this.
           */
          cooldown?: Duration | null
        }
      | false
      | null
  } | null
  /**
   * The files themselves.
   */
  ltx?: {
    /**
     * Where a file carries the database checksums: `portable` as every release of Litestream reads it, `tracked` in the fields that the LTX reference tool checks.
     */
    checksums?: 'portable' | 'tracked' | null
  } | null
  /**
   * Folder for its state.
   */
  stateDir?: string | null
  /**
   * The same as `sync.interval`.
   */
  syncInterval?: Duration | null
  /**
   * The same as `checkpoint.interval`.
   */
  checkpointInterval?: Duration | 'off' | false | null
  /**
   * The same as `checkpoint.minPages`.
   */
  minCheckpointPages?: number | null
  /**
   * The same as `checkpoint.truncateThreshold`.
   */
  walTruncateThreshold?: number | null
  /**
   * The same as `snapshot.interval`.
   */
  snapshotInterval?: Duration | 'off' | false | null
  /**
   * The same as `snapshot.maxChanges`.
   */
  maxChanges?: number | 'off' | false | null
  /**
   * The same as `snapshot.maxInterval`.
   */
  maxInterval?: Duration | 'off' | false | null
  /**
   * The same as `snapshot.onIdle`.
   */
  onIdle?: Duration | 'off' | false | null
  /**
   * The same as `snapshot.onStartup`.
   */
  onStartup?: boolean | null
  /**
   * The same as `retention.hourly`.
   */
  retainHourly?: number | null
  /**
   * The same as `retention.daily`.
   */
  retainDaily?: number | null
  /**
   * The same as `retention.weekly`.
   */
  retainWeekly?: number | null
  /**
   * The same as `retention.monthly`.
   */
  retainMonthly?: number | null
  /**
   * The same as `compaction.afterSnapshot`.
   */
  compactAfterSnapshot?: boolean | null
  /**
   * The same as `compaction.interval`.
   */
  compactInterval?: Duration | 'off' | false | null
  /**
   * The same as `validation.interval`.
   */
  validationInterval?: Duration | 'off' | false | null
  /**
   * The same as `spool.dir`.
   */
  spoolDir?: string | null
  /**
   * The same as `spool.maxSize`.
   */
  spoolMaxSize?: Size | null
  /**
   * The same as `spool.cacheRetention`.
   */
  cacheRetention?: Duration | null
  /**
   * The same as `spool.cacheMaxSize`.
   */
  cacheMaxSize?: Size | null
  /**
   * The same as `resilience.maxRetries`.
   */
  maxRetries?: number | null
  /**
   * The same as `resilience.baseDelay`.
   */
  baseDelay?: Duration | null
  /**
   * The same as `resilience.maxDelay`.
   */
  maxDelay?: Duration | null
  /**
   * The same as `resilience.circuitBreaker.threshold`.
   */
  circuitBreakerThreshold?: number | null
  /**
   * The same as `resilience.circuitBreaker.cooldown`.
   */
  circuitBreakerCooldown?: Duration | null
}

/**
 * What walrust does: the databases it follows, where they go, and everything else that can be said about it. `null` resets a key to its default.
 */
export interface WalrustConfig {
  /**
   * For editors.
   */
  $schema?: string
  /**
   * Configurations to start from, applied from left to right: `walrust:NAME`, a path, a package, or one of them with options.
   */
  presets?: PresetEntry[] | null
  /**
   * The databases: paths, folders or patterns, by themselves or with settings of their own.
   */
  databases?: Array<string | DatabaseEntry> | null
  /**
   * Where to: a URL, an object with a `url` and settings for it, or a list of them, each with a position of its own.
   */
  storage?: StorageEntry | StorageEntry[] | null
  /**
   * Plugins: `walrust:NAME`, a path or a package, with options as `[name, options]`; or made here. One listed twice is replaced.
   */
  plugins?: PluginEntry[] | null
  /**
   * When commits are shipped.
   */
  sync?: {
    /**
     * Time between two files of one database under continuous writes. A commit after a quiet interval ships at once.
     */
    interval?: Duration | null
  } | null
  /**
   * When frames are moved from the WAL into the database file.
   */
  checkpoint?: {
    /**
     * Time after which a WAL with anything in it is checkpointed.
     */
    interval?: Duration | 'off' | false | null
    /**
     * Pages in the WAL from which on it is checkpointed.
     */
    minPages?: number | null
    /**
     * Pages in the WAL that are too many: it is emptied, if need be under the write lock.
     */
    truncateThreshold?: number | null
    /**
     * How long the write lock may be held for a checkpoint.
     */
    maxLock?: Duration | null
  } | null
  /**
   * When the whole database is stored. Nothing is stored where nothing changed; an empty remote always gets one.
   */
  snapshot?: {
    /**
     * Time between two snapshots.
     */
    interval?: Duration | 'off' | false | null
    /**
     * Transactions since the newest snapshot after which the next one is taken.
     */
    maxChanges?: number | 'off' | false | null
    /**
     * Longest time from the first change since the newest snapshot to the next one.
     */
    maxInterval?: Duration | 'off' | false | null
    /**
     * Time without a commit after which changes are put into a snapshot.
     */
    onIdle?: Duration | 'off' | false | null
    /**
     * Take a snapshot at every start.
     */
    onStartup?: boolean | null
  } | null
  /**
   * How many of the newest hours, days, weeks and months keep their newest snapshot; `false` never deletes one.
   */
  retention?:
    | {
        /**
         * Newest hours that keep their newest snapshot.
         */
        hourly?: number | null
        /**
         * Newest days that keep their newest snapshot.
         */
        daily?: number | null
        /**
         * Newest weeks that keep their newest snapshot.
         */
        weekly?: number | null
        /**
         * Newest months that keep their newest snapshot.
         */
        monthly?: number | null
      }
    | false
    | null
  /**
   * How small files are merged into larger ones, and when retention is applied.
   */
  compaction?: {
    /**
     * Apply retention after each snapshot. While this and `interval` are off, nothing is ever deleted.
     */
    afterSnapshot?: boolean | null
    /**
     * Time between two applications of retention.
     */
    interval?: Duration | 'off' | false | null
    /**
     * The span of one file of level 1, 2, 3 …, each longer than the one before.
     *
     * @minItems 1
     * @maxItems 8
     */
    levels?: Duration[] | null
    /**
     * How long files of level 0, 1, 2 … stay once they have been merged into a higher one, at least five minutes after their commits. Level 0 holds every transaction.
     *
     * @minItems 1
     * @maxItems 9
     */
    keep?: Duration[] | null
  } | null
  /**
   * Proofs of what lies in storage while `watch` runs: each in a short-lived process, one at a time. The newest state is restored for trial every time, where the disk has room for it twice over.
   */
  validation?: {
    /**
     * Time between two validations of a backup; `validation_failed` is raised for what they find.
     */
    interval?: Duration | 'off' | false | null
    /**
     * What is read beside the newest state: `quick` of every file its record and both ends, `full` every byte of the whole history, which storages may charge for.
     */
    depth?: 'quick' | 'full' | null
  } | null
  /**
   * The files that wait on this machine for their upload, and those that stay for a while after it.
   */
  spool?: {
    /**
     * Folder for files that wait, instead of the state directory.
     */
    dir?: string | null
    /**
     * How much may wait on this machine. Beyond it changes are found later, by comparing.
     */
    maxSize?: Size | null
    /**
     * How long shipped files stay on this machine.
     */
    cacheRetention?: Duration | null
    /**
     * How much of the shipped files stays on this machine, and never more than 100,000 of them.
     */
    cacheMaxSize?: Size | null
  } | null
  /**
   * How files are uploaded.
   */
  upload?: {
    /**
     * Uploads at a time, over all databases.
     */
    concurrency?: number | null
  } | null
  /**
   * How processes that ship to the same storage know of each other. That no file is ever replaced does not depend on it.
   */
  lease?: {
    /**
     * After how long without a sign of life a process on another machine may take over. The heartbeat is renewed twice in that time, one request for all databases of a storage. At least 1s.
     */
    ttl?: Duration | null
  } | null
  /**
   * What happens when storage fails.
   */
  resilience?: {
    /**
     * Attempts after the first before a failure is reported; tries go on after that.
     */
    maxRetries?: number | null
    /**
     * Bound of the first wait between attempts, doubling with each; how long it is below that is left to chance.
     */
    baseDelay?: Duration | null
    /**
     * The longest wait between attempts, whatever fails on the way to storage: an upload, a listing, reading the database, a plugin, a full disk. Only a service that asks for more gets more, and `circuitBreaker` leaves a storage alone for as long as its cooldown says.
     */
    maxDelay?: Duration | null
    /**
     * Leaves a storage alone for a while after failures in a row; `false` never does.
     */
    circuitBreaker?:
      | {
          /**
           * Failures in a row after which a storage is left alone.
           */
          threshold?: number | null
          /**
           * How long at most a storage is left alone after failures: shorter at first, doubling up to this.
           */
          cooldown?: Duration | null
        }
      | false
      | null
  } | null
  /**
   * When a database counts as healthy.
   */
  health?: {
    /**
     * Age of the oldest commit that is not in storage yet, from which on a database is unhealthy.
     */
    maxLag?: Duration | null
  } | null
  /**
   * Metrics, health and the page in the browser; `false` turns them off.
   */
  metrics?:
    | {
        /**
         * Port to listen at; 0 takes a free one.
         */
        port?: number | null
        /**
         * Address to listen at. Whoever reaches it sees names and sizes of databases.
         */
        host?: string | null
      }
    | false
    | null
  /**
   * What is said on standard error.
   */
  log?: {
    /**
     * How much.
     */
    level?: 'debug' | 'info' | 'warn' | 'error' | null
    /**
     * How: by default text on a terminal, JSON elsewhere.
     */
    format?: 'text' | 'json' | null
  } | null
  /**
   * The files themselves.
   */
  ltx?: {
    /**
     * Where a file carries the database checksums: `portable` as every release of Litestream reads it, `tracked` in the fields that the LTX reference tool checks.
     */
    checksums?: 'portable' | 'tracked' | null
  } | null
  /**
   * Copy committed frames to the state directory before the WAL is restarted. Without it the WAL stays until they are in the spool.
   */
  shadowWal?: boolean | null
  /**
   * Folder for state, instead of `.<file>-walrust/` beside each database.
   */
  stateDir?: string | null
  /**
   * How long to go on shipping at the end.
   */
  shutdownTimeout?: Duration | null
}
