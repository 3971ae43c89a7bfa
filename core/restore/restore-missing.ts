import { existsSync } from 'node:fs'
import type { Hooks } from '../hooks.js'
import type { ObjectStore } from '../object-store.js'
import { shippingFolder } from '../replicator.js'
import type { DatabaseSettings } from '../settings.js'
import { noteRestored } from '../ship/local-state.js'
import { newestRemote } from './newest-remote.js'
import type { RestoreResult } from './restore.js'
import { restorePoint } from './restore-point.js'

export interface MissingDatabase {
  name: string
  path: string
  /** Where it may lie. */
  stores: readonly ObjectStore[]
  hooks: Hooks
  /** Where its state is kept once it is followed. */
  settings: Pick<DatabaseSettings, 'spool' | 'stateDir'>
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
  const { name, path, stores, hooks, settings, signal } = database
  if (existsSync(path)) return 'present'
  const { remote, inventory } = await newestRemote(stores, name, hooks, signal)
  if (inventory.size === 0) return 'no-backup'
  const options = { target: path, force: false, integrityCheck: 'full', signal } as const
  const result = await restorePoint(remote, inventory, {}, options)
  await noteRestored(shippingFolder(path, settings, remote.store), result.checksum)
  return { result, storage: remote.store.url }
}
