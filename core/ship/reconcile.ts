import type { FileFacts } from '../facts.js'
import type { Inventory, StoredFile } from '../inventory.js'
import { LEVEL_SHIPPED, LEVEL_SNAPSHOT } from '../object-keys.js'
import type { Remote } from '../remote.js'
import type { Position } from '../spool/position-file.js'
import type { SpooledFile } from '../spool/spool.js'
import type { LocalState } from './local-state.js'

/** The newest file of a chain and what is known of it. */
export interface Head {
  file: StoredFile
  facts: FileFacts
}

/**
 * How shipping begins, from what this machine remembers and what storage holds.
 * - `snapshot`: storage is empty: everything has to go there
 * - `continue`: both are at the same point; `staged` is a file that storage does not have yet
 * - `compare`: storage holds something this machine does not know: the live database has to be held against it.
 *   `ours`: it lacks what this machine had brought there, so the difference may be shipped without being asked
 */
export type Start =
  | { need: 'snapshot'; reason: string }
  | { need: 'continue'; staged: SpooledFile | undefined }
  | { need: 'compare'; head: Head; ours: boolean; reason: string }

/** Compares what this machine remembers with what lies in storage. A spooled file that does not continue it is set aside. */
export async function reconcile(
  local: LocalState,
  remote: Remote,
  inventory: Inventory,
  signal: AbortSignal,
): Promise<Start> {
  const { position } = local
  const newest = inventory.newest
  if (newest === 0) {
    if (position) await local.forget()
    return {
      need: 'snapshot',
      reason: position ? 'the storage is empty, though files were shipped there' : 'first start',
    }
  }
  const file = headFile(inventory, newest)
  const head: Head = { file, facts: await remote.facts(file, signal) }
  if (!position) return { need: 'compare', head, ours: false, reason: 'this machine has no record of the backup' }
  if (position.txid === newest && isSame(position, head)) return { need: 'continue', staged: undefined }
  const spooled = local.spool.find(position.txid)
  if (position.txid === newest + 1 && spooled && continues(position, head)) return { need: 'continue', staged: spooled }
  await local.forget()
  const reason =
    position.txid > newest
      ? `storage has lost transactions ${newest + 1} to ${position.txid}`
      : `storage is at transaction ${newest}, this machine at ${position.txid}`
  return { need: 'compare', head, ours: position.txid > newest, reason }
}

/** The file that ends the chain: what was shipped last, or what covers it. */
export function headFile(inventory: Inventory, newest: number): StoredFile {
  for (let level = LEVEL_SHIPPED; level <= LEVEL_SNAPSHOT; level++) {
    const file = inventory.level(level).at(-1)
    if (file?.maxTxid === newest) return file
  }
  throw new RangeError(`no file reaches transaction ${newest}`)
}

function isSame(position: Position, { facts }: Head): boolean {
  if (facts.sha256 !== undefined && facts.sha256 === position.sha256) return true
  return facts.post !== 0n && facts.post === position.checksum
}

/** Whether the file at `position` was made to follow the head of storage. */
function continues(position: Position, { facts }: Head): boolean {
  if (facts.sha256 !== undefined && facts.sha256 === position.prev) return true
  return facts.post !== 0n && facts.post === position.pre
}
