/** What an application and its engine process say to each other over the channel between them. */
import type { DatabaseEntry, WalrustConfig } from '../config/generated/types.js'
import type { PackedError } from '../error-transfer.js'
import type { WalrustEvent } from '../events.js'
import type { LogFields, LogLevel } from '../log.js'
import type { ReplicaStatus } from '../replica/replica.js'
import type { IntegrityCheck } from '../restore/database-target.js'
import type { BackupHistory, BackupSummary } from '../restore/summary.js'
import type { VerifyResult } from '../verify/verify.js'
import type { EngineStatus } from '../status.js'

/** What the engine can be asked for. */
export interface EngineCalls {
  // What a running engine answers.
  start(setup: EngineSetup): undefined
  stop(): undefined
  add(entry: string | DatabaseEntry): string[]
  remove(name: string): undefined
  sync(name: string, storages: readonly string[] | undefined, force: boolean): undefined
  snapshot(name: string, storages: readonly string[] | undefined): number
  status(): EngineStatus
  metrics(): MetricValues[]

  // What is done in a process of its own, whether an engine runs or not.
  ensureRestored(setup: EngineSetup, path: string): 'restored' | 'present' | 'no-backup'
  restore(setup: EngineSetup, name: string, wanted: RestoreWanted): RestoredDatabase
  verify(setup: EngineSetup, name: string, storage: string | undefined): VerifyResult
  list(setup: EngineSetup, storage: string | undefined): BackupSummary[]
  history(setup: EngineSetup, name: string, storage: string | undefined): BackupHistory

  // What a process that keeps a replica answers.
  replicate(setup: EngineSetup, source: string, wanted: ReplicaWanted): ReplicaStatus
  catchUp(): ReplicaStatus
  replicaStatus(): ReplicaStatus
}

/** What the engine is to work with: plain values, because functions do not pass from process to process. */
export interface EngineSetup {
  /** A configuration, or the path of a file that holds one. */
  config: WalrustConfig | string
  /** The folder where relative paths start. */
  folder: string
  /** Databases that were added to those of the configuration, and names of those that are not followed any more. */
  added?: ReadonlyArray<string | DatabaseEntry>
  released?: readonly string[]
  /** Whether metrics are asked for. */
  metrics?: boolean
  /** Start again as it was: what cannot be followed now is no reason not to. */
  again?: boolean
}

export interface RestoreWanted {
  /** Absolute path. */
  output: string | undefined
  storage: string | undefined
  txid: number | undefined
  /** Milliseconds since the epoch. */
  time: number | undefined
  force: boolean
  integrityCheck: IntegrityCheck
}

export interface RestoredDatabase {
  database: string
  storage: string
  file: string
  txid: number
  /** When the newest commit it holds was observed. */
  timestamp: Date
  /** Database checksum, 16 hex digits, and whether storage has one that it was held against. */
  checksum: string
  checksumCompared: boolean
  /** Of the database. */
  bytes: number
  /** How many it was made from. */
  files: number
}

export interface ReplicaWanted {
  /** Absolute path. */
  local: string
  storage: string | undefined
  /** Milliseconds. */
  interval: number
}

/** One metric, as prom-client hands it on. */
export interface MetricValues {
  name: string
  help: string
  [other: string]: unknown
}

/** How far something has come. */
export interface Progress {
  /** Files done, of how many, and bytes read of them, where that is counted. */
  done: number
  of: number
  bytes: number
}

export interface EngineRequest {
  id: number
  call: keyof EngineCalls
  arguments: unknown[]
}

export type ToEngine = EngineRequest | { cancel: number }

export type EngineAnswer = { id: number } & ({ result: unknown } | { error: PackedError } | { progress: Progress })

export type FromEngine =
  | EngineAnswer
  | { log: { level: LogLevel; message: string; fields: LogFields } }
  | { event: WalrustEvent }
  | { replicaEnded: PackedError }
