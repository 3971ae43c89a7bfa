import type { Inventory, StoredFile } from '../inventory.js'
import { LEVEL_SHIPPED, LEVEL_SNAPSHOT, parseKey, parseSidecarKey, type FileId } from '../object-keys.js'
import type { Remote } from '../remote.js'
import type { Findings } from './finding.js'

/** Findings of foreign objects that are told one by one. */
const MOST_FOREIGN = 1000

/** What lies in storage under a database's name. */
export interface Listing {
  inventory: Inventory
  /** Keys of files that have a record beside them. */
  recorded: ReadonlySet<string>
}

/**
 * Lists a database, all of it, in one go. What is neither a file nor a record nor part of another database is reported.
 *
 * Errors: `E_STORAGE`…, also if the listing ends early.
 */
export async function listAll(remote: Remote, findings: Findings, signal: AbortSignal | undefined): Promise<Listing> {
  const records = new Map<string, FileId>()
  let foreign = 0
  const inventory = await remote.inventory(signal, undefined, (key) => {
    const id = key.startsWith(`${remote.name}/walrust/`) ? parseSidecarKey(remote.name, key) : undefined
    if (id) records.set(remote.key(id), id)
    // Another database can have a name below this one's, with records of its own.
    else if (!key.includes('/walrust/') && !parseKey(remote.store.keyStyle, key)) {
      if (++foreign <= MOST_FOREIGN) findings.add('foreign', 'this is not a file of a backup', { file: key })
    }
  })
  if (foreign > MOST_FOREIGN) findings.add('foreign', `${foreign - MOST_FOREIGN} more objects are no files of a backup`)
  // Records are written after their file and removed after it: one beyond everything that is there tells what is gone.
  for (const [key, { level, maxTxid }] of records) {
    if (level === LEVEL_SHIPPED && maxTxid > inventory.newest && inventory.size > 0)
      findings.add('missing', `its record is there and the file is not: transaction ${maxTxid} is lost`, { file: key })
  }
  return { inventory, recorded: new Set(records.keys()) }
}

/** What the names alone tell: whether everything follows from something, without a gap. */
export function checkNames(inventory: Inventory, name: string, findings: Findings): void {
  const files = [...inventory.files()]
  if (files.length === 0) {
    findings.add('nothing-found', `there is no backup of ${name}`)
    return
  }
  if (!files.some(({ minTxid }) => minTxid === 1))
    findings.add('no-base', 'there is no file that holds the whole database')
  for (const { key, size } of files) if (size === 0) findings.add('damaged', 'the file is empty', { file: key })
  for (const { key, minTxid } of inventory.level(LEVEL_SNAPSHOT)) {
    if (minTxid !== 1) findings.add('wrong-level', 'a snapshot begins with transaction 1', { file: key })
  }
  checkShipped(inventory.level(LEVEL_SHIPPED), findings)
  checkGaps(inventory, files, findings)
}

/** On level 0 every transaction has one file. */
function checkShipped(files: readonly StoredFile[], findings: Findings): void {
  let last: StoredFile | undefined
  for (const file of files) {
    if (file.minTxid !== file.maxTxid)
      findings.add('wrong-level', 'a file of level 0 holds one transaction', { file: file.key })
    if (last && file.minTxid <= last.maxTxid)
      findings.add('overlap', `${last.key} holds transaction ${file.minTxid}, too`, { file: file.key })
    last = file
  }
}

/** Transactions that nothing holds, behind the first file that everything could be restored from. */
function checkGaps(inventory: Inventory, files: readonly StoredFile[], findings: Findings): void {
  const bases = files.filter(({ minTxid }) => minTxid === 1).sort((a, b) => a.maxTxid - b.maxTxid)
  if (bases.length === 0) return
  let reached = 0
  let next = 0
  const rest = files.filter(({ minTxid }) => minTxid > 1)
  for (const file of rest.sort((a, b) => a.minTxid - b.minTxid || a.maxTxid - b.maxTxid)) {
    // Where retention left only snapshots, the files behind one of them stand on that. The newest file may end where its
    // own snapshot does: behind another snapshot, and none that would lead from there to it.
    while (next < bases.length && bases[next].maxTxid < file.maxTxid) reached = Math.max(reached, bases[next++].maxTxid)
    const alone = next === 0 || (bases[next - 1].level === LEVEL_SNAPSHOT && reached === bases[next - 1].maxTxid)
    if (alone && next < bases.length && bases[next].maxTxid === file.maxTxid) reached = bases[next++].maxTxid
    // A fence post stays when everything around it has gone.
    if (file.minTxid > reached + 1 && inventory.isFencePost(file)) continue
    if (file.minTxid > reached + 1)
      findings.add('gap', `nothing holds transactions ${reached + 1} to ${file.minTxid - 1}`, { file: file.key })
    reached = Math.max(reached, file.maxTxid)
  }
}
