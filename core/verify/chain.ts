import type { StoredFile } from '../inventory.js'
import { formatChecksum } from '../ltx/checksum.js'
import { isSnapshot, type LtxHeader } from '../ltx/header.js'
import { CHECKSUM_FLAG } from '../ltx/layout.js'
import { LEVEL_SHIPPED } from '../object-keys.js'
import { PageChecksums } from '../pages/page-checksums.js'
import type { PageSink } from '../restore/read-file.js'
import type { FileCheck, Seen } from './file-check.js'
import type { Findings } from './finding.js'
import { PageChanges } from './page-changes.js'

/** The database at a transaction, as some file says or makes it. */
interface End {
  checksum: bigint
  file: StoredFile
}

/** What every file says of the database at the transaction where it ends; the first one to say so, by transaction. */
export type Ends = Map<number, End>

/**
 * Reads every file once, in the order of the transactions, and folds the checksums of their pages into one table: the
 * database as it was after each of them, at eight bytes a page and without a page on disk. Each file is held against
 * that: what it was made for, what it gives, and for snapshots and merged files whether that is what the chain gives.
 *
 * A file can be applied to any state from the one it follows up to its own end, and gives the same. So a merged file is
 * held against the first such state that there is, while the chain itself goes on by the smallest steps.
 */
export class Chain {
  readonly ends: Ends = new Map()
  readonly #check: FileCheck
  readonly #findings: Findings
  /** Files that hold everything, and the others, not read yet. */
  readonly #bases: StoredFile[]
  readonly #others: StoredFile[]
  /** Files that lead on from the present state; those that were read were right. */
  #steps: StoredFile[] = []
  readonly #unread = new Set<StoredFile>()
  #table: PageChecksums | undefined
  #at = 0
  /** What an error that was told has changed in every checksum from then on: each is told once. */
  #drift = 0n

  constructor(check: FileCheck, findings: Findings, files: Iterable<StoredFile>) {
    this.#check = check
    this.#findings = findings
    const all = [...files].filter(({ size }) => size > 0)
    const ascending = (a: StoredFile, b: StoredFile) =>
      a.minTxid - b.minTxid || a.maxTxid - b.maxTxid || a.level - b.level
    this.#bases = all.filter((file) => isSnapshot(file)).sort(ascending)
    this.#others = all.filter((file) => !isSnapshot(file)).sort(ascending)
    for (const file of all) this.#unread.add(file)
  }

  /** Reads everything. */
  async walk(): Promise<void> {
    while (await this.#begin()) {
      do await this.#holdAgainst()
      while (await this.#step())
    }
    // What follows from nothing is looked at by itself.
    for (const file of [...this.#bases, ...this.#others]) {
      if (this.#unread.has(file)) await this.#readAlone(file)
    }
  }

  /** Takes the next file that holds everything as the state. */
  async #begin(): Promise<boolean> {
    for (let base = this.#bases.shift(); base; base = this.#bases.shift()) {
      this.#unread.delete(base)
      let table: PageChecksums | undefined
      const sink: PageSink = {
        begin: ({ pageSize }) => void (table = new PageChecksums(pageSize)),
        page: (page, _bytes, high, low) => table?.put(page, high, low),
      }
      const header = await this.#check.read(base, sink)
      if (!header || !table) continue
      table.resize(header.commit)
      this.#table = table
      this.#at = base.maxTxid
      this.#drift = 0n
      this.#ends(base, header, table.checksum)
      return true
    }
    this.#table = undefined
    return false
  }

  /** Reads what can be held against the present state: snapshots of it, and whatever begins before its end. */
  async #holdAgainst(): Promise<void> {
    const table = this.#table!
    while (this.#bases.length > 0 && this.#bases[0].maxTxid <= this.#at) {
      const base = this.#bases.shift()!
      this.#unread.delete(base)
      await this.#readBase(base, base.maxTxid === this.#at)
    }
    const isNext = (file: StoredFile) => file.minTxid <= this.#at + 1
    while (this.#others.length > 0 && isNext(this.#others[0])) {
      const file = this.#others.shift()!
      if (file.maxTxid < this.#at) {
        await this.#readAlone(file)
        continue
      }
      // The chain goes on by it in most cases: then it is read when that is done, and only once.
      if (file.maxTxid === this.#at + 1) {
        this.#steps.push(file)
        continue
      }
      this.#unread.delete(file)
      const changes = new PageChanges()
      const header = await this.#check.read(file, changes, table.commit)
      if (!header) continue
      this.#result(file, header, changes, table)
      this.#steps.push(file)
    }
    for (const file of this.#steps) {
      // Another file took us there, too.
      if (file.maxTxid !== this.#at || !this.#unread.delete(file)) continue
      const changes = new PageChanges()
      const header = await this.#check.read(file, changes, table.commit)
      if (header) this.#result(file, header, changes, table)
    }
    this.#steps = this.#steps.filter(({ maxTxid }) => maxTxid > this.#at)
  }

  /** Goes on by the smallest step that there is. False if there is none. */
  async #step(): Promise<boolean> {
    const table = this.#table!
    for (;;) {
      const step = this.#steps.reduce<StoredFile | undefined>(
        (best, file) => (!best || file.maxTxid < best.maxTxid ? file : best),
        undefined,
      )
      if (!step) return false
      const changes = new PageChanges()
      const isNew = this.#unread.delete(step)
      const header = await this.#check.read(step, changes, table.commit)
      this.#steps.splice(this.#steps.indexOf(step), 1)
      if (!header) continue
      if (isNew) this.#result(step, header, changes, table)
      const next = header.pageSize === table.pageSize ? table : new PageChecksums(header.pageSize)
      if (next !== table && !changes.isWhole(header)) continue
      changes.applyTo(next, header)
      if (header.post !== 0n) this.#drift = next.checksum ^ header.post
      this.#table = next
      this.#at = step.maxTxid
      return true
    }
  }

  /** Holds what a file makes of the present state against what it states, and against what others make of it. */
  #result(file: StoredFile, header: LtxHeader, changes: PageChanges, table: PageChecksums): void {
    const same = header.pageSize === table.pageSize
    // A database that gets another page size is written anew, all of it.
    if (!same && !changes.isWhole(header)) {
      this.#findings.add('broken-chain', 'it has another page size than the database it follows, and not all pages', {
        ...{ file: file.key, expected: String(table.pageSize), found: String(header.pageSize) },
      })
      return
    }
    // Made for another database: what it gives here says no more than that.
    const start = this.ends.get(file.minTxid - 1)
    if (header.pre !== 0n && start !== undefined && start.checksum !== header.pre) {
      this.#ends(file, header, header.post)
      return
    }
    const result = same
      ? changes.resultOn(table, header) ^ this.#drift
      : changes.resultOn(new PageChecksums(header.pageSize), header)
    this.#ends(file, header, result | CHECKSUM_FLAG)
  }

  /** @param here whether the state at hand is that of the file */
  async #readBase(file: StoredFile, here: boolean): Promise<void> {
    const sum = new PageChecksumSum()
    const header = await this.#check.read(file, sum)
    if (!header) return
    // A snapshot states the checksum of its own pages, which the decoder has compared.
    this.#ends(file, header, sum.value)
    if (here && this.#table && this.#table.commit !== header.commit)
      this.#findings.add('disagrees', `it has another number of pages than the chain at transaction ${this.#at}`, {
        ...{ file: file.key, expected: String(this.#table.commit), found: String(header.commit) },
      })
  }

  async #readAlone(file: StoredFile): Promise<void> {
    this.#unread.delete(file)
    const sum = new PageChecksumSum()
    const header = await this.#check.read(file, sum)
    if (header) this.#ends(file, header, isSnapshot(file) ? sum.value : header.post)
  }

  /** Notes what a file gives, if it is known, and compares it with what it states and with what others give. */
  #ends(file: StoredFile, header: LtxHeader, computed: bigint): void {
    if (computed !== 0n && header.post !== 0n && computed !== header.post) {
      this.#findings.add('wrong-checksum', 'its pages do not give the database checksum that it states', {
        ...{ file: file.key, expected: formatChecksum(header.post), found: formatChecksum(computed) },
      })
    }
    compareEnd(this.ends, file, header.post || computed, this.#findings)
  }
}

/** Checksum of a database that one file holds all of. */
class PageChecksumSum implements PageSink {
  #high = 0
  #low = 0

  page(_page: number, _bytes: Uint8Array, high: number, low: number): void {
    this.#high ^= high
    this.#low ^= low
  }

  get value(): bigint {
    return (BigInt(this.#high >>> 0) << 32n) | BigInt(this.#low >>> 0) | CHECKSUM_FLAG
  }
}

/** Notes what a file says of the database where it ends, or holds it against what another one says. */
export function compareEnd(ends: Ends, file: StoredFile, checksum: bigint, findings: Findings): void {
  if (checksum === 0n) return
  const other = ends.get(file.maxTxid)
  if (!other) {
    ends.set(file.maxTxid, { checksum, file })
    return
  }
  if (other.checksum === checksum) return
  findings.add('disagrees', `it ends in another database at transaction ${file.maxTxid} than ${other.file.key}`, {
    ...{ file: file.key, expected: formatChecksum(other.checksum), found: formatChecksum(checksum) },
  })
}

/** Each file stands on the one before it: by database checksum, on level 0 also by hash, and in time. */
export function checkLinks(seen: readonly Seen[], ends: Ends, findings: Findings): void {
  const shipped = new Map<number, Seen>()
  for (const one of seen) if (one.file.level === LEVEL_SHIPPED) shipped.set(one.file.maxTxid, one)
  for (const { file, facts, header } of seen) {
    if (isSnapshot(file)) continue
    const start = ends.get(file.minTxid - 1)
    if (start && header && header.pre !== 0n && header.pre !== start.checksum) {
      findings.add('broken-chain', `it was made for another database than ${start.file.key} gives`, {
        ...{ file: file.key, expected: formatChecksum(start.checksum), found: formatChecksum(header.pre) },
      })
    }
    const before = file.level === LEVEL_SHIPPED ? shipped.get(file.minTxid - 1) : undefined
    if (!before) continue
    const hash = before.sha256 ?? before.facts.sha256
    if (facts.prev !== undefined && hash !== undefined && facts.prev !== hash) {
      findings.add('broken-chain', `it follows another file than ${before.file.key}`, {
        ...{ file: file.key, expected: hash, found: facts.prev },
      })
    }
    if (header && before.header && header.timestamp < before.header.timestamp) {
      const at = (time: number) => new Date(time).toISOString()
      findings.add('wrong-time', `it is older than ${before.file.key}, which it follows`, {
        ...{ file: file.key, expected: `after ${at(before.header.timestamp)}`, found: at(header.timestamp) },
      })
    }
  }
}
