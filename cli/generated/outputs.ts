// Made by scripts/generate.mjs from schemas/; `npm run generate` makes it anew.
/**
 * What `walrust compact --json` prints: what would be done, or with `--force` what was.
 */
export interface CompactOutput {
  /**
   * Name of the database in storage.
   */
  database: string
  /**
   * URL of the storage, without secrets.
   */
  storage: string
  /**
   * Whether it was done.
   */
  done: boolean
  /**
   * Files that are made of others.
   *
   * Items: One of them.
   */
  merge: {
    /**
     * 0 as shipped, 1 to 8 merged, 9 a snapshot.
     */
    level: number
    /**
     * First transaction.
     */
    minTxid: number
    /**
     * Last transaction.
     */
    maxTxid: number
    /**
     * Of how many it is made.
     */
    files: number
  }[]
  /**
   * Files that go.
   */
  remove: CompactFile[]
  /**
   * Files that were to go and stay, because a point that stays needs them.
   */
  needed: CompactFile[]
  /**
   * Bytes of what goes.
   */
  freed: number
  /**
   * What lay there.
   */
  before: Total
  /**
   * What lies there now; nothing without `--force`.
   */
  after: Total | null
  /**
   * How many points can be restored afterwards.
   */
  points: number
  /**
   * The earliest of them.
   */
  earliest: CompactPoint | null
  /**
   * The newest of them.
   */
  newest: CompactPoint | null
  /**
   * Why, for people.
   */
  notes: string[]
}
/**
 * One file.
 */
export interface CompactFile {
  /**
   * 0 as shipped, 1 to 8 merged, 9 a snapshot.
   */
  level: number
  /**
   * First transaction.
   */
  minTxid: number
  /**
   * Last transaction.
   */
  maxTxid: number
  /**
   * Size.
   */
  bytes: number
  /**
   * When its newest commit was observed, as far as the listing says, ISO 8601.
   */
  timestamp: string
  /**
   * Key of the object.
   */
  key: string
}
/**
 * How much lies there.
 */
export interface Total {
  /**
   * Files.
   */
  files: number
  /**
   * Bytes.
   */
  bytes: number
}
/**
 * A point that can be restored.
 */
export interface CompactPoint {
  /**
   * Transaction.
   */
  txid: number
  /**
   * When it was observed, ISO 8601.
   */
  timestamp: string
}

/**
 * What every command prints with `--json` when it fails.
 */
export interface ErrorOutput {
  /**
   * Why it failed.
   */
  error: {
    /**
     * As in docs/errors.md.
     */
    code: string
    /**
     * What happened, and to what.
     */
    message: string
    /**
     * What to do about it.
     */
    hint: string
    /**
     * Name or path of the database it concerns.
     */
    database?: string
    /**
     * URL of the storage it concerns.
     */
    storage?: string
    /**
     * The plugin where it arose.
     */
    plugin?: string
    /**
     * The hook where it arose.
     */
    hook?: string
    /**
     * Everything that is wrong with the configuration.
     *
     * Items: One thing.
     */
    findings?: {
      /**
       * File, variable or flag.
       */
      source: string
      /**
       * The key.
       */
      path: string
      /**
       * What is wrong with it.
       */
      message: string
      /**
       * What may have been meant.
       */
      suggestion?: string
    }[]
  }
}

/**
 * What `walrust explain --json` prints.
 */
export interface ExplainOutput {
  /**
   * The configuration file, if there is one.
   */
  file: string | null
  /**
   * What the configuration is put together from, weakest first.
   */
  layers: string[]
  /**
   * Every key.
   *
   * Items: One of them.
   */
  settings: {
    /**
     * Its path in the configuration.
     */
    key: string
    /**
     * As it was written; the default where nobody has said anything, `null` where there is none. Secrets are masked.
     */
    value: unknown
    /**
     * What said so: a file, a preset, a variable, a flag, or `default`.
     */
    origin: string
  }[]
  /**
   * Where to ship to.
   *
   * Items: One of them.
   */
  storages: {
    /**
     * Without secrets.
     */
    url: string
    /**
     * What is set beside the URL. Secrets are masked.
     */
    options: unknown
    /**
     * What said so.
     */
    origin: string
  }[]
  /**
   * In the order in which they are applied.
   *
   * Items: One of them.
   */
  plugins: {
    /**
     * Its name.
     */
    name: string
    /**
     * What listed it; `standard` for those that are there by themselves.
     */
    origin: string
    /**
     * Where the one of the same name came from that it replaced.
     */
    replaced: string | null
    /**
     * What it was given. Secrets are masked.
     */
    options: unknown
    /**
     * The hooks that it taps, in the order in which data meets them.
     */
    hooks: string[]
  }[]
  /**
   * Those that are there now, and those that are named.
   *
   * Items: One of them.
   */
  databases: {
    /**
     * Name of the database in storage.
     */
    name: string
    /**
     * Its file.
     */
    path: string
    /**
     * Where it goes.
     */
    storages: string[]
    /**
     * What happens when, for people.
     */
    schedule: string[]
    /**
     * What is kept, for people.
     */
    history: string[]
  }[]
  /**
   * What it comes to in a month. An estimate: everything it stands on is told.
   */
  estimate: {
    /**
     * What nobody can know beforehand; each can be replaced with `--assume NAME=NUMBER`.
     *
     * Items: One of them.
     */
    assumptions: {
      /**
       * Its name.
       */
      name: string
      /**
       * How much.
       */
      value: number
      /**
       * What it is.
       */
      meaning: string
      /**
       * `assumed`, or the flag that said so.
       */
      origin: string
    }[]
    /**
     * The databases that are there.
     *
     * Items: One of them.
     */
    databases: {
      /**
       * Name of the database in storage.
       */
      name: string
      /**
       * Size of its file.
       */
      bytes: number
      /**
       * How many snapshots of it stay after a year, as retention decides; `null` if all do.
       */
      snapshots: number | null
    }[]
    /**
     * The storages that they go to.
     *
     * Items: One of them. Bytes; requests and transfers in a month.
     */
    storages: {
      /**
       * Without secrets.
       */
      url: string
      /**
       * How many go there.
       */
      databases: number
      /**
       * What lies there.
       */
      stored: {
        /**
         * In snapshots.
         */
        snapshots: number
        /**
         * In files of changes.
         */
        changes: number
      }
      /**
       * What is added every month and never goes.
       */
      growth: number
      /**
       * In a month.
       */
      requests: {
        /**
         * Those that write or list, heartbeats among them.
         */
        writes: number
        /**
         * Those by which a process says that it is alive, however many databases it ships there.
         */
        heartbeats: number
        /**
         * Those that read.
         */
        reads: number
      }
      /**
       * What is read back for merging.
       */
      merging: number
      /**
       * One restore of every database.
       */
      restore: {
        /**
         * What it reads.
         */
        bytes: number
        /**
         * What that costs; `null` without prices.
         */
        cost: number | null
      }
      /**
       * The price list; `null` where none is known.
       */
      prices: Prices | null
      /**
       * What a month costs; `null` without prices.
       */
      monthly: Monthly | null
    }[]
  }
  /**
   * What should be thought about, for people.
   */
  warnings: string[]
}
/**
 * In `currency`; a GB is 2^30 bytes.
 */
export interface Prices {
  /**
   * Which list it is.
   */
  name: string
  /**
   * Month in which it was looked up.
   */
  asOf: string
  /**
   * ISO 4217.
   */
  currency: string
  /**
   * A GB kept a month.
   */
  stored: number
  /**
   * A thousand requests that write or list.
   */
  write: number
  /**
   * A thousand requests that read.
   */
  read: number
  /**
   * A GB that leaves.
   */
  egress: number
}
/**
 * In the currency of the prices.
 */
export interface Monthly {
  /**
   * For what lies there.
   */
  stored: number
  /**
   * For requests.
   */
  requests: number
  /**
   * For what is read back for merging.
   */
  egress: number
  /**
   * Together.
   */
  total: number
}

/**
 * What `walrust init --json` prints.
 */
export interface InitOutput {
  /**
   * The file that was written.
   */
  file: string
  /**
   * The preset it starts from.
   */
  preset: string | null
  /**
   * What of the other tool's configuration has no equal here.
   */
  notCarriedOver: string[]
}

/**
 * What `walrust list --json` prints: every database of a storage, or with a name the history of one.
 */
export type ListOutput = BackupList | BackupHistory

/**
 * Every database of a storage.
 */
export interface BackupList {
  /**
   * URL of the storage, without secrets.
   */
  storage: string
  /**
   * By name.
   */
  databases: BackupSummary[]
}
/**
 * The backup of one database at a glance.
 */
export interface BackupSummary {
  /**
   * Name of the database in storage.
   */
  name: string
  /**
   * Newest transaction that can be restored; 0 if none can.
   */
  txid: number
  /**
   * The earliest moment that can be restored, ISO 8601.
   */
  from: string | null
  /**
   * The newest moment that can be restored, ISO 8601.
   */
  to: string | null
  /**
   * Snapshots.
   */
  snapshots: number
  /**
   * Files in all.
   */
  files: number
  /**
   * Bytes in all.
   */
  bytes: number
}
/**
 * The backup of one database, file by file.
 */
export interface BackupHistory {
  /**
   * URL of the storage, without secrets.
   */
  storage: string
  /**
   * Name of the database in storage.
   */
  name: string
  /**
   * Newest transaction that can be restored; 0 if none can.
   */
  txid: number
  /**
   * The earliest moment that can be restored, ISO 8601.
   */
  from: string | null
  /**
   * The newest moment that can be restored, ISO 8601.
   */
  to: string | null
  /**
   * Snapshots.
   */
  snapshots: number
  /**
   * Files in all.
   */
  files: number
  /**
   * Bytes in all.
   */
  bytes: number
  /**
   * Level by level, oldest first.
   *
   * Items: One file.
   */
  history: {
    /**
     * 0 as shipped, 1 to 8 merged, 9 a snapshot.
     */
    level: number
    /**
     * First transaction.
     */
    minTxid: number
    /**
     * Last transaction.
     */
    maxTxid: number
    /**
     * Size.
     */
    bytes: number
    /**
     * When its newest commit was observed, as far as the listing says, ISO 8601.
     */
    timestamp: string
    /**
     * Whether its last transaction can be restored exactly.
     */
    restorable: boolean
    /**
     * Key of the object.
     */
    key: string
  }[]
}

/**
 * What `walrust pragma --json` prints.
 */
export interface PragmaOutput {
  /**
   * In the order in which they are to be run.
   *
   * Items: One of them.
   */
  pragmas: {
    /**
     * The statement.
     */
    sql: string
    /**
     * The reason.
     */
    why: string
  }[]
}

/**
 * What `walrust replicate --json` prints when it ends.
 */
export interface ReplicateOutput {
  /**
   * Name of the database in storage.
   */
  database: string
  /**
   * URL of the storage, without secrets.
   */
  storage: string
  /**
   * The replica.
   */
  file: string
  /**
   * `current`: it holds the newest that storage had at the last look. `failing`: the last look failed.
   */
  state: 'current' | 'behind' | 'failing'
  /**
   * The transaction it holds.
   */
  txid: number
  /**
   * Database checksum of the source in that state.
   */
  checksum: string
  /**
   * When its newest commit was observed, ISO 8601.
   */
  timestamp: string
  /**
   * Milliseconds from then until it could be read here.
   */
  lag?: number
  /**
   * When storage was last found to have nothing newer, ISO 8601.
   */
  checked?: string
  /**
   * Files applied since the start.
   */
  applied: number
  /**
   * Why the last look failed.
   */
  error?: string
}

/**
 * What `walrust restore --json` prints: what became of one database, or with `--all` of each.
 */
export type RestoreOutput = Outcome | AllOutcomes
export type Outcome = Restored | Planned | Skipped | Failed

/**
 * A database that was brought back.
 */
export interface Restored {
  /**
   * Name of the database in storage.
   */
  database: string
  action: 'restored'
  /**
   * URL of the storage, without secrets.
   */
  storage: string
  /**
   * Where it is.
   */
  file: string
  /**
   * The transaction it holds.
   */
  txid: number
  /**
   * When that was observed, ISO 8601.
   */
  timestamp: string
  /**
   * Database checksum.
   */
  checksum: string
  /**
   * Whether storage has one that it was held against.
   */
  checksumCompared: boolean
  /**
   * How thoroughly SQLite looked at it.
   */
  integrityCheck: 'full' | 'quick' | 'none'
  /**
   * Size of the database.
   */
  bytes: number
  /**
   * How many files it was made from.
   */
  files: number
  /**
   * How many of them were on this machine already.
   */
  cachedFiles: number
}
/**
 * What would be done, with `--dry-run`.
 */
export interface Planned {
  /**
   * Name of the database in storage.
   */
  database: string
  action: 'planned'
  /**
   * URL of the storage, without secrets.
   */
  storage: string
  /**
   * Where it would go.
   */
  file: string
  /**
   * Whether something is there.
   */
  exists: boolean
  /**
   * Whether it would be refused for that.
   */
  refused: boolean
  /**
   * The transaction it would hold.
   */
  txid: number
  /**
   * When that was observed, ISO 8601.
   */
  timestamp: string
  /**
   * Bytes to read.
   */
  bytes: number
  /**
   * What would be read, in order.
   *
   * Items: One file.
   */
  files: {
    /**
     * 0 as shipped, 1 to 8 merged, 9 a snapshot.
     */
    level: number
    /**
     * First transaction.
     */
    minTxid: number
    /**
     * Last transaction.
     */
    maxTxid: number
    /**
     * Size.
     */
    bytes: number
    /**
     * Key of the object.
     */
    key: string
  }[]
}
/**
 * Nothing was done, as was asked for.
 */
export interface Skipped {
  /**
   * Name of the database in storage.
   */
  database: string
  action: 'skipped'
  /**
   * Where it would have gone.
   */
  file: string
  /**
   * Why.
   */
  reason: 'database-exists' | 'no-backup'
}
/**
 * With `--all`: one that could not be brought back.
 */
export interface Failed {
  /**
   * Name of the database in storage.
   */
  database: string
  action: 'failed'
  /**
   * Where it should have gone.
   */
  file: string
  /**
   * Why.
   */
  error: {
    /**
     * As in docs/errors.md.
     */
    code: string
    /**
     * What happened.
     */
    message: string
    /**
     * What to do.
     */
    hint: string
  }
}
/**
 * With `--all`.
 */
export interface AllOutcomes {
  /**
   * In the order of the configuration.
   */
  databases: Outcome[]
}

/**
 * What `walrust snapshot --json` prints.
 */
export interface SnapshotOutput {
  /**
   * Name of the database in storage.
   */
  database: string
  /**
   * Where the snapshot lies.
   */
  storages: string[]
  /**
   * The transaction it holds.
   */
  txid: number
}

/**
 * What `walrust sync --json` prints.
 */
export interface SyncOutput {
  /**
   * Name of the database in storage.
   */
  database: string
  /**
   * Where everything is durable now.
   */
  storages: string[]
}

/**
 * What `walrust verify --json` prints.
 */
export interface VerifyOutput {
  /**
   * Whether nothing is wrong.
   */
  ok: boolean
  /**
   * Name of the database in storage.
   */
  database: string
  /**
   * URL of the storage, without secrets.
   */
  storage: string
  /**
   * What was looked at: everything, or names, records and the ends of files.
   */
  depth: 'full' | 'quick'
  /**
   * Newest transaction that can be restored; 0 if none can.
   */
  txid: number
  /**
   * Database checksum there, if it is known.
   */
  checksum?: string
  /**
   * When that was observed, if it is known, ISO 8601.
   */
  timestamp?: string
  /**
   * Files that lie there.
   */
  files: number
  /**
   * Their bytes.
   */
  bytes: number
  /**
   * How many of them were read.
   */
  bytesRead: number
  /**
   * What is wrong.
   *
   * Items: One thing.
   */
  findings: {
    /**
     * As in docs/verifying.md.
     */
    code: string
    /**
     * Key of the object, if it is about one.
     */
    file?: string
    /**
     * What is wrong.
     */
    what: string
    /**
     * What it should be.
     */
    expected?: string
    /**
     * What it is.
     */
    found?: string
  }[]
  /**
   * With `--restore`: what the trial gave.
   */
  restored?: {
    /**
     * The transaction.
     */
    txid: number
    /**
     * Size of the database.
     */
    bytes: number
    /**
     * Its checksum.
     */
    checksum: string
    /**
     * Whether storage has one that it was held against.
     */
    checksumCompared: boolean
  }
  /**
   * With `--against`: how the live database compares.
   */
  against?: {
    /**
     * Path of the live database.
     */
    database: string
    /**
     * Its checksum.
     */
    checksum: string
    /**
     * The transaction in storage that is exactly this; 0 if none is.
     */
    txid: number
    /**
     * Whether a running `watch` has shipped what was committed when it was looked at.
     */
    shipped: boolean
  }
}

/**
 * An event as webhooks carry it and notifiers get it. docs/operations.md says when each is raised.
 */
export interface EventDocument {
  /**
   * What happened.
   */
  event:
    | 'sync_failed'
    | 'auth_failure'
    | 'corruption_detected'
    | 'circuit_breaker_open'
    | 'circuit_breaker_closed'
    | 'gap_healed'
    | 'checkpoint_detected'
    | 'wal_size_exceeded'
    | 'spool_high'
    | 'writer_fenced'
    | 'snapshot_completed'
    | 'validation_failed'
    | 'recovered'
    | 'database_unavailable'
    | 'database_replaced'
    | 'retention_failed'
    | 'disk_full'
  /**
   * Name of the database it concerns.
   */
  database: string
  /**
   * What went wrong.
   */
  error?: string
  /**
   * How often it was tried.
   */
  attempts?: number
  /**
   * When, ISO 8601.
   */
  timestamp: string
  /**
   * Version of walrust.
   */
  version: string
  /**
   * What else is known; plain values.
   */
  context?: Readonly<Record<string, unknown>>
}

/** What each command prints with `--json`, and every command when it fails. */
export interface Outputs {
  compact: CompactOutput
  error: ErrorOutput
  explain: ExplainOutput
  init: InitOutput
  list: ListOutput
  pragma: PragmaOutput
  replicate: ReplicateOutput
  restore: RestoreOutput
  snapshot: SnapshotOutput
  sync: SyncOutput
  verify: VerifyOutput
}
