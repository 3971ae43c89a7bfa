import { join } from 'node:path'
import { MachineLock } from '../database/machine-lock.js'
import { isError } from '../errors.js'
import type { Hooks } from '../hooks.js'
import type { ObjectStore } from '../object-store.js'
import { Remote } from '../remote.js'
import { shippingFolder, stateFolder } from '../state-folder.js'
import type { DatabaseSettings } from '../settings.js'
import { noteRestored, readPosition } from '../ship/local-state.js'
import { type Head, headFile, isSame } from '../ship/reconcile.js'

export interface RestoredDatabase {
  name: string
  /** Where it is now. */
  path: string
  /** Database checksum of what is there. */
  checksum: bigint
  /** Where it is shipped to once it is followed, and where its state is kept then. */
  stores: readonly ObjectStore[]
  settings: Pick<DatabaseSettings, 'spool' | 'stateDir'>
  hooks: Hooks
  signal?: AbortSignal
}

/**
 * Remembers of a database that was just restored that it is the newest state of its backup, so that a watch goes on from
 * there though an application commits first. Only where nothing is taken on trust:
 * - what a storage has as its newest is asked for now, and has to be that state by its database checksum. Whoever restores
 *   an older point has not been told of what came after it, and has to say `--adopt`
 * - nobody watches the file: the process that does knows what to do
 * - where this machine is at that transaction already, or has something to ship behind it, its own record is the better one
 *
 * Errors: `E_STORAGE`…, `E_STATE`, `E_DISK_FULL`.
 */
export async function rememberRestored(restored: RestoredDatabase): Promise<void> {
  const { path, settings } = restored
  const newest = await newestIn(restored)
  if (newest.length === 0) return
  let lock: MachineLock
  try {
    lock = new MachineLock(join(stateFolder(path, settings.stateDir), 'lock'), path)
  } catch (error) {
    if (isError(error, 'E_DATABASE_LOCKED')) return
    throw error
  }
  try {
    for (const { store, head } of newest) {
      const folder = shippingFolder(path, settings, store)
      const txid = head.file.maxTxid
      const position = await readPosition(folder)
      if (position && (position.txid > txid || (position.txid === txid && isSame(position, head)))) continue
      await noteRestored(folder, { txid, checksum: head.facts.post })
    }
  } finally {
    lock.release()
  }
}

/** The storages of which that state is the newest, each with the file that ends there. */
async function newestIn(restored: RestoredDatabase): Promise<Array<{ store: ObjectStore; head: Head }>> {
  const { name, checksum, stores, hooks, signal } = restored
  const newest: Array<{ store: ObjectStore; head: Head }> = []
  for (const store of stores) {
    const remote = new Remote(store, name, hooks)
    const inventory = await remote.inventory(signal)
    if (inventory.size === 0) continue
    const file = headFile(inventory, inventory.newest)
    const facts = await remote.facts(file, signal)
    if (facts.post !== 0n && facts.post === checksum) newest.push({ store, head: { file, facts } })
  }
  return newest
}
