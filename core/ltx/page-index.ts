import { LtxError } from './errors.js'
import { HEADER_SIZE, INDEX_SIZE_FIELD, lockPage, PAGE_HEADER_SIZE, TRAILER_SIZE } from './layout.js'
import { MAX_VARINT, VarintReader, writeVarint } from './varint.js'

const CHUNK = 64 * 1024

/**
 * The page index of a file in the making. Kept as differences (about three bytes a page), because a snapshot of a
 * large database has an entry for every page of it.
 */
export class IndexBuilder {
  #chunks: Uint8Array[] = []
  #used = CHUNK
  #lastPage = 0

  /** Adds the next page and the size of its frame, header included, in bytes. */
  add(page: number, frameSize: number): void {
    if (this.#used + 2 * MAX_VARINT > CHUNK) {
      this.#chunks.push(new Uint8Array(CHUNK))
      this.#used = 0
    }
    const chunk = this.#chunks[this.#chunks.length - 1]
    const next = writeVarint(page - this.#lastPage, chunk, this.#used)
    this.#used = writeVarint(frameSize, chunk, next)
    this.#lastPage = page
  }

  /** Writes the index as it stands in a file: entries, the ending zero, and their size in eight bytes. */
  write(out: (bytes: Uint8Array) => void): void {
    const buffer = new Uint8Array(4096)
    const number = new VarintReader()
    let [page, offset, size, used, pending] = [0, HEADER_SIZE, 0, 0, -1]
    const flush = () => {
      out(buffer.subarray(0, used))
      size += used
      used = 0
    }
    this.#chunks.forEach((chunk, i) => {
      const end = i === this.#chunks.length - 1 ? this.#used : CHUNK
      for (let at = 0; at < end; at++) {
        // A zero difference cannot be: what is left of a chunk that had no room for one more entry.
        if (pending < 0 && !number.partial && chunk[at] === 0) break
        if (!number.push(chunk[at])) continue
        if (pending < 0) {
          pending = number.value
          continue
        }
        page += pending
        pending = -1
        used = writeVarint(page, buffer, used)
        used = writeVarint(offset, buffer, used)
        used = writeVarint(number.value, buffer, used)
        offset += number.value
        if (used + 3 * MAX_VARINT > buffer.length) flush()
      }
    })
    buffer[used++] = 0
    flush()
    new DataView(buffer.buffer).setBigUint64(0, BigInt(size))
    out(buffer.subarray(0, INDEX_SIZE_FIELD))
  }
}

/**
 * Checks entries of an index one after the other: pages ascend and lie in the database, frames follow each other
 * without overlap. What was seen is folded into a fingerprint, to compare an index with the pages actually there.
 */
export class IndexChecker {
  count = 0
  #a = 0
  #b = 0
  #lastPage = 0
  #nextOffset = HEADER_SIZE
  readonly #lockPage: number

  constructor(
    readonly commit: number,
    pageSize: number,
  ) {
    this.#lockPage = lockPage(pageSize)
  }

  /** Takes the next entry. Errors: {@link LtxError} `LTX_CORRUPT`. */
  add(page: number, offset: number, size: number): void {
    const corrupt = (message: string) => new LtxError('LTX_CORRUPT', message)
    if (page <= this.#lastPage) throw corrupt(`page ${page} comes after page ${this.#lastPage}`)
    if (page > this.commit) throw corrupt(`page ${page} of a database of ${this.commit} pages`)
    if (page === this.#lockPage) throw corrupt(`page ${page} is the lock page`)
    if (offset < this.#nextOffset || size <= PAGE_HEADER_SIZE) throw corrupt(`page ${page} lies at an impossible place`)
    this.#lastPage = page
    this.#nextOffset = offset + size
    this.count++
    this.#a = Math.imul(this.#a ^ page, 0x01000193) ^ offset
    this.#b = Math.imul(this.#b ^ size, 0x5bd1e995) + offset / 0x100000000 + page
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
    throw new LtxError('LTX_CORRUPT', `page index of ${size} bytes in a file of ${fileSize}`)
  }
  return size + need
}

/**
 * Reads the entries of a page index from the bytes that {@link indexLength} names, and checks each.
 * Errors: {@link LtxError} `LTX_CORRUPT`.
 */
export function* readIndex(
  bytes: Uint8Array,
  database: { commit: number; pageSize: number },
): Generator<IndexEntry, void, void> {
  const checker = new IndexChecker(database.commit, database.pageSize)
  const number = new VarintReader()
  const entry: number[] = []
  const end = bytes.length - INDEX_SIZE_FIELD - TRAILER_SIZE
  for (let at = 0; at < end; at++) {
    if (!pushVarint(number, bytes[at])) continue
    entry.push(number.value)
    if (entry[0] === 0) {
      if (at !== end - 1) throw new LtxError('LTX_CORRUPT', 'the page index ends before its stated size')
      return
    }
    if (entry.length < 3) continue
    const [page, offset, size] = entry.splice(0) as [number, number, number]
    checker.add(page, offset, size)
    yield { page, offset, size }
  }
  throw new LtxError('LTX_CORRUPT', 'the page index does not end')
}

/** {@link VarintReader.push} with its errors as {@link LtxError}. */
export function pushVarint(number: VarintReader, byte: number): boolean {
  try {
    return number.push(byte)
  } catch (error) {
    throw new LtxError('LTX_CORRUPT', `page index: ${(error as Error).message}`)
  }
}
