import { WalrustError } from '../errors.js'
import { storageFailure } from '../failures.js'
import type { Hooks } from '../hooks.js'
import type { Inventory } from '../inventory.js'
import { LEVEL_SNAPSHOT, parseKey } from '../object-keys.js'
import type { ObjectStore } from '../object-store.js'
import { Remote } from '../remote.js'
import { restorablePoints } from './plan.js'
import { listOn } from '../storage/resuming.js'

/** The backup of one database at a glance. */
export interface BackupSummary {
  name: string
  /** Newest transaction that can be restored; 0 if none can. */
  txid: number
  /** The range of moments that can be restored, ISO 8601. */
  from: string | null
  to: string | null
  snapshots: number
  files: number
  bytes: number
}

/** One file of a backup. */
export interface BackupFile {
  level: number
  minTxid: number
  maxTxid: number
  bytes: number
  /** ISO 8601. */
  timestamp: string
  /** Whether its last transaction can be restored exactly. */
  restorable: boolean
  key: string
}

export interface BackupHistory extends BackupSummary {
  storage: string
  history: BackupFile[]
}

/** Every database that a storage has something of, by name. Errors: `E_STORAGE`…, the signal's reason */
export async function summarizeAll(store: ObjectStore, hooks: Hooks, signal?: AbortSignal): Promise<BackupSummary[]> {
  const names = new Set<string>()
  try {
    for await (const { key } of listOn(store, { prefix: '', signal })) {
      const found = parseKey(store.keyStyle, key)
      if (found) names.add(found.name)
    }
  } catch (error) {
    signal?.throwIfAborted()
    throw storageFailure(error, store.url, 'listing')
  }
  const databases: BackupSummary[] = []
  for (const name of [...names].sort()) {
    const remote = new Remote(store, name, hooks)
    databases.push(await summarize(remote, await remote.inventory(signal), signal))
  }
  return databases
}

/** What lies in storage for one database, file by file. Errors: `E_NO_BACKUP`, `E_STORAGE`…, the signal's reason */
export async function historyOf(remote: Remote, signal?: AbortSignal): Promise<BackupHistory> {
  const inventory = await remote.inventory(signal)
  if (inventory.size === 0) {
    throw new WalrustError('E_NO_BACKUP', `there is no backup of ${remote.name} in ${remote.store.url}`, {
      database: remote.name,
    })
  }
  const points = new Set(restorablePoints(inventory))
  const history = [...inventory.files()].map(({ level, minTxid, maxTxid, size, timestamp, key }) => ({
    level,
    minTxid,
    maxTxid,
    bytes: size,
    timestamp: new Date(timestamp).toISOString(),
    restorable: points.has(maxTxid),
    key,
  }))
  return { storage: remote.store.url, ...(await summarize(remote, inventory, signal)), history }
}

async function summarize(remote: Remote, inventory: Inventory, signal?: AbortSignal): Promise<BackupSummary> {
  const points = restorablePoints(inventory)
  const time = async (point: number | undefined) => {
    const file = [...inventory.files()].find(({ maxTxid }) => maxTxid === point)
    return file ? new Date((await remote.facts(file, signal)).timestamp ?? file.timestamp).toISOString() : null
  }
  return {
    name: remote.name,
    txid: points.at(-1) ?? 0,
    from: await time(points[0]),
    to: await time(points.at(-1)),
    snapshots: inventory.level(LEVEL_SNAPSHOT).length,
    files: inventory.size,
    bytes: inventory.bytes,
  }
}
