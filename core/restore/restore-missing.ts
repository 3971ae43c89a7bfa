import { existsSync } from 'node:fs'
import type { Hooks } from '../hooks.js'
import type { Inventory } from '../inventory.js'
import type { ObjectStore } from '../object-store.js'
import { Remote } from '../remote.js'
import { planRestore } from './plan.js'
import { restore, type RestoreResult } from './restore.js'

export interface MissingDatabase {
  name: string
  path: string
  /** Where it may lie. */
  stores: readonly ObjectStore[]
  hooks: Hooks
  signal?: AbortSignal
}

/**
 * Brings a database back if its file is not there, from the storage that has its newest state: for a machine that
 * starts with an empty disk. A storage that cannot be listed whole is an error: it might hold what is newer, and whoever
 * starts without it would go on from an old state or from nothing.
 *
 * @returns what was restored; `present` if there is a file, `no-backup` if no storage has anything of it
 */
export async function restoreMissing(
  database: MissingDatabase,
): Promise<{ result: RestoreResult; storage: string } | 'present' | 'no-backup'> {
  const { name, path, stores, hooks, signal } = database
  if (existsSync(path)) return 'present'
  let newest: { remote: Remote; inventory: Inventory; timestamp: number } | undefined
  for (const store of stores) {
    const remote = new Remote(store, name, hooks)
    const inventory = await remote.inventory(signal)
    const timestamp = newestTimestamp(inventory)
    if (timestamp !== undefined && timestamp > (newest?.timestamp ?? -Infinity))
      newest = { remote, inventory, timestamp }
  }
  if (!newest) return 'no-backup'
  const { remote, inventory } = newest
  const plan = planRestore(inventory, inventory.newest, name)
  const result = await restore(remote, plan, { target: path, force: false, integrityCheck: 'full', signal })
  return { result, storage: remote.store.url }
}

/** When the newest file was made, milliseconds since the epoch; `undefined` if there is none. */
function newestTimestamp(inventory: Inventory): number | undefined {
  let newest: number | undefined
  for (const { timestamp } of inventory.files()) if (newest === undefined || timestamp > newest) newest = timestamp
  return newest
}
