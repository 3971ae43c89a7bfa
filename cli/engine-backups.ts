/** What the library asks for that needs no running engine: each in a process of its own. */
import { resolve } from 'node:path'
import type { LoadedConfig } from '../core/config/load.js'
import type { DatabaseSource, StorageSource } from '../core/config/resolved.js'
import { storagesOf } from '../core/config/storages.js'
import { discover, type FoundDatabase } from '../core/discover.js'
import { WalrustError } from '../core/errors.js'
import type { Host } from '../core/host.js'
import type { Progress, ReplicaWanted, RestoredDatabase, RestoreWanted } from '../core/library/protocol.js'
import type { Log } from '../core/log.js'
import { formatChecksum } from '../core/ltx/checksum.js'
import type { ObjectStore } from '../core/object-store.js'
import { Remote } from '../core/remote.js'
import { Replica } from '../core/replica/replica.js'
import { listRemotes } from '../core/restore/newest-remote.js'
import { restoreMissing } from '../core/restore/restore-missing.js'
import { restoreFromFirst } from '../core/restore/restore-point.js'
import { type BackupHistory, type BackupSummary, historyOf, summarizeAll } from '../core/restore/summary.js'
import { verify, type VerifyResult } from '../core/verify/verify.js'
import { splitDatabaseUrl } from '../core/storage-url.js'
import { BUILT_IN } from './built-in.js'
import { rememberRestore } from './remember-restore.js'

/** Milliseconds between two messages about how far something is. */
const PROGRESS_EVERY = 100

export interface Backups {
  readonly loaded: LoadedConfig
  readonly host: Host
  /** Where relative paths start. */
  readonly folder: string
  readonly log: Log
  readonly signal: AbortSignal
  readonly onProgress: (progress: Progress) => void
}

interface Stored {
  name: string
  /** Where it lies on this machine, if the configuration says so. */
  path: string | undefined
  storages: readonly StorageSource[]
}

/** The database that is meant: by its name in storage, or by a URL that ends in it. */
async function findStored({ loaded, folder }: Backups, source: string, storage: string | undefined): Promise<Stored> {
  const split = splitDatabaseUrl(source)
  if (split && storage !== undefined) {
    throw new WalrustError('E_USAGE', `${source} says where the backup is, and \`storage\` does too`)
  }
  const name = split?.name ?? source
  const all: Array<FoundDatabase<DatabaseSource>> = await discover(loaded.resolved.databases)
  const found = all.find((database) => database.name === name)
  const configured = found?.place.storages ?? loaded.storage.value
  const url = split?.storage ?? storage
  const storages =
    url === undefined
      ? configured
      : storagesOf(url, folder, [...configured, ...loaded.storage.value], BUILT_IN.storageUrl)
  return { name, path: found?.path, storages }
}

async function open({ host }: Backups, [first]: readonly StorageSource[]): Promise<ObjectStore> {
  return await host.store(first.url, first.options)
}

async function openRemote(backups: Backups, source: string, storage: string | undefined) {
  const stored = await findStored(backups, source, storage)
  const remote = new Remote(await open(backups, stored.storages), stored.name, backups.host.hooks)
  return { ...stored, remote }
}

export async function ensureRestored(backups: Backups, path: string): Promise<'restored' | 'present' | 'no-backup'> {
  const { loaded, host, folder, signal } = backups
  const file = resolve(folder, path)
  const database = (await discover(loaded.resolved.databases)).find((other) => other.path === file)
  // Those that a pattern stands for cannot be found by it while they are not there.
  if (!database) {
    throw new WalrustError('E_CONFIG', `${file} is not among the databases of the configuration`, { database: file })
  }
  const stores = await host.storesOf(database.place.storages)
  const { name, place } = database
  const parts = { name, path: file, settings: place.settings, stores, hooks: host.hooks, log: backups.log, signal }
  const done = await restoreMissing(parts)
  return typeof done === 'string' ? done : 'restored'
}

export async function restoreBackup(
  backups: Backups,
  source: string,
  wanted: RestoreWanted,
): Promise<RestoredDatabase> {
  const { host, signal, onProgress, log } = backups
  const { name, path, storages } = await findStored(backups, source, wanted.storage)
  const target = wanted.output ?? path
  if (target === undefined) {
    throw new WalrustError('E_USAGE', `tell where ${name} goes: no configuration says so`, {
      database: name,
      hint: 'Give `output`.',
    })
  }
  const { force, integrityCheck } = wanted
  const progress = throttled(onProgress)
  const stores = await host.storesOf(storages)
  // Transactions are counted in each storage by itself: a number means the first one.
  const asked = wanted.txid === undefined ? stores : stores.slice(0, 1)
  const listed = await listRemotes(asked, name, host.hooks, signal)
  const options = { target, force, integrityCheck, signal, progress }
  const { remote, result } = await restoreFromFirst(listed, wanted, options, log)
  await rememberRestore(backups, { name, file: resolve(backups.folder, target), checksum: result.checksum, stores })
  return {
    database: name,
    storage: remote.store.url,
    file: target,
    txid: result.txid,
    timestamp: new Date(result.timestamp),
    checksum: formatChecksum(result.checksum),
    checksumCompared: result.checksumKnown,
    bytes: result.size,
    files: result.files,
  }
}

export async function verifyBackup(
  backups: Backups,
  source: string,
  storage: string | undefined,
): Promise<VerifyResult> {
  const { remote } = await openRemote(backups, source, storage)
  const every = throttled(backups.onProgress)
  return await verify(remote, {
    signal: backups.signal,
    progress: (done, of, bytes) => every({ done, of, bytes }),
  })
}

export async function listBackups(backups: Backups, storage: string | undefined): Promise<BackupSummary[]> {
  const { loaded, folder, host, signal } = backups
  const configured = loaded.storage.value
  const storages = storage === undefined ? configured : storagesOf(storage, folder, configured, BUILT_IN.storageUrl)
  return await summarizeAll(await open(backups, storages), host.hooks, signal)
}

export async function backupHistory(
  backups: Backups,
  source: string,
  storage: string | undefined,
): Promise<BackupHistory> {
  const { remote } = await openRemote(backups, source, storage)
  return await historyOf(remote, backups.signal)
}

export async function openReplica(backups: Backups, source: string, wanted: ReplicaWanted): Promise<Replica> {
  const { remote } = await openRemote(backups, source, wanted.storage)
  const { local: path, interval } = wanted
  return await Replica.open({ remote, path, interval, log: backups.log }, backups.signal)
}

/** Not more often than somebody can look, and in any case at the end. */
function throttled(tell: (progress: Progress) => void): (progress: Progress) => void {
  let last = -Infinity
  return (progress) => {
    const now = performance.now()
    if (now - last < PROGRESS_EVERY && progress.done < progress.of) return
    last = now
    tell(progress)
  }
}
