import { Inventory, type StoredFile } from '../inventory.js'
import type { FileId } from '../object-keys.js'
import { planRestore, restorablePoints } from '../restore/plan.js'

export interface Protected {
  /** What may really go. */
  remove: StoredFile[]
  /** What was to go and has to stay, because a point that stays needs it. */
  needed: StoredFile[]
  /** Every point that can be restored afterwards, ascending. */
  points: number[]
}

/**
 * Takes out of what is to be removed whatever a point needs that stays: every point at which a file ends that is not
 * to be removed, and the newest of all. Nothing else decides over deletion, whoever asked for it.
 *
 * Of files that reach equally far the one of the highest level stays: what it was merged from would be merged again.
 */
export function protect(inventory: Inventory, wanted: readonly FileId[], name: string): Protected {
  const going = new Set(wanted.flatMap((id) => inventory.find(id) ?? []))
  const before = restorablePoints(inventory)
  const reachable = new Set(before)
  const left = new Inventory()
  for (const file of inventory.files()) if (!going.has(file)) left.add(file)
  const promised = new Set([...left.files()].map(({ maxTxid }) => maxTxid).filter((point) => reachable.has(point)))
  const newest = before.at(-1)
  if (newest !== undefined) promised.add(newest)

  const needed: StoredFile[] = []
  for (;;) {
    const points = restorablePoints(left)
    const there = new Set(points)
    const lost = [...promised].filter((point) => !there.has(point)).sort((a, b) => a - b)
    if (lost.length === 0) return { remove: [...going], needed, points }
    // The lowest first: with a base for it, those behind it are often there again.
    for (const file of planRestore(inventory, lost[0], name, 'highest').files) {
      if (!going.delete(file)) continue
      needed.push(file)
      left.add(file)
    }
  }
}
