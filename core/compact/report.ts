import { WalrustError } from '../errors.js'
import type { Merge } from '../hooks.js'
import type { StoredFile } from '../inventory.js'
import type { FileId } from '../object-keys.js'
import type { Remote } from '../remote.js'
import type { Upkeep, UpkeepPlan } from './upkeep.js'

/** A file that goes or stays, for people and for JSON. */
export interface ReportedFile extends FileId {
  bytes: number
  /** ISO 8601. */
  timestamp: string
  key: string
}

export interface ReportedPoint {
  txid: number
  /** ISO 8601. */
  timestamp: string
}

/** What `walrust compact` says: what would be done or what was, and what remains. */
export interface CompactReport {
  database: string
  storage: string
  done: boolean
  merge: Array<FileId & { files: number }>
  remove: ReportedFile[]
  /** What was to go and stays, because a point that stays needs it. */
  needed: ReportedFile[]
  /** Bytes of what goes. */
  freed: number
  before: { files: number; bytes: number }
  after: { files: number; bytes: number } | null
  /** How many points can be restored afterwards. */
  points: number
  earliest: ReportedPoint | null
  newest: ReportedPoint | null
  notes: readonly string[]
}

/**
 * Plans what there is to merge and to remove, does it with `force`, and tells.
 *
 * Errors: `E_NO_BACKUP` if nothing lies there; those of {@link Upkeep.run}.
 */
export async function compactReport(
  remote: Remote,
  upkeep: Upkeep,
  force: boolean,
  signal: AbortSignal,
): Promise<CompactReport> {
  const { inventory } = upkeep
  const { name, store } = remote
  if (inventory.size === 0) {
    throw new WalrustError('E_NO_BACKUP', `there is no backup of ${name} in ${store.url}`, { database: name })
  }
  const plan = await upkeep.plan(true, signal)
  const before = { files: inventory.size, bytes: inventory.bytes }
  const stays = await describeStay(remote, upkeep, plan, signal)
  const done = force ? await upkeep.run(true, signal) : undefined
  const removed = done?.removed ?? plan.remove
  return {
    ...{ database: name, storage: store.url, done: force },
    merge: plan.merge.map(asMerge),
    remove: removed.map(asFile),
    needed: plan.needed.map(asFile),
    freed: removed.reduce((sum, { size }) => sum + size, 0),
    before,
    after: done ? { files: inventory.size, bytes: inventory.bytes } : null,
    ...stays,
    notes: plan.notes,
  }
}

const asFile = ({ level, minTxid, maxTxid, size, timestamp, key }: StoredFile): ReportedFile => ({
  ...{ level, minTxid, maxTxid, bytes: size, timestamp: new Date(timestamp).toISOString(), key },
})

const asMerge = ({ level, sources }: Merge) => ({
  ...{ level, minTxid: sources[0].minTxid, maxTxid: sources[sources.length - 1].maxTxid, files: sources.length },
})

/** What remains: how many points, and the earliest and the newest of them. */
async function describeStay(
  remote: Remote,
  { inventory }: Upkeep,
  { points }: UpkeepPlan,
  signal: AbortSignal,
): Promise<Pick<CompactReport, 'points' | 'earliest' | 'newest'>> {
  const at = async (point: number | undefined): Promise<ReportedPoint | null> => {
    const file = [...inventory.files()].find(({ maxTxid }) => maxTxid === point)
    if (!file) return null
    const { timestamp } = await remote.facts(file, signal)
    return { txid: file.maxTxid, timestamp: new Date(timestamp ?? file.timestamp).toISOString() }
  }
  return { points: points.length, earliest: await at(points[0]), newest: await at(points.at(-1)) }
}
