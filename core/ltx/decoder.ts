import { checksumWords, Crc64, frameArea, inflate, pageArea } from '../kernel/kernel.js'
import { DatabaseChecksum } from './checksum.js'
import { LtxError } from './errors.js'
import { isSnapshot, type LtxHeader, type LtxTrailer, readHeader, readTrailer } from './header.js'
import { Input } from './input.js'
import {
  CHECKSUM_FLAG,
  HEADER_SIZE,
  INDEX_SIZE_FIELD,
  lockPage,
  PAGE_FLAG_SIZE,
  PAGE_HEADER_SIZE,
  PAGE_SIZE_FIELD,
  storedPages,
  TRAILER_SIZE,
} from './layout.js'
import { blockBound, findPageFrame, inflateFrame, largestFrame } from './lz4.js'
import { EntryReader, IndexChecker } from './page-index.js'

const FRAME_HEAD = PAGE_HEADER_SIZE + PAGE_SIZE_FIELD
const frameHead = frameArea.subarray(0, FRAME_HEAD)
const pageHead = frameArea.subarray(0, PAGE_HEADER_SIZE)

/**
 * Reads one LTX file as it comes in: `push` a piece, then call `next` until it asks for more.
 *
 * `next` answers
 * - `'more'`: push the next piece, or `finish` if there is none
 * - `'header'`: {@link header} is there
 * - `'page'`: {@link page} and {@link data} hold the next page; `data` is valid until the next call
 * - `'end'`: the whole file was read and its checksum, index and size are right
 *
 * Every number of the file is checked before it is used for a size or a place. Errors: {@link LtxError}
 * `LTX_TRUNCATED`, `LTX_CORRUPT`, `LTX_CHECKSUM`, `LTX_UNSUPPORTED`; after one, every call throws it again.
 */
export class LtxDecoder {
  page = 0
  data!: Uint8Array
  /** Checksum of the page at hand, high and low word; only if asked for. */
  high = 0
  low = 0

  #state: 'header' | 'pages' | 'index' | 'tail' | 'end' = 'header'
  #error: Error | undefined
  #header: LtxHeader | undefined
  #trailer: LtxTrailer | undefined

  readonly #input = new Input()
  #asked = true
  #finished = false

  #inflated!: Uint8Array
  readonly #crc = new Crc64()
  readonly #entry = new EntryReader()
  #indexSize = 0
  #seen!: IndexChecker
  #index!: IndexChecker

  readonly #sum = new DatabaseChecksum()
  #checksumming: boolean

  /** The page up to which the database is known to reach, where that is to be checked. */
  #reached: number

  /**
   * @param options `pageChecksums`: give each page's checksum in {@link high} and {@link low}.
   * `before`: size in pages of the database that the file is applied to. The file then has to hold every page by which
   * that grows, so that nobody is led to make room for more than there is.
   */
  constructor(options: { pageChecksums?: boolean; before?: number } = {}) {
    this.#checksumming = options.pageChecksums ?? false
    this.#reached = options.before ?? Infinity
  }

  /** The file's header. Throws `LTX_USAGE` before it has been read. */
  get header(): LtxHeader {
    if (!this.#header) throw new LtxError('LTX_USAGE', 'the header has not been read yet')
    return this.#header
  }

  /** The file's trailer, once `next` has said `'end'`. For a tracked file `header.post` is filled in as well. */
  get trailer(): LtxTrailer {
    if (!this.#trailer) throw new LtxError('LTX_USAGE', 'the file has not been read to its end yet')
    return this.#trailer
  }

  /** How many pages were read so far. */
  get pages(): number {
    return this.#header ? this.#seen.count : 0
  }

  /** Hands over the next piece of the file, which is copied. */
  push(piece: Uint8Array): void {
    if (this.#error !== undefined) throw this.#error
    if (!this.#asked || this.#finished) throw new LtxError('LTX_USAGE', 'the decoder did not ask for more')
    this.#input.append(piece, this.#header ? largestFrame(this.#header.pageSize) : HEADER_SIZE)
    this.#asked = false
  }

  /** Says that there are no more pieces. */
  finish(): void {
    if (this.#error !== undefined) throw this.#error
    this.#finished = true
  }

  next(): 'more' | 'header' | 'page' | 'end' {
    if (this.#error !== undefined) throw this.#error
    try {
      return this.#next()
    } catch (error) {
      const unplaced = error instanceof LtxError && error.offset === undefined
      this.#error = unplaced ? new LtxError(error.code, error.message, this.#input.offset) : (error as Error)
      throw this.#error
    }
  }

  #next(): 'more' | 'header' | 'page' | 'end' {
    switch (this.#state) {
      case 'header':
        return this.#readHeader() ? 'header' : this.#more()
      case 'pages':
        if (this.#readPage()) return 'page'
        return this.#current() === 'pages' ? this.#more() : this.#next()
      case 'index':
        return this.#readIndex() ? this.#next() : this.#more()
      case 'tail':
        return this.#readTail() ? 'end' : this.#more()
      case 'end':
        return 'end'
    }
  }

  /** The state as it is now: it may have moved on inside a call. */
  #current(): string {
    return this.#state
  }

  #more(): 'more' {
    const { offset, available } = this.#input
    if (this.#finished) throw new LtxError('LTX_TRUNCATED', 'the file ends too early', offset + available)
    this.#asked = true
    return 'more'
  }

  #corrupt(message: string): LtxError {
    return new LtxError('LTX_CORRUPT', message)
  }

  #readHeader(): boolean {
    if (this.#input.available < HEADER_SIZE) return false
    const bytes = this.#input.peek(HEADER_SIZE)
    const header = readHeader(bytes)
    this.#crc.update(bytes)
    this.#input.take(HEADER_SIZE)
    this.#header = header
    this.data = new Uint8Array(header.pageSize)
    this.#inflated = pageArea.subarray(0, header.pageSize)
    this.#seen = new IndexChecker(header.commit, header.pageSize)
    this.#index = new IndexChecker(header.commit, header.pageSize)
    // A snapshot proves its own database checksum; what is not known cannot be compared.
    if (isSnapshot(header) && (header.checksums === 'tracked' || header.post !== 0n)) this.#checksumming = true
    this.#state = 'pages'
    return true
  }

  #readPage(): boolean {
    if (this.#input.available < PAGE_HEADER_SIZE) return false
    const page = this.#input.view.getUint32(this.#input.at)
    const flags = this.#input.view.getUint16(this.#input.at + 4)
    if (page === 0) {
      if (flags !== 0) throw this.#corrupt('page number 0 with flags')
      this.#endPages()
      return false
    }
    if ((flags & ~PAGE_FLAG_SIZE) !== 0) throw this.#corrupt(`unknown page flags 0x${flags.toString(16)}`)
    const size = flags & PAGE_FLAG_SIZE ? this.#readBlock() : this.#readFrame()
    if (size === 0) return false
    this.#seen.add(page, this.#input.offset, size)
    if (page > this.#reached) this.#grow(page)
    this.page = page
    const data = this.#inflated
    this.#crc.update(flags & PAGE_FLAG_SIZE ? frameHead : pageHead)
    if (this.#checksumming) {
      this.#crc.updatePage(page, data)
      this.high = checksumWords[0]
      this.low = checksumWords[1]
      this.#sum.toggle(this.high, this.low)
    } else {
      this.#crc.update(data)
    }
    this.data.set(data)
    this.#input.take(size)
    return true
  }

  /** Takes note that the database grows by a page, to which it has to reach already. */
  #grow(page: number): void {
    const lock = lockPage(this.header.pageSize)
    if (this.#reached + 1 === lock) this.#reached = lock
    if (page > this.#reached + 1)
      throw this.#corrupt(`the database grows by page ${this.#reached + 1}, which is not there`)
    this.#reached = Math.max(this.#reached, page)
  }

  /**
   * Inflates the block of the page at hand into the kernel's page area, the head of its frame into the frame area.
   * Returns the size of the frame, 0 if it is not all there yet.
   */
  #readBlock(): number {
    if (this.#input.available < FRAME_HEAD) return 0
    const size = this.#input.view.getUint32(this.#input.at + PAGE_HEADER_SIZE)
    if (size === 0 || size > blockBound(this.header.pageSize)) throw this.#corrupt(`a page of ${size} compressed bytes`)
    if (this.#input.available < FRAME_HEAD + size) return 0
    frameArea.set(this.#input.peek(FRAME_HEAD + size))
    if (!inflate(FRAME_HEAD, size, this.header.pageSize)) throw this.#corrupt('a page does not inflate to one page')
    return FRAME_HEAD + size
  }

  /** The same for the LZ4 frames of older files. */
  #readFrame(): number {
    const { bytes, at, end } = this.#input
    const { pageSize } = this.header
    const frame = findPageFrame(bytes, at + PAGE_HEADER_SIZE, end, pageSize)
    if (!frame) return 0
    inflateFrame(bytes, frame, pageSize)
    pageHead.set(this.#input.peek(PAGE_HEADER_SIZE))
    return PAGE_HEADER_SIZE + frame.size
  }

  #endPages(): void {
    const { commit, pageSize } = this.header
    const expected = storedPages(commit, pageSize)
    this.#grow(commit + 1)
    // Ascending, in range and as many as there can be: then it is all of them.
    if (isSnapshot(this.header) && this.#seen.count !== expected) {
      throw this.#corrupt(`a snapshot of ${commit} pages holds ${this.#seen.count}`)
    }
    this.#crc.update(this.#input.peek(PAGE_HEADER_SIZE))
    this.#input.take(PAGE_HEADER_SIZE)
    this.#state = 'index'
  }

  /** Reads index entries as far as they are there; true when the ending zero was read. */
  #readIndex(): boolean {
    const start = this.#input.offset
    const done = this.#readEntries()
    this.#indexSize += this.#input.offset - start
    if (!done) return false
    if (!this.#index.sameAs(this.#seen)) throw this.#corrupt('the page index does not name the pages that are there')
    this.#state = 'tail'
    return true
  }

  #readEntries(): boolean {
    const { bytes, at: start, end } = this.#input
    const entry = this.#entry
    let done = false
    let at = start
    for (let next = at; !done && (next = entry.read(bytes, at, end)) > 0; at = next) {
      if (entry.page === 0) done = true
      else this.#index.add(entry.page, entry.offset, entry.size)
    }
    this.#crc.update(bytes.subarray(start, at))
    this.#input.take(at - start)
    return done
  }

  #readTail(): boolean {
    const size = INDEX_SIZE_FIELD + TRAILER_SIZE
    if (this.#input.available > size) throw this.#corrupt('the file goes on after its end')
    if (this.#input.available < size || !this.#finished) return false
    const bytes = this.#input.peek(size)
    const indexSize = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0)
    if (indexSize !== BigInt(this.#indexSize)) throw this.#corrupt('the page index is not as long as it says')
    const trailer = readTrailer(bytes.subarray(INDEX_SIZE_FIELD), this.header)
    this.#crc.update(bytes.subarray(0, INDEX_SIZE_FIELD + 8))
    const computed = this.#crc.digest() | CHECKSUM_FLAG
    if (computed !== trailer.fileChecksum) {
      throw new LtxError('LTX_CHECKSUM', 'the file checksum does not match: the file is not what was written')
    }
    if (this.header.checksums === 'tracked') this.header.post = trailer.post
    if (isSnapshot(this.header) && this.header.post !== 0n && this.header.post !== this.#sum.value) {
      throw new LtxError('LTX_CHECKSUM', 'the pages of the snapshot do not have the database checksum it states')
    }
    this.#trailer = trailer
    this.#input.take(size)
    this.#state = 'end'
    return true
  }
}
