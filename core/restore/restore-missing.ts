import { existsSync } from 'node:fs'
import type { Hooks } from '../hooks.js'
import type { Log } from '../log.js'
import type { ObjectStore } from '../object-store.js'
import type { DatabaseSettings } from '../settings.js'
import { listRemotes } from './newest-remote.js'
import { rememberRestored } from './note-restored.js'
import type { RestoreResult } from './restore.js'
import { restoreFromFirst } from './restore-point.js'

export interface MissingDatabase {
  name: string
  path: string
  /** Where it may lie. */
  stores: readonly ObjectStore[]
  hooks: Hooks
  log: Log
  /** Where its state is kept once it is followed. */
  settings: Pick<DatabaseSettings, 'spool' | 'stateDir'>
  signal?: AbortSignal
}

/**
 * Brings a database back if its file is not there, from the storage that has its newest state and can give it: for a machine that
 * starts with an empty disk. A storage that cannot be listed whole is an error: it might hold what is newer, and whoever
 * starts without it would go on from an old state or from nothing.
 *
 * @returns what was restored; `present` if there is a file, `no-backup` if no storage has anything of it
 */
export async function restoreMissing(
  database: MissingDatabase,
): Promise<{ result: RestoreResult; storage: string } | 'present' | 'no-backup'> {
  const { name, path, stores, hooks, log, settings, signal } = database
  if (existsSync(path)) return 'present'
  const listed = await listRemotes(stores, name, hooks, signal)
  if (listed.every(({ inventory }) => inventory.size === 0)) return 'no-backup'
  const options = { target: path, force: false, integrityCheck: 'full', signal } as const
  const { remote, result } = await restoreFromFirst(listed, {}, options, log)
  await rememberRestored({ name, path, checksum: result.checksum, stores, settings, hooks, signal })
  return { result, storage: remote.store.url }
}
