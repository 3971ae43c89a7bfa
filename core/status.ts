import { redact } from './redact.js'

/**
 * What can be said of a running engine at a glance: one snapshot that metrics, the page, the heartbeat and the control
 * socket all read. Making one costs a few microseconds a database and asks neither storage nor SQLite.
 *
 * Times are milliseconds since the epoch.
 */

import type { ReplicaStatus } from './replica/replica.js'

/** How far one database has come in one storage. */
export interface StorageStatus {
  /** Where it is, without secrets. */
  readonly url: string
  /**
   * - `starting`: not compared with storage yet
   * - `comparing`: commits may have passed unseen, or storage is empty: the whole database is being read
   * - `shipping`: commits are followed one after the other
   * - `halted`: gets nothing more
   */
  readonly state: 'starting' | 'comparing' | 'shipping' | 'halted'
  /** The newest transaction made on this machine, and the newest that storage has confirmed. */
  readonly txid: number
  readonly confirmed: number
  /** When the oldest commit that is not durable there was first seen; `undefined` if everything read is durable. */
  readonly unshippedSince: number | undefined
  /** Milliseconds from the oldest commit in the newest confirmed file until that file was durable. */
  readonly lag: number | undefined
  /** When the newest confirmed file was confirmed. */
  readonly lastSync: number | undefined
  /** When the next snapshot is due, if there are changes by then; `undefined` if none is planned. */
  readonly nextSnapshot: number | undefined
  /** Bytes in the spool in all, and those that storage has not confirmed. */
  readonly spoolBytes: number
  readonly waitingBytes: number
  /** Bytes and files that lie there for this database, as far as this process knows. */
  readonly storedBytes: number
  readonly storedFiles: number
  /** Since when requests fail; `undefined` while they work. */
  readonly failingSince: number | undefined
  /** Why it fails or is halted. */
  readonly error: string | undefined
}

/** What validations of the backups of one database gave. */
export interface ValidationStatus {
  /** Since the start of the process. */
  readonly successes: number
  readonly failures: number
  /** When the last one was: of several storages, of the one that is furthest behind. */
  readonly last: number
  /** What the last one found. */
  readonly error: string | undefined
}

/** One database. */
export interface DatabaseStatus {
  readonly name: string
  readonly path: string
  /**
   * - `starting`, `live`, `closed`
   * - `unavailable`: its file cannot be followed at present; it is looked for
   * - `halted`: no storage gets anything more of it
   */
  readonly state: 'starting' | 'live' | 'unavailable' | 'closed' | 'halted'
  /** Since when it is in that state. */
  readonly since: number
  /** Why it is unavailable or halted. */
  readonly error: string | undefined
  /** Bytes of the database file and of its WAL file, when somebody looks. */
  readonly databaseBytes: number
  readonly walBytes: number
  /** Commits read since the process started. */
  readonly commits: number
  /** Bytes that are kept on this machine outside the WAL, before they are in a spool. */
  readonly heldBytes: number
  /** Pages of the database file that were found not to be what was committed. Its backup has them right. */
  readonly damagedPages: number
  /** What validations of its backups gave; absent while none was made. */
  readonly validation?: ValidationStatus
  readonly storages: readonly StorageStatus[]
}

export interface EngineStatus {
  readonly startedAt: number
  /** Milliseconds that a commit may wait before its database counts as unhealthy. */
  readonly maxLag: number
  readonly databases: readonly DatabaseStatus[]
  /** Replicas that the process keeps. */
  readonly replicas?: readonly ReplicaStatus[]
}

/**
 * - `healthy`: everything is followed and goes to storage
 * - `degraded`: something is not as it should be and may pass: nothing is lost, and no commit waits too long
 * - `unhealthy`: a database is halted or damaged, or commits wait for longer than they may
 */
export type Health = 'healthy' | 'degraded' | 'unhealthy'

/** When the oldest commit that some storage does not have was first seen; `undefined` if every storage has everything. */
export function unshippedSince(database: DatabaseStatus): number | undefined {
  let oldest: number | undefined
  for (const { unshippedSince: since } of database.storages)
    if (since !== undefined && (oldest === undefined || since < oldest)) oldest = since
  return oldest
}

/** A status for others to see: storages repeat in their errors what they were sent. */
export function maskedStatus(database: DatabaseStatus): DatabaseStatus {
  const mask = <Failing extends { readonly error: string | undefined }>(failing: Failing): Failing =>
    failing.error === undefined ? failing : { ...failing, error: redact(failing.error) }
  const { storages } = database
  const isFailing = storages.some(({ error }) => error !== undefined)
  if (!isFailing) return mask(database)
  return { ...mask(database), storages: storages.map(mask) }
}

/** A database that was asked for and cannot be followed at all: it has not been opened yet. */
export function refusedStatus(name: string, path: string, error: string, since = Date.now()): DatabaseStatus {
  const sizes = { databaseBytes: 0, walBytes: 0, commits: 0, heldBytes: 0, damagedPages: 0 }
  return { name, path, state: 'unavailable', since, error, ...sizes, storages: [] }
}

/** How one database is. */
export function healthOf(database: DatabaseStatus, maxLag: number, now: number): Health {
  const { state, since, storages, damagedPages, validation } = database
  if (damagedPages > 0) return 'unhealthy'
  if (state === 'halted' || storages.some((storage) => storage.state === 'halted')) return 'unhealthy'
  const oldest = unshippedSince(database)
  if (oldest !== undefined && now - oldest > maxLag) return 'unhealthy'
  if (state === 'unavailable') return now - since > maxLag ? 'unhealthy' : 'degraded'
  if (storages.some(({ failingSince }) => failingSince !== undefined)) return 'degraded'
  if (validation?.error !== undefined) return 'degraded'
  return 'healthy'
}

/** How a replica is: one that fails may get on again, and is of no use once it has not for longer than it may. */
export function healthOfReplica({ state, checked }: ReplicaStatus, maxLag: number, now: number): Health {
  if (state !== 'failing') return 'healthy'
  return checked === undefined || now - Date.parse(checked) > maxLag ? 'unhealthy' : 'degraded'
}

/** How a whole process is: as its worst database or replica. Without any it has nothing to be well about. */
export function healthOfAll({ databases, replicas = [], maxLag }: EngineStatus, now: number): Health {
  let worst: Health = databases.length + replicas.length === 0 ? 'degraded' : 'healthy'
  const all = [
    ...databases.map((database) => healthOf(database, maxLag, now)),
    ...replicas.map((replica) => healthOfReplica(replica, maxLag, now)),
  ]
  for (const health of all) {
    if (health === 'unhealthy') return health
    if (health === 'degraded') worst = health
  }
  return worst
}
