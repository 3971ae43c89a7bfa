import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EXIT, WalrustError } from '../errors.js'
import { diskError } from '../fs/durable.js'
import type { Inventory } from '../inventory.js'
import type { Remote } from '../remote.js'
import type { RestoreOptions, RestoreResult } from '../restore/restore.js'
import { restorePoint } from '../restore/restore-point.js'
import type { Finding } from './finding.js'

export interface TrialOptions {
  /** Folder in which there is room for the database. Default: the system's for temporary files. */
  scratch?: string
  /** What lies in storage, if that has just been listed. */
  inventory?: Inventory
  signal?: AbortSignal
  progress?: RestoreOptions['progress']
}

/**
 * Restores the newest state as `restore` does, with SQLite's full `integrity_check`, and removes it again.
 *
 * @returns what was restored, or what is wrong. Errors: `E_DISK_FULL`, `E_STATE`, `E_STORAGE`…: they say nothing of
 * the backup
 */
export async function trialRestore(remote: Remote, options: TrialOptions = {}): Promise<RestoreResult | Finding> {
  const { scratch = tmpdir(), signal, progress } = options
  const inventory = options.inventory ?? (await remote.inventory(signal))
  const folder = await mkdtemp(join(scratch, 'walrust-verify-')).catch((error: unknown) => {
    throw diskError(error, scratch)
  })
  try {
    const target = join(folder, 'database')
    // Whoever merges and removes meanwhile does no harm to it: it is planned anew.
    const options = { target, force: false, integrityCheck: 'full', signal, progress } as const
    return await restorePoint(remote, inventory, {}, options)
  } catch (error) {
    const exit = error instanceof WalrustError ? error.exitCode : undefined
    if (exit !== EXIT.integrity && exit !== EXIT.restore) throw error
    return { code: 'restore-failed', what: (error as WalrustError).message }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
