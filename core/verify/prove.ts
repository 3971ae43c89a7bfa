import { statfs } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { formatSize } from '../config/units.js'
import { isError, messageOf } from '../errors.js'
import type { Inventory } from '../inventory.js'
import type { Remote } from '../remote.js'
import { planRestore } from '../restore/plan.js'
import type { Finding } from './finding.js'
import { trialRestore } from './trial-restore.js'
import { verify } from './verify.js'

/** How much of it a proof reads. `quick`: of every file its record and both ends. `full`: every byte. */
export type ProofDepth = 'quick' | 'full'

export interface ProveOptions {
  depth: ProofDepth
  /** Folder where the newest state is restored for trial, and removed again. */
  scratch: string
  signal?: AbortSignal
}

export interface Proof {
  /** Newest transaction that can be restored; 0 if none can. */
  txid: number
  files: number
  /** Bytes that were read of them. */
  bytesRead: number
  /** Bytes of the database that was restored for trial; `undefined` if it was not, and then why. */
  restored: number | undefined
  notRestored: string | undefined
  findings: Finding[]
}

/** What has to stay free on the disk of a trial restore, which is the disk that databases are on: bytes, and a share. */
const SPARE = 512 * 2 ** 20
const SPARE_SHARE = 0.1

/** Milliseconds before something that was found is looked at once more. */
const SECOND_LOOK = 2000

/**
 * Proves what lies in storage while somebody ships there: verifies it to some depth, and restores the newest state for
 * trial, of which every byte is read and checked whatever the depth. What is found has to be found twice: files come and
 * go while they are looked at, and a false alarm teaches people not to listen.
 *
 * Errors: `E_STORAGE`…, the signal's reason: they say nothing of the backup.
 */
export async function prove(remote: Remote, options: ProveOptions): Promise<Proof> {
  const first = await proveOnce(remote, options)
  if (first.findings.length === 0) return first
  await sleep(SECOND_LOOK, undefined, { signal: options.signal })
  return await proveOnce(remote, options)
}

async function proveOnce(remote: Remote, { depth, scratch, signal }: ProveOptions): Promise<Proof> {
  const { txid, files, bytesRead, findings } = await verify(remote, { quick: depth === 'quick', signal })
  const proof: Proof = { txid, files, bytesRead, findings, restored: undefined, notRestored: undefined }
  if (txid === 0) return proof
  const inventory = await remote.inventory(signal)
  const notRestored = await lacksRoom(remote, inventory, scratch, signal)
  if (notRestored !== undefined) return { ...proof, notRestored }
  try {
    const trial = await trialRestore(remote, { scratch, signal, inventory })
    if ('code' in trial) findings.push(trial)
    else proof.restored = trial.size
  } catch (error) {
    if (!isError(error, 'E_DISK_FULL')) throw error
    return { ...proof, notRestored: messageOf(error) }
  }
  return proof
}

/** Why the newest state is not restored to a folder: nobody's database may find its disk full because of us. */
async function lacksRoom(
  remote: Remote,
  inventory: Inventory,
  folder: string,
  signal?: AbortSignal,
): Promise<string | undefined> {
  let size: number
  try {
    const { files } = planRestore(inventory, inventory.newest, remote.name)
    const { commit, pageSize } = await remote.headerOf(files[files.length - 1], signal)
    size = commit * pageSize
  } catch (error) {
    // What is damaged is for the restore to find.
    if (isError(error, 'E_OBJECT_DAMAGED', 'E_CHAIN_BROKEN', 'E_POINT_UNAVAILABLE', 'E_NO_BACKUP')) return undefined
    throw error
  }
  const { bavail, blocks, bsize } = await statfs(folder)
  const spare = Math.max(SPARE, blocks * bsize * SPARE_SHARE)
  if (bavail * bsize - size >= spare) return undefined
  return `${folder} has ${formatSize(bavail * bsize)} free: too little for another ${formatSize(size)}`
}
