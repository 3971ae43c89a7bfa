import type { Inventory, StoredFile } from '../inventory.js'
import { LEVEL_SNAPSHOT } from '../object-keys.js'
import type { CompactionSettings } from '../settings.js'
import { keepOf } from './levels.js'

/**
 * Leaves out of what is to be removed the snapshots that alone end at a point which the levels promise: the first
 * transaction of a database, or of another page size, is in no other file. They go when the time of their point is over.
 *
 * @param now milliseconds since the epoch
 */
export function withoutPromised(
  inventory: Inventory,
  remove: readonly StoredFile[],
  compaction: Pick<CompactionSettings, 'keep' | 'levels'>,
  now: number,
): StoredFile[] {
  const snapshots = remove.filter(({ level }) => level === LEVEL_SNAPSHOT)
  if (snapshots.length === 0) return [...remove]
  const going = new Set(remove)
  const ends = new Set<number>()
  for (const file of inventory.files()) if (!going.has(file)) ends.add(file.maxTxid)
  const promised = new Set(
    snapshots.filter((snapshot) => {
      const age = now - snapshot.timestamp
      if (ends.has(snapshot.maxTxid)) return false
      const isKept = (level: number) => age <= keepOf(compaction, level)
      const { levels } = compaction
      return isKept(0) || levels.some((span, i) => isKept(i + 1) && isLastOf(inventory, snapshot, span))
    }),
  )
  return remove.filter((file) => !promised.has(file))
}

/** Whether nothing newer was seen in the same window. */
function isLastOf(inventory: Inventory, { maxTxid, timestamp }: StoredFile, span: number): boolean {
  const window = Math.floor(timestamp / span)
  for (const file of inventory.files())
    if (file.maxTxid > maxTxid && Math.floor(file.timestamp / span) === window) return false
  return true
}
