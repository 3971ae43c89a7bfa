import { createHash, randomBytes } from 'node:crypto'
import { closeSync, fdatasync, openSync, readSync, renameSync, unlinkSync, writeSync, fstatSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { BasePageSet, type LogPosition, type PageCursor, type PageSet, type WalPosition } from '../../core/index.js'

/*
 * A segment: pages copied out of the WAL, each once, ascending, so that the WAL may be restarted.
 *
 *   header, 4096 bytes   magic, then JSON, then the SHA-256 of header and index
 *   index, 12 bytes a page   page number, checksum high word, checksum low word; little-endian
 *   pages, in the order of the index
 *
 * The pages themselves are not hashed: whoever ships one holds it against its checksum.
 */
const HEADER_SIZE = 4096
const MAGIC = 'WALRUST SEGMENT 1\n'
const ENTRY = 12
const CHUNK = 256 * 1024

/** For writing pages in larger pieces; everything that uses it is done before anyone else gets a turn. */
let chunk: Buffer | undefined

/** What a segment covers. */
export interface SegmentFacts {
  from: LogPosition
  to: LogPosition
  proof: WalPosition | undefined
  pageSize: number
  commit: number
  pages: number
}

/** A file of pages on this machine. Its descriptor stays open until it is retired and nobody reads from it. */
export class Segment extends BasePageSet {
  #fd: number
  #readers = 0
  #retired = false

  private constructor(
    readonly path: string,
    readonly facts: SegmentFacts,
    fd: number,
  ) {
    super()
    this.#fd = fd
  }

  get pageSize(): number {
    return this.facts.pageSize
  }

  get commit(): number {
    return this.facts.commit
  }

  /** Bytes on disk. */
  get bytes(): number {
    return HEADER_SIZE + this.facts.pages * (ENTRY + this.facts.pageSize)
  }

  /**
   * Writes pages as a segment, at once: until it is there the WAL cannot be let go, and what is read was written
   * moments ago. It survives SIGKILL when this returns, and a power failure after {@link sync}.
   */
  static write(path: string, pages: PageSet, covers: Pick<SegmentFacts, 'from' | 'to' | 'proof'>): Segment {
    const temporary = join(dirname(path), `.tmp-${randomBytes(6).toString('hex')}`)
    const fd = openSync(temporary, 'wx+', 0o600)
    try {
      const index = indexOf(pages)
      const count = index.length / ENTRY
      const facts: SegmentFacts = { ...covers, pageSize: pages.pageSize, commit: pages.commit, pages: count }
      writePages(fd, pages, HEADER_SIZE + index.length)
      writeAt(fd, index, HEADER_SIZE)
      writeAt(fd, headerOf(facts, index), 0)
      renameSync(temporary, path)
      return new Segment(path, facts, fd)
    } catch (error) {
      closeSync(fd)
      unlinkSync(temporary)
      throw error
    }
  }

  /** Opens a segment of an earlier run; `undefined` if it is not whole. */
  static open(path: string): Segment | undefined {
    const fd = openSync(path, 'r')
    const facts = readFacts(fd)
    if (facts) return new Segment(path, facts, fd)
    closeSync(fd)
    return undefined
  }

  cursor(): PageCursor {
    return new SegmentCursor(this.#fd, this.facts)
  }

  /** Keeps the pages readable until {@link release}, also when the file is deleted meanwhile. */
  hold(): void {
    this.#readers++
  }

  release(): void {
    this.#readers--
    this.#closeIfDone()
  }

  /** Makes it survive a power failure. Failing to is no harm: then what it holds is found by comparing. */
  sync(): void {
    if (!this.#retired) fdatasync(this.#fd, () => undefined)
  }

  /** Deletes the file. Whoever reads from it just now can do so to the end. */
  retire(): void {
    if (this.#retired) return
    this.#retired = true
    unlinkSync(this.path)
    this.#closeIfDone()
  }

  /** Lets it go without deleting the file: whoever takes up the folder next has it. */
  forget(): void {
    if (this.#retired) return
    this.#retired = true
    this.#closeIfDone()
  }

  #closeIfDone(): void {
    if (this.#retired && this.#readers === 0) closeSync(this.#fd)
  }
}

class SegmentCursor implements PageCursor {
  page = 0
  high = 0
  low = 0
  #index = -1
  readonly #entries = Buffer.allocUnsafe(ENTRY * 1024)
  #loaded = 0
  #first = 0

  constructor(
    readonly fd: number,
    readonly facts: SegmentFacts,
  ) {}

  next(): boolean {
    if (++this.#index >= this.facts.pages) return false
    if (this.#index >= this.#first + this.#loaded) this.#load()
    const at = (this.#index - this.#first) * ENTRY
    this.page = this.#entries.readUInt32LE(at)
    this.high = this.#entries.readUInt32LE(at + 4)
    this.low = this.#entries.readUInt32LE(at + 8)
    return true
  }

  read(into: Uint8Array): void {
    const { pages, pageSize } = this.facts
    const at = HEADER_SIZE + pages * ENTRY + this.#index * pageSize
    if (readSync(this.fd, into, 0, pageSize, at) !== pageSize) throw new Error(`segment ends before page ${this.page}`)
  }

  close(): void {
    // The descriptor belongs to the segment.
  }

  #load(): void {
    this.#first = this.#index
    this.#loaded = Math.min(this.#entries.length / ENTRY, this.facts.pages - this.#first)
    readSync(this.fd, this.#entries, 0, this.#loaded * ENTRY, HEADER_SIZE + this.#first * ENTRY)
  }
}

function indexOf(pages: PageSet): Buffer {
  let index = Buffer.allocUnsafe(ENTRY * 1024)
  let used = 0
  const cursor = pages.cursor()
  try {
    while (cursor.next()) {
      if (used === index.length) index = Buffer.concat([index], index.length * 2)
      index.writeUInt32LE(cursor.page, used)
      index.writeUInt32LE(cursor.high, used + 4)
      index.writeUInt32LE(cursor.low, used + 8)
      used += ENTRY
    }
  } finally {
    cursor.close()
  }
  return index.subarray(0, used)
}

function writePages(fd: number, pages: PageSet, start: number): void {
  const { pageSize } = pages
  chunk ??= Buffer.allocUnsafeSlow(CHUNK)
  let [used, at] = [0, start]
  const cursor = pages.cursor()
  try {
    while (cursor.next()) {
      const wait = cursor.read(chunk.subarray(used, used + pageSize))
      if (wait) throw new TypeError('a segment can only be written from pages that are there')
      used += pageSize
      if (used + pageSize <= chunk.length) continue
      writeAt(fd, chunk.subarray(0, used), at)
      at += used
      used = 0
    }
  } finally {
    cursor.close()
  }
  writeAt(fd, chunk.subarray(0, used), at)
}

function writeAt(fd: number, bytes: Uint8Array, at: number): void {
  for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done, bytes.length - done, at + done)
}

function headerOf(facts: SegmentFacts, index: Uint8Array): Buffer {
  const header = Buffer.alloc(HEADER_SIZE)
  const text = MAGIC + JSON.stringify(facts)
  const hash = createHash('sha256').update(text).update(index).digest('hex')
  header.write(`${text}\n${hash}\n`)
  return header
}

/** Reads and checks header and index. Nothing is allocated by a number that was not held against the file's size. */
function readFacts(fd: number): SegmentFacts | undefined {
  const header = Buffer.alloc(HEADER_SIZE)
  readSync(fd, header, 0, HEADER_SIZE, 0)
  const [magic, text, hash] = header.toString('utf8').split('\n', 3)
  if (`${magic}\n` !== MAGIC) return undefined
  try {
    const facts = JSON.parse(text) as SegmentFacts
    const size = HEADER_SIZE + facts.pages * (ENTRY + facts.pageSize)
    if (!Number.isSafeInteger(size) || facts.pages < 0 || fstatSync(fd).size < size) return undefined
    const index = Buffer.alloc(facts.pages * ENTRY)
    readSync(fd, index, 0, index.length, HEADER_SIZE)
    const right = createHash('sha256').update(`${MAGIC}${text}`).update(index).digest('hex') === hash
    return right ? facts : undefined
  } catch {
    return undefined
  }
}
