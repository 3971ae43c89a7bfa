import { frameArea } from '../kernel/kernel.js'
import { LtxError } from './errors.js'
import { HEADER_SIZE, INDEX_SIZE_FIELD, lockPage, PAGE_HEADER_SIZE, TRAILER_SIZE } from './layout.js'
import { largestFrame } from './lz4.js'
import { MAX_VARINT, VarintReader, writeVarint } from './varint.js'

function corrupt(message: string): LtxError {
  return new LtxError('LTX_CORRUPT', message)
}

const FIRST_CHUNK = 64
const LARGEST_CHUNK = 64 * 1024

/**
 * The page index of a file in the making. Kept as differences (about three bytes a page), because a snapshot of a
 * large database has an entry for every page of it; in chunks that begin small, because most files hold few pages.
 */
export class IndexBuilder {
  #chunks: Uint8Array[] = []
  #chunk: Uint8Array = new Uint8Array(FIRST_CHUNK)
  #used = 0
  #lastPage = 0

  /** Adds the next page and the size of its frame, header included, in bytes. */
  add(page: number, frameSize: number): void {
    if (this.#used + 2 * MAX_VARINT > this.#chunk.length) {
      this.#chunks.push(this.#chunk.subarray(0, this.#used))
      this.#chunk = new Uint8Array(Math.min(2 * this.#chunk.length, LARGEST_CHUNK))
      this.#used = 0
    }
    const next = writeVarint(page - this.#lastPage, this.#chunk, this.#used)
    this.#used = writeVarint(frameSize, this.#chunk, next)
    this.#lastPage = page
  }

  /**
   * The index as it stands in a file: entries, the ending zero, and their size in eight bytes. For a large database that
   * is megabytes, so it comes in pieces; each is valid until the next encoder is used or the next piece asked for.
   */
  *pieces(): Generator<Uint8Array, void, void> {
    const buffer = frameArea
    const number = new VarintReader()
    let [page, offset, size, used] = [0, HEADER_SIZE, 0, 0]
    for (const chunk of [...this.#chunks, this.#chunk.subarray(0, this.#used)]) {
      for (let at = 0; at < chunk.length;) {
        at = number.read(chunk, at, chunk.length)
        page += number.value
        at = number.read(chunk, at, chunk.length)
        used = writeVarint(page, buffer, used)
        used = writeVarint(offset, buffer, used)
        used = writeVarint(number.value, buffer, used)
        offset += number.value
        if (used + 3 * MAX_VARINT <= buffer.length) continue
        yield buffer.subarray(0, used)
        size += used
        used = 0
      }
    }
    buffer[used++] = 0
    yield buffer.subarray(0, used)
    const field = new Uint8Array(INDEX_SIZE_FIELD)
    new DataView(field.buffer).setBigUint64(0, BigInt(size + used))
    yield field
  }
}

/** Mixes a word into a 32-bit hash, as MurmurHash3 does: two hashes or two words that differ never meet in one step. */
function mix(hash: number, word: number, factor: number): number {
  const scrambled = Math.imul(word, factor)
  const mixed = hash ^ Math.imul((scrambled << 15) | (scrambled >>> 17), 0x1b873593)
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0
}

/**
 * Checks entries of an index one after the other: pages ascend and lie in the database, each frame starts where the
 * one before ends, none is larger than a page can make it. Pages and sizes, which therefore say it all, are folded
 * into a 64-bit fingerprint, to compare an index with the pages actually there without keeping either.
 */
export class IndexChecker {
  count = 0
  #a = 0
  #b = 0
  #lastPage = 0
  #nextOffset = HEADER_SIZE
  readonly #lockPage: number
  readonly #largest: number

  constructor(
    readonly commit: number,
    pageSize: number,
  ) {
    this.#lockPage = lockPage(pageSize)
    this.#largest = largestFrame(pageSize)
  }

  /** Where the frame after the last one starts, in bytes. */
  get nextOffset(): number {
    return this.#nextOffset
  }

  /** Takes the next entry. Errors: {@link LtxError} `LTX_CORRUPT`. */
  add(page: number, offset: number, size: number): void {
    if (page <= this.#lastPage) throw corrupt(`page ${page} comes after page ${this.#lastPage}`)
    if (page > this.commit) throw corrupt(`page ${page} of a database of ${this.commit} pages`)
    if (page === this.#lockPage) throw corrupt(`page ${page} is the lock page`)
    if (offset !== this.#nextOffset || size <= PAGE_HEADER_SIZE || size > this.#largest) {
      throw corrupt(`page ${page} in ${size} bytes at ${offset} cannot be`)
    }
    this.#lastPage = page
    this.#nextOffset = offset + size
    this.count++
    this.#a = mix(mix(this.#a, page, 0xcc9e2d51), size, 0xcc9e2d51)
    this.#b = mix(mix(this.#b, size, 0x85ebca6b), page, 0x85ebca6b)
  }

  /** Whether both saw the same entries in the same order. */
  sameAs(other: IndexChecker): boolean {
    return this.count === other.count && this.#a === other.#a && this.#b === other.#b
  }
}

/** Where a page lies in an LTX file. */
export interface IndexEntry {
  page: number
  /** Offset of its frame from the start of the file, and the frame's size with its header, in bytes. */
  offset: number
  size: number
}

/** How many bytes before the end of a file its page index starts, from the file's last 24 bytes. */
export function indexLength(tail: Uint8Array, fileSize: number): number {
  const need = INDEX_SIZE_FIELD + TRAILER_SIZE
  if (tail.length < need) throw new LtxError('LTX_TRUNCATED', 'the file is too short to hold a page index')
  const v = new DataView(tail.buffer, tail.byteOffset + tail.length - need)
  const size = Number(v.getBigUint64(0))
  if (size < 1 || size > fileSize - HEADER_SIZE - PAGE_HEADER_SIZE - need) {
    throw corrupt(`page index of ${size} bytes in a file of ${fileSize}`)
  }
  return size + need
}

/**
 * Reads the entries of a page index from the bytes that {@link indexLength} names, and checks each. With the size of
 * the file in bytes it also checks that the pages fill the file up to the index.
 * Errors: {@link LtxError} `LTX_CORRUPT`, `LTX_TRUNCATED`.
 */
export function* readIndex(
  bytes: Uint8Array,
  file: { commit: number; pageSize: number; fileSize?: number },
): Generator<IndexEntry, void, void> {
  const end = bytes.length - INDEX_SIZE_FIELD - TRAILER_SIZE
  if (indexLength(bytes, Infinity) !== bytes.length)
    throw corrupt(`page index is not ${end} bytes long as it should be`)
  const checker = new IndexChecker(file.commit, file.pageSize)
  const entry = new EntryReader()
  for (let at = 0; (at = entry.read(bytes, at, end)) > 0;) {
    const { page, offset, size } = entry
    if (page === 0) {
      if (at !== end) throw corrupt('the page index ends before its stated size')
      const pagesEnd = checker.nextOffset + PAGE_HEADER_SIZE
      if (file.fileSize !== undefined && pagesEnd + bytes.length !== file.fileSize) {
        throw corrupt(`the page index ends at page data of ${pagesEnd} bytes in a file of ${file.fileSize}`)
      }
      return
    }
    checker.add(page, offset, size)
    yield { page, offset, size }
  }
  throw corrupt('the page index does not end')
}

/** Reads the entries of a page index one after the other. Nothing is checked but that they are numbers. */
export class EntryReader implements IndexEntry {
  /** Of the entry that was read last; the page is 0 at the end of the index, and the rest then means nothing. */
  page = 0
  offset = 0
  size = 0
  readonly #number = new VarintReader()

  /** Reads the entry at `bytes[at]` and returns the offset behind it; 0 if it is not all there before `end`. Errors: `LTX_CORRUPT`. */
  read(bytes: Uint8Array, at: number, end: number): number {
    const number = this.#number
    try {
      let next = number.read(bytes, at, end)
      this.page = number.value
      if (next === 0 || this.page === 0) return next
      next = number.read(bytes, next, end)
      this.offset = number.value
      if (next === 0) return 0
      next = number.read(bytes, next, end)
      this.size = number.value
      return next
    } catch (error) {
      throw corrupt(`page index: ${(error as Error).message}`)
    }
  }
}
