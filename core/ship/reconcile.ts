import type { FileFacts } from '../facts.js'
import { hashFile } from '../fs/read-body.js'
import type { Inventory, StoredFile } from '../inventory.js'
import { StoreError } from '../object-store.js'
import { type FileId, fileName, LEVEL_SHIPPED, LEVEL_SNAPSHOT } from '../object-keys.js'
import type { Remote } from '../remote.js'
import type { Position } from '../spool/position-file.js'
import type { SpooledFile } from '../spool/spool.js'
import { factsOf } from './file-maker.js'
import type { LocalState } from './local-state.js'

/** The newest file of a chain and what is known of it. */
export interface Head {
  file: StoredFile
  facts: FileFacts
}

/**
 * How shipping begins, from what this machine remembers and what storage holds.
 * - `snapshot`: storage is empty: everything has to go there. `lost`: the newest transaction that had been brought there
 * - `continue`: both are at the same point; `staged` is a file that storage does not have yet
 * - `compare`: storage holds something this machine does not know: the live database has to be held against it.
 *   `ours`: it lacks what this machine had brought there, so the difference may be shipped without being asked
 */
export type Start =
  | { need: 'snapshot'; reason: string; lost?: number }
  | { need: 'continue'; staged: SpooledFile | undefined }
  | { need: 'compare'; head: Head; ours: boolean; reason: string }

/**
 * Compares what this machine remembers with what lies in storage. A spooled file that does not continue it is set aside.
 *
 * Errors: a passing one if the listing lacks what is there, and whatever reading from storage throws
 */
export async function reconcile(
  local: LocalState,
  remote: Remote,
  inventory: Inventory,
  signal: AbortSignal,
): Promise<Start> {
  const { position } = local
  const newest = inventory.newest
  if (position && position.txid > newest) await checkListing(remote, position.txid, newest, signal)
  if (newest === 0) {
    if (!position) return { need: 'snapshot', reason: 'first start' }
    await local.forget()
    return { need: 'snapshot', reason: 'the storage is empty, though files were shipped there', lost: position.txid }
  }
  const file = headFile(inventory, newest)
  const head: Head = { file, facts: await factsOfHead(local, remote, file, signal) }
  if (!position) return await beginAnew(local, head)
  if (position.txid === newest && isSame(position, head)) {
    await takeHash(local, position, head)
    await local.setAsideBeyond(newest)
    return { need: 'continue', staged: undefined }
  }
  const spooled = local.spool.find(position.txid)
  const next = position.txid === newest + 1 && continues(position, head)
  // What was damaged on this machine must not get any further: it is made anew, by comparing.
  if (next && spooled && (await isWhole(spooled, position))) {
    await local.setAsideBeyond(position.txid)
    return { need: 'continue', staged: spooled }
  }
  const ours = position.txid > newest && (await isKnown(local, position, head))
  // Comparing may fail, or be killed: the next start must not take this machine for one that woke up.
  if (ours && head.facts.post !== 0n) await local.goOnFrom({ txid: file.maxTxid, checksum: head.facts.post })
  await local.forget()
  return { need: 'compare', head, ours, reason: reasonOf(position, newest, next) }
}

/**
 * A listing that lacks what this machine has brought there is asked about that: it may be an old one, of a storage that
 * answers from a copy. Whoever believed it would make anew what is there, under the same names.
 */
async function checkListing(remote: Remote, txid: number, newest: number, signal: AbortSignal): Promise<void> {
  // The newest may not have got there yet; the one before it has.
  for (const missing of [txid, txid - 1]) {
    if (missing <= newest) return
    const file: FileId = { level: missing === 1 ? LEVEL_SNAPSHOT : LEVEL_SHIPPED, minTxid: missing, maxTxid: missing }
    if (!(await remote.exists(file, signal))) continue
    throw new StoreError('transient', `the listing of ${remote.store.url} lacks ${fileName(file)}, which is there`)
  }
}

/**
 * What is known of the newest file. If it is ours and a kill came between it and its sidecar, nothing is recorded of it:
 * its bytes tell, and the sidecar is made up for.
 */
async function factsOfHead(
  local: LocalState,
  remote: Remote,
  file: StoredFile,
  signal: AbortSignal,
): Promise<FileFacts> {
  const recorded = await remote.recorded(file, signal)
  const { position } = local
  const mine = position?.txid === file.maxTxid && file.level === LEVEL_SHIPPED
  if (mine && recorded.sha256 === undefined && (await remote.hash(file, signal)) === position.sha256) {
    const facts = factsOf(position)
    await remote.putSidecar(file, facts, signal)
    return facts
  }
  return await remote.completed(file, recorded, signal)
}

/** Storage holds a backup and this machine has no position in it. */
async function beginAnew(local: LocalState, head: Head): Promise<Start> {
  const { post } = head.facts
  const begun = head.file.minTxid === 1 && post !== 0n && post === local.begun
  const { restored } = local
  const ours = begun || (post !== 0n && post === restored?.checksum && head.file.maxTxid === restored.txid)
  // Files that an earlier life has spooled would be in the way of the next ones of the same number.
  await local.forget()
  const known = begun ? 'the first snapshot was under way' : 'the database was restored here'
  const reason = ours ? known : 'this machine has no record of the backup'
  return { need: 'compare', head, ours, reason }
}

function reasonOf({ txid }: Position, newest: number, next: boolean): string {
  if (next) return `transaction ${txid} is damaged in the spool`
  if (txid > newest) return `storage has lost transactions ${newest + 1} to ${txid}`
  return `storage is at transaction ${newest}, this machine at ${txid}`
}

async function isWhole(file: SpooledFile, { sha256 }: Position): Promise<boolean> {
  return (await hashFile(file.path)) === sha256
}

/** Whether the head of storage can be one of the files that this machine has brought there before its newest. */
async function isKnown(local: LocalState, position: Position, { file, facts }: Head): Promise<boolean> {
  if (facts.sha256 === undefined) return true
  if (position.txid === file.maxTxid + 1 && position.prev !== undefined) return facts.sha256 === position.prev
  const cached = file.level === LEVEL_SHIPPED ? local.spool.find(file.maxTxid) : undefined
  return cached === undefined || (await hashFile(cached.path)) === facts.sha256
}

/** The file that ends the chain: what was shipped last, or what covers it. */
export function headFile(inventory: Inventory, newest: number): StoredFile {
  for (let level = LEVEL_SHIPPED; level <= LEVEL_SNAPSHOT; level++) {
    const file = inventory.level(level).at(-1)
    if (file?.maxTxid === newest) return file
  }
  throw new RangeError(`no file reaches transaction ${newest}`)
}

/** Whether a position is at what lies in storage as the newest. */
export function isSame(position: Position, { facts }: Head): boolean {
  if (facts.sha256 !== undefined && facts.sha256 === position.sha256) return true
  return facts.post !== 0n && facts.post === position.checksum
}

/**
 * The file there may give the same database as ours and be another: what somebody else had under way at a takeover. The
 * next file follows the one that lies there.
 */
async function takeHash(local: LocalState, position: Position, { file, facts }: Head): Promise<void> {
  const { sha256, timestamp = 0 } = facts
  if (file.level !== LEVEL_SHIPPED || sha256 === undefined || sha256 === position.sha256) return
  await local.writePosition({ ...position, sha256, timestamp: Math.max(position.timestamp, timestamp) })
}

/** Whether the file at `position` was made to follow the head of storage. */
function continues(position: Position, { facts }: Head): boolean {
  if (facts.sha256 !== undefined && facts.sha256 === position.prev) return true
  return facts.post !== 0n && facts.post === position.pre
}
