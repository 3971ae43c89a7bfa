import { checksumWords, compress, Crc64, frameArea, hold } from '../kernel/kernel.js'
import { DatabaseChecksum } from './checksum.js'
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
import { IndexBuilder } from './page-index.js'

const FRAME_HEAD = PAGE_HEADER_SIZE + PAGE_SIZE_FIELD

// A page's frame is put together in the kernel's memory and handed out from there, so that an encoder has no buffers
// of its own: most files hold few pages, and thousands of them are written.
const frameHead = frameArea.subarray(0, FRAME_HEAD)
const frameView = new DataView(frameArea.buffer, frameArea.byteOffset, FRAME_HEAD)
const header = frameArea.subarray(0, HEADER_SIZE)
const noPage = new Uint8Array(PAGE_HEADER_SIZE)

/**
 * Writes one LTX file: `begin`, then `page` for each page in ascending order, then `end`. Calls out of order and
 * impossible arguments throw `LTX_USAGE`, pages of a snapshot that do not have the database checksum its header
 * announces `LTX_CHECKSUM`; after any error the encoder refuses everything: half a file never looks whole.
 *
 * @param write gets the bytes of the file in order; they are valid only during the call
 */
export class LtxEncoder {
  #state: 'header' | 'pages' | 'closed' | 'failed' = 'header'
  #header!: LtxHeader
  #lastPage = 0
  #lockPage = 0
  #size = 0
  #summing = false
  /** The page checksum of the page that was added last, its high and its low word. */
  high = 0
  low = 0
  readonly #sum = new DatabaseChecksum()
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
  begin(fields: LtxHeader): void {
    this.#enter('header')
    asUsage(() => writeHeader(fields, header))
    this.#header = { ...fields }
    this.#lockPage = lockPage(fields.pageSize)
    this.#summing = isSnapshot(fields) && (fields.checksums === 'tracked' || fields.post !== 0n)
    this.#hashed(header)
    this.#state = 'pages'
  }

  /** Adds a page. Pages ascend; a snapshot holds all of them; the lock page is never stored. */
  page(page: number, data: Uint8Array): void {
    this.#enter('pages')
    this.#checkPage(page, data)
    const held = hold(data)
    const size = compress(held, FRAME_HEAD)
    frameView.setUint32(0, page)
    frameView.setUint16(4, PAGE_FLAG_SIZE)
    frameView.setUint32(PAGE_HEADER_SIZE, size)
    this.#crc.update(frameHead)
    this.#crc.updatePage(page, held)
    this.high = checksumWords[0]
    this.low = checksumWords[1]
    if (this.#summing) this.#sum.toggle(this.high, this.low)
    this.#emit(frameArea.subarray(0, FRAME_HEAD + size))
    this.#index.add(page, FRAME_HEAD + size)
    this.#lastPage = page
    this.#state = 'pages'
  }

  /**
   * Ends the file.
   *
   * @param post database checksum after the file; only for a tracked file, if the header did not have it
   */
  end(post?: bigint): LtxTrailer {
    const steps = this.ending(post)
    for (;;) {
      const step = steps.next()
      if (step.done) return step.value
    }
  }

  /**
   * Ends the file as {@link end} does, in steps, between which what was written can be taken away: the page index of a
   * large database is megabytes. The file is whole when this has come to its end; nothing else is taken meanwhile.
   */
  *ending(post?: bigint): Generator<undefined, LtxTrailer, void> {
    this.#enter('pages')
    if (isSnapshot(this.#header) && this.#next() <= this.#header.commit) {
      throw new LtxError('LTX_USAGE', `a snapshot of ${this.#header.commit} pages ends after page ${this.#lastPage}`)
    }
    const trailer = { post: this.#postFor(post), fileChecksum: CHECKSUM_FLAG }
    asUsage(() => checkTrailer(trailer, this.#header))
    this.#hashed(noPage)
    for (const piece of this.#index.pieces()) {
      this.#hashed(piece)
      yield
    }
    const bytes = new Uint8Array(TRAILER_SIZE)
    const view = new DataView(bytes.buffer)
    view.setBigUint64(0, trailer.post)
    this.#crc.update(bytes.subarray(0, 8))
    trailer.fileChecksum |= this.#crc.digest()
    view.setBigUint64(8, trailer.fileChecksum)
    this.#emit(bytes)
    this.#state = 'closed'
    return trailer
  }

  /** The trailer's database checksum: as announced, as given now, and as the pages say, where each is known. */
  #postFor(given: bigint | undefined): bigint {
    const { checksums, post: announced } = this.#header
    const post = given ?? announced
    if (post !== announced && (checksums === 'portable' || announced !== 0n)) {
      throw new LtxError('LTX_USAGE', 'the database checksum after the file is not the one its header announced')
    }
    if (this.#summing && post !== this.#sum.value) {
      throw new LtxError('LTX_CHECKSUM', 'the pages of the snapshot do not have the database checksum it states')
    }
    return checksums === 'tracked' ? post : 0n
  }

  /** The page a snapshot has to go on with. */
  #next(): number {
    return this.#lastPage + 1 === this.#lockPage ? this.#lastPage + 2 : this.#lastPage + 1
  }

  #checkPage(page: number, data: Uint8Array): void {
    const usage = (message: string) => new LtxError('LTX_USAGE', message)
    const { commit, pageSize } = this.#header
    if (data.length !== pageSize) throw usage(`page of ${data.length} bytes in a file of ${pageSize}-byte pages`)
    if (!Number.isInteger(page) || page > commit || page < 1) {
      throw usage(`page ${page} of a database of ${commit} pages`)
    }
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

/** What would be damage in a file that is read is a mistake of the caller in one that is written. */
function asUsage(work: () => void): void {
  try {
    work()
  } catch (error) {
    throw error instanceof LtxError ? new LtxError('LTX_USAGE', error.message) : error
  }
}
