import { storageFailure } from '../failures.js'
import type { Inventory } from '../inventory.js'
import type { FileId } from '../object-keys.js'
import type { Remote } from '../remote.js'
import { claimKey } from './keys.js'
import { fieldsOf, getText } from './small-object.js'

/** What an entry of the claims of a database says. Whatever makes no sense in it counts as not there. */
export interface Entry {
  /** Which machine wrote it: see {@link loadIdentity}. */
  owner: string | undefined
  /** Key of the heartbeat of the process that wrote it. */
  heartbeat: string | undefined
  host: string | undefined
  pid: number | undefined
  /** The process went on without this database. */
  released: boolean
  /** Somebody who had it before may only be asleep, and no transaction is known to lie there that keeps him out. */
  unfenced: boolean
  /** What is about to be removed, or may have been. */
  files: readonly FileId[]
  /** Merged files that somebody who sleeps may still remove: they are not made again. */
  avoid: readonly FileId[]
}

export function readEntry(text: string | undefined): Entry {
  const { owner, heartbeat, host, pid, released, unfenced, files, avoid } = fieldsOf(text)
  return {
    owner: typeof owner === 'string' ? owner : undefined,
    heartbeat: typeof heartbeat === 'string' ? heartbeat : undefined,
    host: typeof host === 'string' ? host : undefined,
    pid: Number.isSafeInteger(pid) ? (pid as number) : undefined,
    // Deleted since it was listed: a newer one has come, which taking the next number will find.
    released: released === true || text === undefined,
    unfenced: unfenced === true,
    files: Array.isArray(files) ? files.flatMap(fileOf) : [],
    avoid: Array.isArray(avoid) ? avoid.flatMap(fileOf) : [],
  }
}

/**
 * What whoever wrote the highest entry is removing, or had begun to: for a process that removes files without a claim.
 *
 * @returns the files, and the keys of files that must not be made. Errors: `E_STORAGE`…
 */
export async function openRemoval(
  remote: Remote,
  { epoch }: Inventory,
  signal: AbortSignal,
): Promise<{ files: readonly FileId[]; avoided: ReadonlySet<string> }> {
  if (epoch === 0) return { files: [], avoided: new Set() }
  try {
    const { files, avoid } = readEntry(await getText(remote.store, claimKey(remote.name, epoch), signal))
    return { files, avoided: new Set([...files, ...avoid].map((file) => remote.key(file))) }
  } catch (error) {
    throw storageFailure(error, remote.store.url, 'reading')
  }
}

function fileOf(value: unknown): FileId[] {
  if (!Array.isArray(value) || value.length !== 3 || !value.every(Number.isSafeInteger)) return []
  const [level, minTxid, maxTxid] = value as number[]
  return level >= 0 && level <= 9 && minTxid >= 1 && minTxid <= maxTxid ? [{ level, minTxid, maxTxid }] : []
}
