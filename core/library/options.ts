import type { WalrustError } from '../errors.js'
import type { WalrustEvent } from '../events.js'
import type { Log } from '../log.js'
import type { IntegrityCheck } from '../restore/database-target.js'
import type { MetricsRegistry } from './metrics.js'
import type { Progress } from './protocol.js'

export interface WalrustOptions {
  /** Where relative paths of the configuration start; by default the working folder. */
  folder?: string
  /** Hears what walrust does. Without one nothing is said anywhere. */
  log?: Log
  /** A registry of prom-client that the metrics appear in. Without one nothing is measured. */
  registry?: MetricsRegistry
  /** Told of every event of the engine, and when it has crashed. */
  onEvent?: (event: WalrustEvent) => void
  onCrash?: (error: WalrustError) => void
}

export interface Abortable {
  /** Ends the call: it rejects with `E_ABORTED`, whose cause is the signal's reason. */
  signal?: AbortSignal
}

export interface SyncOptions extends Abortable {
  /** URLs of the storages to wait for; all by default. */
  storages?: readonly string[]
  /** Milliseconds. */
  timeout?: number
  /** Ask storage now, even if it is being left alone for a while because it has failed. */
  force?: boolean
}

export interface SnapshotOptions extends Abortable {
  /** URLs of the storages that get one; all by default. */
  storages?: readonly string[]
}

export interface StorageOptions extends Abortable {
  /** URL of the storage to read; by default the first one that is configured. */
  storage?: string
}

export interface ReadOptions extends StorageOptions {
  /** Told as often as a file is done. */
  onProgress?: (progress: Progress) => void
}

export interface RestoreCallOptions extends ReadOptions {
  /** Where the database goes; by default where the configuration has it. */
  output?: string
  /** Exactly this transaction. */
  txid?: number
  /** The newest state at or before a moment: a date, or ISO 8601. */
  timestamp?: Date | string
  /** Replace a database that is there and that nobody has open. */
  force?: boolean
  /** How thoroughly SQLite looks at the result: `full` by default. The database checksum is always compared. */
  integrityCheck?: IntegrityCheck
}

export interface ReplicateOptions extends StorageOptions {
  /** Where the copy is kept. */
  local: string
  /** Milliseconds between two looks at the storage; 5000 by default. */
  interval?: number
  /** Told when the replica cannot go on. */
  onEnd?: (error: WalrustError) => void
}
