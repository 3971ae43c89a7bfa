import { WalrustError } from '../errors.js'
import { firstEndingAt, type Inventory, type StoredFile } from '../inventory.js'
import { LEVEL_SHIPPED, LEVEL_SNAPSHOT } from '../object-keys.js'

/** The files that make up the database at a transaction, in the order in which they are applied. */
export interface RestorePlan {
  txid: number
  files: readonly StoredFile[]
}

/**
 * Chooses the files for a transaction: the newest one that holds every page, then always the file that starts where we
 * are and reaches furthest without going beyond the target.
 *
 * Errors: `E_NO_BACKUP` if there is nothing, `E_POINT_UNAVAILABLE` naming the nearest points if the target cannot be
 * reached exactly.
 *
 * @param level of files that reach equally far, the one to take. The lowest is the smallest.
 */
export function planRestore(
  inventory: Inventory,
  txid: number,
  name: string,
  level: 'lowest' | 'highest' = 'lowest',
): RestorePlan {
  if (inventory.size === 0) {
    throw new WalrustError('E_NO_BACKUP', `there is no backup of ${name}`, { database: name })
  }
  const bases = basesUpTo(inventory, txid)
  for (const base of bases) {
    const files = [base]
    for (let at = base.maxTxid; at < txid;) {
      const next = furthest(inventory, at, txid, level)
      if (!next) break
      files.push(next)
      at = next.maxTxid
    }
    if (files[files.length - 1].maxTxid === txid) return { txid, files }
  }
  throw unavailable(inventory, txid, name)
}

/** Files that hold every page, up to a transaction, newest first. */
function basesUpTo(inventory: Inventory, txid: number): StoredFile[] {
  const bases = [...inventory.files()].filter((file) => file.minTxid === 1 && file.maxTxid <= txid)
  return bases.sort((a, b) => b.maxTxid - a.maxTxid || b.level - a.level)
}

/** The file that continues transaction `at` and reaches furthest, but not beyond `limit`. */
function furthest(
  inventory: Inventory,
  at: number,
  limit: number,
  prefer: 'lowest' | 'highest',
): StoredFile | undefined {
  let best: StoredFile | undefined
  const isBetter = ({ maxTxid }: StoredFile) =>
    !best || maxTxid > best.maxTxid || (maxTxid === best.maxTxid && prefer === 'highest')
  for (let level = LEVEL_SHIPPED; level < LEVEL_SNAPSHOT; level++) {
    for (const file of reaching(inventory.level(level), at, limit, inventory.isOrdered(level))) {
      if (file.minTxid <= at + 1 && isBetter(file)) best = file
    }
  }
  return best
}

/** Files of a level that end behind `at` and not behind `limit`; the level is ordered by that. */
function* reaching(level: readonly StoredFile[], at: number, limit: number, ordered: boolean): Generator<StoredFile> {
  for (let i = firstEndingAt(level, at + 1); i < level.length && level[i].maxTxid <= limit; i++) {
    yield level[i]
    // Once they start behind `at` the rest does so, too.
    if (ordered && level[i].minTxid > at + 1) return
  }
}

function unavailable(inventory: Inventory, txid: number, name: string): WalrustError {
  const points = restorablePoints(inventory)
  const before = points.filter((point) => point < txid).at(-1)
  const after = points.find((point) => point > txid)
  const near = [before, after].filter((point) => point !== undefined).join(' and ')
  return new WalrustError(
    'E_POINT_UNAVAILABLE',
    `transaction ${txid} of ${name} cannot be restored; the nearest that can: ${near || 'none'}`,
    { database: name },
  )
}

/** Every transaction that can be restored exactly, ascending. */
export function restorablePoints(inventory: Inventory): number[] {
  const files = [...inventory.files()].sort((a, b) => a.maxTxid - b.maxTxid || a.minTxid - b.minTxid)
  const points: number[] = []
  for (const { minTxid, maxTxid } of files) {
    const newest = points.at(-1) ?? 0
    // By ascending ends, a file can be applied if it starts in or right behind what has been reached.
    if (maxTxid !== newest && (minTxid === 1 || (newest > 0 && newest >= minTxid - 1))) points.push(maxTxid)
  }
  return points
}
