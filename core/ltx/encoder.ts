import { Crc64 } from '../kernel/kernel.js'
import { LtxError } from './errors.js'
import { checkTrailer, isSnapshot, type LtxHeader, type LtxTrailer, writeHeader } from './header.js'
import {
  CHECKSUM_FLAG,
  HEADER_SIZE,
  lockPage,
  PAGE_FLAG_SIZE,
  PAGE_HEADER_SIZE,
  PAGE_SIZE_FIELD,
  TRAILER_SIZE,
} from './layout.js'
import { blockBound, compressBlock } from './lz4.js'
import { IndexBuilder } from './page-index.js'

const FRAME_HEAD = PAGE_HEADER_SIZE + PAGE_SIZE_FIELD

/**
 * Writes one LTX file: `begin`, then `page` for each page in ascending order, then `end`. Calls out of order throw
 * `LTX_USAGE`, and after any error the encoder refuses everything: half a file never looks whole.
 *
 * @param write gets the bytes of the file in order; they are valid only during the call
 */
export class LtxEncoder {
  #state: 'header' | 'pages' | 'closed' | 'failed' = 'header'
  #header!: LtxHeader
  #frame!: Uint8Array
  #frameHead!: Uint8Array
  #frameView!: DataView
  #lastPage = 0
  #lockPage = 0
  #size = 0
  readonly #index = new IndexBuilder()
  readonly #crc = new Crc64()
  readonly #write: (bytes: Uint8Array) => void

  constructor(write: (bytes: Uint8Array) => void) {
    this.#write = write
  }

  /** Bytes written so far. */
  get size(): number {
    return this.#size
  }

  /** Writes the header. In a tracked file `header.post` may be left 0 and given to {@link end}. */
  begin(header: LtxHeader): void {
    this.#enter('header')
    const bytes = new Uint8Array(HEADER_SIZE)
    writeHeader(header, bytes)
    this.#header = { ...header }
    this.#lockPage = lockPage(header.pageSize)
    this.#frame = new Uint8Array(FRAME_HEAD + blockBound(header.pageSize))
    this.#frameHead = this.#frame.subarray(0, FRAME_HEAD)
    this.#frameView = new DataView(this.#frame.buffer)
    this.#hashed(bytes)
    this.#state = 'pages'
  }

  /** Adds a page. Pages ascend; a snapshot holds all of them; the lock page is never stored. */
  page(page: number, data: Uint8Array): void {
    this.#enter('pages')
    this.#checkPage(page, data)
    const size = compressBlock(data, this.#frame, FRAME_HEAD)
    this.#frameView.setUint32(0, page)
    this.#frameView.setUint16(4, PAGE_FLAG_SIZE)
    this.#frameView.setUint32(PAGE_HEADER_SIZE, size)
    this.#crc.update(this.#frameHead)
    this.#crc.update(data)
    this.#emit(this.#frame.subarray(0, FRAME_HEAD + size))
    this.#index.add(page, FRAME_HEAD + size)
    this.#lastPage = page
    this.#state = 'pages'
  }

  /**
   * Ends the file.
   *
   * @param post database checksum after the file; only for a tracked file, if the header did not have it
   */
  end(post: bigint = this.#header.post): LtxTrailer {
    this.#enter('pages')
    const { checksums, commit } = this.#header
    if (isSnapshot(this.#header) && this.#next() <= commit) {
      throw new LtxError('LTX_USAGE', `a snapshot of ${commit} pages ends after page ${this.#lastPage}`)
    }
    this.#hashed(new Uint8Array(PAGE_HEADER_SIZE))
    this.#index.write((bytes) => this.#hashed(bytes))
    const bytes = new Uint8Array(TRAILER_SIZE)
    const view = new DataView(bytes.buffer)
    view.setBigUint64(0, checksums === 'tracked' ? post : 0n)
    this.#crc.update(bytes.subarray(0, 8))
    const trailer = { post: view.getBigUint64(0), fileChecksum: this.#crc.digest() | CHECKSUM_FLAG }
    checkTrailer(trailer, this.#header)
    view.setBigUint64(8, trailer.fileChecksum)
    this.#emit(bytes)
    this.#state = 'closed'
    return trailer
  }

  /** The page a snapshot has to go on with. */
  #next(): number {
    return this.#lastPage + 1 === this.#lockPage ? this.#lastPage + 2 : this.#lastPage + 1
  }

  #checkPage(page: number, data: Uint8Array): void {
    const usage = (message: string) => new LtxError('LTX_USAGE', message)
    const { commit, pageSize } = this.#header
    if (data.length !== pageSize) throw usage(`page of ${data.length} bytes in a file of ${pageSize}-byte pages`)
    if (page > commit || page < 1) throw usage(`page ${page} of a database of ${commit} pages`)
    if (page === this.#lockPage) throw usage(`page ${page} is the lock page`)
    if (isSnapshot(this.#header)) {
      if (page !== this.#next()) throw usage(`a snapshot goes on with page ${this.#next()}, not ${page}`)
    } else if (page <= this.#lastPage) {
      throw usage(`page ${page} comes after page ${this.#lastPage}`)
    }
  }

  /** Writes bytes that are hashed as they stand. */
  #hashed(bytes: Uint8Array): void {
    this.#crc.update(bytes)
    this.#emit(bytes)
  }

  #emit(bytes: Uint8Array): void {
    this.#size += bytes.length
    this.#write(bytes)
  }

  /** Checks the order of calls. Until the call has come to its end the encoder counts as failed. */
  #enter(expected: 'header' | 'pages'): void {
    if (this.#state !== expected) throw new LtxError('LTX_USAGE', `the encoder is ${this.#state}, not at ${expected}`)
    this.#state = 'failed'
  }
}
