import { mkdirSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { Host } from '../../core/host.js'
import { SILENT } from '../../core/log.js'
import { Remote } from '../../core/remote.js'
import { planRestore } from '../../core/restore/plan.js'
import { restore, type RestoreResult } from '../../core/restore/restore.js'
import { type VerifyResult, verify } from '../../core/verify/verify.js'
import { storageFile } from '../../plugins/storage-file/index.js'

/** A database in a folder of backups, as restore and verify see it. */
export async function remoteIn(folder: string, name: string): Promise<Remote> {
  mkdirSync(folder, { recursive: true })
  const host = new Host(SILENT)
  host.use(storageFile())
  return new Remote(await host.store(`file://${folder}`), name, host.hooks)
}

/** Restores a transaction, or the newest, into a new file. */
export async function restoreFrom(folder: string, name: string, target: string, txid?: number): Promise<RestoreResult> {
  const remote = await remoteIn(folder, name)
  const inventory = await remote.inventory()
  const plan = planRestore(inventory, txid ?? inventory.newest, name)
  return await restore(remote, plan, { target, force: true, integrityCheck: 'full' })
}

export async function verifyFolder(folder: string, name: string): Promise<VerifyResult> {
  return await verify(await remoteIn(folder, name))
}

export interface Stored {
  bytes: number
  files: number
  /** Of level 0: what was shipped, before anything is merged. */
  shipped: { bytes: number; files: number }
  snapshots: number
}

/** Bytes of all LTX files in a folder, and how many there are. */
export function stored(folder: string): Stored {
  const sum: Stored = { bytes: 0, files: 0, shipped: { bytes: 0, files: 0 }, snapshots: 0 }
  for (const name of readdirSync(folder, { recursive: true }) as string[]) {
    if (!name.endsWith('.ltx')) continue
    const { size } = statSync(join(folder, name))
    sum.bytes += size
    sum.files++
    if (name.includes('/ltx/9/')) sum.snapshots++
    if (!name.includes('/ltx/0/')) continue
    sum.shipped.bytes += size
    sum.shipped.files++
  }
  return sum
}
