import type { StoredFile } from '../inventory.js'
import { formatChecksum } from '../ltx/checksum.js'
import type { Remote } from '../remote.js'
import { restorablePoints } from '../restore/plan.js'
import { Chain, checkLinks, compareEnd, type Ends } from './chain.js'
import { FileCheck } from './file-check.js'
import { type Finding, Findings } from './finding.js'
import { checkNames, listAll } from './listing.js'

/** Files looked at a time, where only their ends are. */
const GLANCES = 8

export interface VerifyOptions {
  /** Look at names, records, and the two ends of each file only: two or three small requests a file, none of its pages. */
  quick?: boolean
  signal?: AbortSignal
  /** Told after each file: how many of how many, and the bytes read so far. */
  progress?: (done: number, of: number, bytes: number) => void
}

export interface VerifyResult {
  database: string
  storage: string
  /** What was looked at: everything, or names, records and the ends of files. */
  depth: 'full' | 'quick'
  /** Newest transaction that can be restored; 0 if none can. */
  txid: number
  /** Database checksum there, if known. */
  checksum: string | undefined
  /** When it was observed, ISO 8601, if known. */
  timestamp: string | undefined
  files: number
  /** Bytes that lie there, and those that were read of them. */
  bytes: number
  bytesRead: number
  findings: Finding[]
}

/**
 * Proves what lies in storage for a database. Every file is read once, and every part is held against every other:
 * names against contents, bytes against recorded hashes, each file against the one it continues, the pages of each
 * against the database checksums it states, snapshots and merged files against the chain. Of a backup that has no
 * checksums of ours the same is computed from the pages. Memory: eight bytes a page, and some hundred a file.
 *
 * Whatever is wrong is a finding. Errors: `E_STORAGE`… if storage cannot be listed, the signal's reason.
 */
export async function verify(remote: Remote, options: VerifyOptions = {}): Promise<VerifyResult> {
  return (await verifyWithEnds(remote, options)).result
}

/** The same, with the database checksum at every transaction where a file ends. */
export async function verifyWithEnds(
  remote: Remote,
  { quick = false, signal, progress }: VerifyOptions = {},
): Promise<{ result: VerifyResult; ends: Ends }> {
  const findings = new Findings()
  const listing = await listAll(remote, findings, signal)
  const { inventory } = listing
  checkNames(inventory, remote.name, findings)
  const check = new FileCheck(remote, listing, findings, { signal, progress })
  const ends = quick ? await glanceAll(check, findings) : await readAll(check, findings)
  checkLinks(check.seen, ends, findings)
  await check.settle()
  const txid = restorablePoints(inventory).at(-1) ?? 0
  const checksum = ends.get(txid)?.checksum
  const time = check.seen.find(({ file }) => file.maxTxid === txid)?.header?.timestamp
  const result: VerifyResult = {
    database: remote.name,
    storage: remote.store.url,
    depth: quick ? 'quick' : 'full',
    txid,
    checksum: checksum === undefined ? undefined : formatChecksum(checksum),
    timestamp: time === undefined ? undefined : new Date(time).toISOString(),
    files: inventory.size,
    bytes: inventory.bytes,
    bytesRead: check.bytes,
    findings: findings.all,
  }
  return { result, ends }
}

async function readAll(check: FileCheck, findings: Findings): Promise<Ends> {
  const chain = new Chain(check, findings, check.listing.inventory.files())
  await chain.walk()
  return chain.ends
}

async function glanceAll(check: FileCheck, findings: Findings): Promise<Ends> {
  const files = check.listing.inventory.files()
  const next = async (): Promise<void> => {
    for (let file = files.next(); !file.done; file = files.next()) {
      if (file.value.size > 0) await check.glance(file.value)
    }
  }
  await Promise.all(Array.from({ length: GLANCES }, next))
  const ends: Ends = new Map()
  const byLevel = (a: StoredFile, b: StoredFile) => a.level - b.level || a.maxTxid - b.maxTxid
  for (const { file, header, facts } of check.seen.sort((a, b) => byLevel(a.file, b.file)))
    compareEnd(ends, file, header?.post ?? facts.post, findings)
  return ends
}
