import type { Counter, CounterConfiguration, Gauge, Histogram, Registry } from 'prom-client'
import {
  type DatabaseStatus,
  type EngineStatus,
  type EventName,
  type PluginHost,
  type ReplicaStatus,
  type StorageStatus,
  unshippedSince,
} from '../../core/index.js'
import { requestCounters } from './requests.js'

/** Seconds: from what a local disk takes to what nobody should have to wait for. */
const LATENCIES = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
const CHECKPOINTS = [0.001, 0.005, 0.025, 0.1, 0.5, 1, 5, 30]
const LOCKS = [0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1]

/** Events that say that something is wrong, as they count in `walrust_error_count_total`. */
export const ERROR_EVENTS: ReadonlySet<EventName> = new Set([
  'sync_failed',
  'auth_failure',
  'corruption_detected',
  'circuit_breaker_open',
  'wal_size_exceeded',
  'spool_high',
  'writer_fenced',
  'validation_failed',
  'database_unavailable',
  'retention_failed',
  'disk_full',
])

type OfDatabase = 'database'
type OfStorage = 'database' | 'storage'

/** What is measured by the taps and events, and what is read from the status when somebody asks. */
export interface Instruments {
  readonly registry: Registry
  readonly errors: Counter<OfDatabase>
  readonly snapshots: Counter<OfDatabase>
  readonly heals: Counter<OfDatabase>
  readonly events: Counter<OfDatabase | 'event'>
  readonly hookFailures: Counter<'hook' | 'plugin'>
  readonly bytes: Counter<OfStorage>
  readonly uploads: Counter<OfStorage>
  readonly retries: Counter<'operation'>
  readonly latency: Histogram<OfDatabase>
  readonly checkpoints: Counter<'type'>
  readonly checkpointTime: Histogram
  readonly lockTime: Histogram<OfDatabase>
}

/** Makes a counter whose values are kept elsewhere, and read whenever it is asked for. */
export type ReadCounter = (
  name: string,
  help: string,
  labelNames: string[],
  fill: (counter: Counter) => void,
) => Counter

/** Makes everything, in the given registry or one of its own. Loads prom-client. */
export async function createInstruments(host: PluginHost, given?: Registry): Promise<Instruments> {
  const [{ default: RegistryClass }, { default: GaugeClass }, { default: CounterClass }, { default: HistogramClass }] =
    await Promise.all([
      import('prom-client/lib/registry.js'),
      import('prom-client/lib/gauge.js'),
      import('prom-client/lib/counter.js'),
      import('prom-client/lib/histogram.js'),
    ])
  const registry = given ?? new RegistryClass()
  const registers = [registry]
  const counter = <T extends string>(name: string, help: string, ...labelNames: T[]) =>
    new CounterClass<T>({ name, help, labelNames, registers } satisfies CounterConfiguration<T>)

  /** How something is made whose values are kept elsewhere, and read whenever it is asked for. */
  const asked = <T extends string, Metric extends { reset: () => void }>(
    name: string,
    help: string,
    labelNames: T[],
    fill: (metric: Metric) => void,
  ) => ({
    ...{ name, help, labelNames, registers },
    collect(this: Metric) {
      this.reset()
      fill(this)
    },
  })
  const readCounter: ReadCounter = (name, help, labelNames, fill) =>
    new CounterClass(asked(name, help, labelNames, fill))

  /** A gauge that is read from the status. */
  const read = <T extends string>(
    name: string,
    help: string,
    labelNames: T[],
    fill: (gauge: Gauge<T>, status: EngineStatus, now: number) => void,
  ) =>
    new GaugeClass<T>(
      asked(name, help, labelNames, (gauge: Gauge<T>) => {
        const status = host.status()
        if (status) fill(gauge, status, Date.now())
      }),
    )
  const perDatabase = (
    name: string,
    help: string,
    value: (database: DatabaseStatus, now: number) => number | undefined,
  ) =>
    read<OfDatabase>(name, help, ['database'], (gauge, { databases }, now) => {
      for (const database of databases) {
        const number = value(database, now)
        if (number !== undefined) gauge.set({ database: database.name }, number)
      }
    })
  const perStorage = (name: string, help: string, value: (storage: StorageStatus, now: number) => number | undefined) =>
    read<OfStorage>(name, help, ['database', 'storage'], (gauge, { databases }, now) => {
      for (const { name: database, storages } of databases)
        for (const storage of storages) {
          const number = value(storage, now)
          if (number !== undefined) gauge.set({ database, storage: storage.url }, number)
        }
    })

  perDatabase(
    'walrust_last_sync_timestamp',
    'When storage last confirmed a file, in seconds since the epoch; of several storages the one that is furthest behind.',
    ({ storages }) => seconds(smallest(storages.map(({ lastSync }) => lastSync))),
  )
  perDatabase('walrust_wal_size_bytes', 'Size of the WAL file.', ({ walBytes }) => walBytes)
  perDatabase('walrust_database_size_bytes', 'Size of the database file.', ({ databaseBytes }) => databaseBytes)
  perDatabase(
    'walrust_next_snapshot_timestamp',
    'When the next snapshot is due, if there are changes by then, in seconds since the epoch.',
    ({ storages }) => seconds(smallest(storages.map(({ nextSnapshot }) => nextSnapshot))),
  )
  perDatabase('walrust_current_txid', 'Newest transaction made on this machine.', ({ storages }) =>
    Math.max(0, ...storages.map(({ txid }) => txid)),
  )
  perDatabase(
    'walrust_unshipped_seconds',
    'Age of the oldest commit that is not durable in every storage; 0 if all are.',
    (database, now) => ageOf(unshippedSince(database), now),
  )
  perDatabase('walrust_up', 'Whether the database is followed (1) or not (0).', ({ state }) =>
    state === 'live' ? 1 : 0,
  )
  perDatabase('walrust_halted', 'Whether nothing more is shipped of it to some storage.', ({ state, storages }) =>
    state === 'halted' || storages.some((storage) => storage.state === 'halted') ? 1 : 0,
  )
  perDatabase('walrust_commits', 'Commits read from the WAL since the process started.', ({ commits }) => commits)
  perDatabase(
    'walrust_damaged_pages',
    'Pages of the database file that are not what was committed.',
    ({ damagedPages }) => damagedPages,
  )
  perDatabase(
    'walrust_held_bytes',
    'Bytes kept on this machine outside the WAL, before they are in a spool.',
    ({ heldBytes }) => heldBytes,
  )
  perStorage(
    'walrust_confirmed_txid',
    'Newest transaction that the storage has confirmed.',
    ({ confirmed }) => confirmed,
  )
  perStorage(
    'walrust_lag_seconds',
    'Time from the oldest commit of the newest confirmed file until that file was durable.',
    ({ lag }) => seconds(lag),
  )
  perStorage(
    'walrust_spool_bytes',
    'Bytes of the files that wait for their upload.',
    ({ waitingBytes }) => waitingBytes,
  )
  perStorage(
    'walrust_cache_bytes',
    'Bytes of the files on this machine that storage has confirmed.',
    (storage) => storage.spoolBytes - storage.waitingBytes,
  )
  perStorage('walrust_stored_bytes', 'Bytes that lie in storage for the database.', ({ storedBytes }) => storedBytes)
  perStorage('walrust_stored_files', 'Files that lie in storage for the database.', ({ storedFiles }) => storedFiles)
  perStorage(
    'walrust_storage_failing_seconds',
    'How long requests have been failing; 0 while they work.',
    ({ failingSince }, now) => ageOf(failingSince, now),
  )
  read('walrust_databases_total', 'Databases that are watched, or should be.', [], (gauge, { databases }) =>
    gauge.set(databases.length),
  )
  read('walrust_uptime_seconds', 'Time since the start.', [], (gauge, { startedAt }, now) =>
    gauge.set(ageOf(startedAt, now)),
  )
  read('walrust_resident_memory_bytes', 'Resident memory of the process.', [], (gauge) =>
    gauge.set(process.memoryUsage.rss()),
  )

  if (host.status()?.replicas) replicaGauges(read)

  perDatabase(
    'walrust_last_validation_timestamp',
    'When what lies in storage was last verified, in seconds since the epoch.',
    ({ validation }) => seconds(validation?.last),
  )
  const validated = (
    name: string,
    help: string,
    of: (validation: NonNullable<DatabaseStatus['validation']>) => number,
  ) =>
    readCounter(name, help, ['database'], (counter) => {
      for (const { name: database, validation } of host.status()?.databases ?? [])
        counter.inc({ database }, validation ? of(validation) : 0)
    })
  validated(
    'walrust_validation_success_total',
    'Verifications that found everything right.',
    ({ successes }) => successes,
  )
  validated('walrust_validation_failure_total', 'Verifications that found something wrong.', ({ failures }) => failures)

  requestCounters(host, readCounter)

  return {
    registry,
    errors: counter('walrust_error_count_total', 'Events that say that something is wrong.', 'database'),
    snapshots: counter('walrust_snapshot_count_total', 'Snapshots that are durable in storage.', 'database'),
    heals: counter(
      'walrust_heal_count_total',
      'Times that commits which could not be followed were found by comparing.',
      'database',
    ),
    events: counter('walrust_event_count_total', 'Events by name.', 'database', 'event'),
    hookFailures: counter('walrust_hook_failure_total', 'Calls of a hook in which a plugin failed.', 'hook', 'plugin'),
    bytes: counter('walrust_shipped_bytes_total', 'Bytes brought to storage.', 'database', 'storage'),
    uploads: counter('walrust_upload_total', 'Files brought to storage.', 'database', 'storage'),
    retries: counter('walrust_retry_total', 'Attempts after one that failed.', 'operation'),
    latency: new HistogramClass<OfDatabase>({
      name: 'walrust_sync_latency_seconds',
      help: 'Time from when the newest commit of a file was seen until the file was durable.',
      labelNames: ['database'],
      buckets: LATENCIES,
      registers,
    }),
    checkpoints: counter(
      'walrust_checkpoint_total',
      'Checkpoints: passive, locked, truncate; foreign are those of other programs.',
      'type',
    ),
    checkpointTime: new HistogramClass({
      name: 'walrust_checkpoint_duration_seconds',
      help: 'Time that checkpoints of our own took.',
      buckets: CHECKPOINTS,
      registers,
    }),
    lockTime: new HistogramClass<OfDatabase>({
      name: 'walrust_write_lock_seconds',
      help: 'Time that the write lock was held for a checkpoint.',
      labelNames: ['database'],
      buckets: LOCKS,
      registers,
    }),
  }
}

/** Makes a gauge that is read from the status. */
type Read<T extends string> = (
  name: string,
  help: string,
  labelNames: T[],
  fill: (gauge: Gauge<T>, status: EngineStatus, now: number) => void,
) => unknown

/** What there is to know of replicas, in a process that keeps some. */
function replicaGauges(read: Read<'database' | 'file'>): void {
  const gauge = (name: string, help: string, value: (replica: ReplicaStatus, now: number) => number | undefined) =>
    read(name, help, ['database', 'file'], (made, { replicas = [] }, now) => {
      for (const replica of replicas) {
        const number = value(replica, now)
        if (number !== undefined) made.set({ database: replica.database, file: replica.file }, number)
      }
    })
  gauge('walrust_replica_txid', 'Transaction that the replica holds.', ({ txid }) => txid)
  gauge(
    'walrust_replica_lag_seconds',
    'Time from when the newest commit of the replica was seen at its source until it could be read here.',
    ({ lag }) => seconds(lag),
  )
  gauge(
    'walrust_replica_unchecked_seconds',
    'Time since storage was last found to have nothing newer than the replica.',
    ({ checked }, now) => (checked === undefined ? undefined : ageOf(Date.parse(checked), now)),
  )
  gauge('walrust_replica_failing', 'Whether the last look at storage failed.', ({ state }) =>
    state === 'failing' ? 1 : 0,
  )
  gauge('walrust_replica_applied_files', 'Files applied since the start.', ({ applied }) => applied)
}

function seconds(milliseconds: number | undefined): number | undefined {
  return milliseconds === undefined ? undefined : milliseconds / 1000
}

function ageOf(since: number | undefined, now: number): number {
  return since === undefined ? 0 : Math.max(0, now - since) / 1000
}

function smallest(values: ReadonlyArray<number | undefined>): number | undefined {
  const known = values.filter((value) => value !== undefined)
  return known.length === 0 ? undefined : Math.min(...known)
}
