import type { Hooks } from '../hooks.js'
import type { Inventory } from '../inventory.js'
import type { ObjectStore } from '../object-store.js'
import { Remote } from '../remote.js'

/** A database in a storage, and what was just listed of it there. */
export interface Listed {
  readonly remote: Remote
  readonly inventory: Inventory
}

/**
 * The storage that has the newest state of a database; the first one if none has anything. A storage that cannot be
 * listed whole is an error: it might hold what is newer.
 */
export async function newestRemote(
  stores: readonly ObjectStore[],
  name: string,
  hooks: Hooks,
  signal?: AbortSignal,
): Promise<Listed> {
  let newest: (Listed & { timestamp: number }) | undefined
  for (const store of stores) {
    const remote = new Remote(store, name, hooks)
    const inventory = await remote.inventory(signal)
    const timestamp = newestTimestamp(inventory)
    if (!newest || timestamp > newest.timestamp) newest = { remote, inventory, timestamp }
  }
  if (!newest) throw new RangeError('there is no storage to look in')
  return newest
}

/** When the newest file was made, milliseconds since the epoch. */
function newestTimestamp(inventory: Inventory): number {
  let newest = -Infinity
  for (const { timestamp } of inventory.files()) newest = Math.max(newest, timestamp)
  return newest
}
