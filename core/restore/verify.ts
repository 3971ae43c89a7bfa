import { createHash } from 'node:crypto'
import { messageOf, WalrustError } from '../errors.js'
import type { FileFacts } from '../facts.js'
import type { Inventory, StoredFile } from '../inventory.js'
import { formatChecksum } from '../ltx/checksum.js'
import type { LtxHeader } from '../ltx/header.js'
import { fileName, LEVEL_SHIPPED, parseKey } from '../object-keys.js'
import type { ObjectBody } from '../object-store.js'
import type { Remote } from '../remote.js'
import { restorablePoints } from './plan.js'
import { readFile } from './read-file.js'

/** What a finding is about. */
export type FindingKind =
  | 'nothing-found'
  | 'missing'
  | 'damaged'
  | 'wrong-hash'
  | 'gap'
  | 'broken-chain'
  | 'wrong-checksum'
  | 'foreign'
  | 'unreadable'

/** One thing that is wrong. */
export interface Finding {
  kind: FindingKind
  /** Key of the file, if it is about one. */
  file?: string
  message: string
}

export interface VerifyResult {
  database: string
  storage: string
  /** Newest transaction that can be restored; 0 if none can. */
  txid: number
  /** Database checksum there, if known. */
  checksum: string | undefined
  files: number
  bytes: number
  findings: Finding[]
}

/** What reading a file has shown. */
interface Read {
  file: StoredFile
  facts: FileFacts
  header: LtxHeader
  sha256: string
}

/**
 * Reads everything that lies in storage for a database and holds every part against every other: names against
 * contents, bytes against hashes, each file against the one it continues, snapshots against the chain.
 */
export async function verify(
  remote: Remote,
  options: { signal?: AbortSignal; progress?: (done: number, of: number) => void } = {},
): Promise<VerifyResult> {
  const inventory = await remote.inventory(options.signal)
  const findings: Finding[] = []
  const add = (kind: FindingKind, message: string, file?: string) =>
    findings.push({ kind, message, ...(file === undefined ? {} : { file }) })
  const read: Read[] = []
  if (inventory.size === 0) add('nothing-found', `there is no backup of ${remote.name} in ${remote.store.url}`)
  await findForeign(remote, add, options.signal)
  for (const file of inventory.files()) {
    try {
      read.push(await readOne(remote, file, options.signal))
    } catch (error) {
      options.signal?.throwIfAborted()
      add(kindOf(error), messageOf(error), file.key)
    }
    options.progress?.(read.length + findings.length, inventory.size)
  }
  for (const one of read) checkFacts(one, add)
  checkGaps(inventory, add)
  checkChain(read, add)
  const points = restorablePoints(inventory)
  const newest = read.filter(({ file }) => file.maxTxid === points.at(-1)).find(({ header }) => header.post !== 0n)
  return {
    database: remote.name,
    storage: remote.store.url,
    txid: points.at(-1) ?? 0,
    checksum: newest && formatChecksum(newest.header.post),
    files: inventory.size,
    bytes: inventory.bytes,
    findings,
  }
}

type Add = (kind: FindingKind, message: string, file?: string) => void

async function readOne(remote: Remote, file: StoredFile, signal: AbortSignal | undefined): Promise<Read> {
  const facts = await remote.facts(file, signal)
  const hash = createHash('sha256')
  const hashed = async function* (): ObjectBody {
    for await (const piece of remote.raw(file, undefined, signal)) {
      hash.update(piece)
      yield piece
    }
  }
  const body = await remote.unwrap(hashed(), facts.codecs)
  const header = await readFile(remote, file, body, { page: () => undefined })
  return { file, facts, header, sha256: hash.digest('hex') }
}

function kindOf(error: unknown): FindingKind {
  const code = error instanceof WalrustError ? error.code : undefined
  if (code === 'E_OBJECT_DAMAGED') return 'damaged'
  if (code === 'E_CHAIN_BROKEN') return 'missing'
  return 'unreadable'
}

/** Objects under the database's name that are neither its files nor ours. */
async function findForeign(remote: Remote, add: Add, signal: AbortSignal | undefined): Promise<void> {
  for await (const { key } of remote.store.list({ prefix: `${remote.name}/`, signal })) {
    const known = parseKey(remote.store.keyStyle, key)
    const inside = known?.name === remote.name || key.startsWith(`${remote.name}/walrust/`)
    const nested = known !== undefined && known.name !== remote.name
    if (!inside && !nested) add('foreign', `${key} is not a file of this backup`, key)
  }
}

function checkFacts({ file, facts, header, sha256 }: Read, add: Add): void {
  if (facts.sha256 !== undefined && facts.sha256 !== sha256) {
    add('wrong-hash', `the bytes have SHA-256 ${sha256}, recorded is ${facts.sha256}`, file.key)
  }
  if (facts.post !== 0n && header.post !== 0n && facts.post !== header.post) {
    add('wrong-checksum', 'the file and what is recorded of it name different database checksums', file.key)
  }
}

/** Transactions that nothing holds, behind the first file that everything could be restored from. */
function checkGaps(inventory: Inventory, add: Add): void {
  const files = [...inventory.files()].sort((a, b) => a.maxTxid - b.maxTxid)
  if (files.length > 0 && !files.some(({ minTxid }) => minTxid === 1)) {
    add('gap', 'there is no file that holds the whole database')
  }
  const bases = files.filter(({ minTxid }) => minTxid === 1).map(({ maxTxid }) => maxTxid)
  let reached = 0
  for (const file of files.filter(({ minTxid }) => minTxid > 1).sort((a, b) => a.minTxid - b.minTxid)) {
    // Where retention left only snapshots, the files behind one of them stand on that.
    const base = Math.max(0, ...bases.filter((end) => end < file.maxTxid))
    if (file.minTxid > Math.max(reached, base) + 1 && bases.length > 0) {
      add('gap', `nothing holds transactions ${Math.max(reached, base) + 1} to ${file.minTxid - 1}`, file.key)
    }
    reached = Math.max(reached, file.maxTxid)
  }
}

/** Each file stands on the one before it: by database checksum, and on level 0 by hash. All ends of one transaction agree. */
function checkChain(read: readonly Read[], add: Add): void {
  const ends = new Map<number, Read>()
  for (const one of read) {
    const other = ends.get(one.file.maxTxid)
    if (!other) ends.set(one.file.maxTxid, one)
    else if (other.header.post !== 0n && one.header.post !== 0n && other.header.post !== one.header.post) {
      add(
        'wrong-checksum',
        `${other.file.key} ends in another database at transaction ${one.file.maxTxid}`,
        one.file.key,
      )
    }
  }
  for (const { file, facts, header } of read) {
    const before = ends.get(file.minTxid - 1)
    if (!before || file.minTxid === 1) continue
    if (header.pre !== 0n && before.header.post !== 0n && header.pre !== before.header.post) {
      add('broken-chain', `it was made for another database than ${before.file.key} gives`, file.key)
    }
    const same = before.file.level === LEVEL_SHIPPED && file.level === LEVEL_SHIPPED
    if (same && facts.prev !== undefined && facts.prev !== before.sha256) {
      add('broken-chain', `it follows another file than ${fileName(before.file)}`, file.key)
    }
  }
}
