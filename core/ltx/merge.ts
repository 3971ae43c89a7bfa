import { LtxDecoder } from './decoder.js'
import { LtxEncoder } from './encoder.js'
import { LtxError } from './errors.js'
import { type ChecksumMode, type LtxHeader } from './header.js'
import { lockPage } from './layout.js'

/** The bytes of an LTX file, in pieces of any size. A piece may be reused by its source once the next is asked for. */
export type LtxSource = AsyncIterable<Uint8Array> | Iterable<Uint8Array>

/** A file being read page by page. Only crossing from one piece to the next is asynchronous. */
class Cursor {
  readonly decoder = new LtxDecoder()
  /** Pages beyond this are void: a newer file made the database so small in between. */
  limit = Infinity
  readonly #pieces: AsyncIterator<Uint8Array> | Iterator<Uint8Array>

  /** @param age 0 for the oldest of the files */
  constructor(
    source: LtxSource,
    readonly age: number,
  ) {
    this.#pieces = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]()
  }

  async feed(): Promise<void> {
    const piece = await this.#pieces.next()
    if (piece.done) this.decoder.finish()
    else this.decoder.push(piece.value)
  }

  async readHeader(): Promise<LtxHeader> {
    while (this.decoder.next() === 'more') await this.feed()
    return this.decoder.header
  }

  async close(): Promise<void> {
    await this.#pieces.return?.()
  }
}

/** Cursors ordered by page, and by age, newest first, where they are at the same page: a binary heap. */
class Queue {
  readonly #heap: Cursor[] = []

  get first(): Cursor | undefined {
    return this.#heap[0]
  }

  add(cursor: Cursor): void {
    let i = this.#heap.push(cursor) - 1
    while (i > 0) {
      const parent = (i - 1) >> 1
      if (!this.#before(i, parent)) break
      this.#swap(i, parent)
      i = parent
    }
  }

  /** Puts the first cursor, whose page has changed, where it belongs now. */
  settle(): void {
    let i = 0
    for (;;) {
      const left = 2 * i + 1
      const right = left + 1
      let least = i
      if (left < this.#heap.length && this.#before(left, least)) least = left
      if (right < this.#heap.length && this.#before(right, least)) least = right
      if (least === i) return
      this.#swap(i, least)
      i = least
    }
  }

  drop(): void {
    const last = this.#heap.pop()
    if (!last || this.#heap.length === 0) return
    this.#heap[0] = last
    this.settle()
  }

  #before(i: number, j: number): boolean {
    const [a, b] = [this.#heap[i], this.#heap[j]]
    return a.decoder.page < b.decoder.page || (a.decoder.page === b.decoder.page && a.age > b.age)
  }

  #swap(i: number, j: number): void {
    const kept = this.#heap[i]
    this.#heap[i] = this.#heap[j]!
    this.#heap[j] = kept
  }
}

export interface MergeOptions {
  /** How the result carries its checksums. Default: as the newest input does. */
  checksums?: ChecksumMode
  /** Database checksum after the newest input, where only its trailer has it and the result is to be portable. */
  post?: bigint
  /** Called between pieces, so that the caller can write out what it has been given, or stop the merge by throwing. */
  drain?: () => Promise<void> | void
}

function usage(message: string): LtxError {
  return new LtxError('LTX_USAGE', `cannot merge: ${message}`)
}

function joined(headers: LtxHeader[], options: MergeOptions): LtxHeader {
  if (headers.length === 0) throw usage('no files')
  const [first, last] = [headers[0], headers[headers.length - 1]]
  for (let i = 1; i < headers.length; i++) {
    const [a, b] = [headers[i - 1], headers[i]]
    if (a.pageSize !== b.pageSize) throw usage(`pages of ${a.pageSize} and of ${b.pageSize} bytes`)
    if (b.minTxid > a.maxTxid + 1) throw usage(`nothing holds transactions ${a.maxTxid + 1} to ${b.minTxid - 1}`)
    if (b.maxTxid <= a.maxTxid) throw usage(`transaction ${b.maxTxid} comes after ${a.maxTxid}`)
    checkChain(a, b)
  }
  const checksums = options.checksums ?? last.checksums
  const post = last.post || (options.post ?? 0n)
  const merged: LtxHeader = {
    ...last,
    minTxid: first.minTxid,
    checksums,
    pre: checksums === 'portable' && post === 0n ? 0n : first.pre,
    post,
  }
  const several = { walOffset: 0, walSize: 0, walSalt1: 0, walSalt2: 0, nodeId: 0n }
  return headers.length > 1 ? { ...merged, ...several } : merged
}

/** Where one file begins right after another, the database must be what that one left, if both say so. */
function checkChain(a: LtxHeader, b: LtxHeader): void {
  const meet = b.minTxid === a.maxTxid + 1 && a.post !== 0n && b.pre !== 0n
  if (meet && a.post !== b.pre) throw usage(`transaction ${b.minTxid} does not continue ${a.maxTxid}`)
}

/**
 * More pages than this that came back and that nobody wrote are no database's work, but a header's that says a size out
 * of the air: there would be no end to the zeros.
 */
const MOST_ZEROED = 65_536

/** How many pages to write, at most, without giving the caller a chance to write them out. */
const FILL_RUN = 1024

/**
 * What applying the files one after the other would leave, written as one file. Of each page that is its newest
 * version; of what a shrink had cut off nothing, even if the database grew again: a page that came back and that no
 * later file holds is all zeros then. (SQLite itself writes every page by which a database grows.)
 */
class Result {
  readonly #encoder: LtxEncoder
  readonly #lockPage: number
  readonly #zeros: Uint8Array
  #last = 0
  #zeroed = 0

  /** @param smallest size of the database, in pages, when it was smallest */
  constructor(
    write: (bytes: Uint8Array) => void,
    readonly header: LtxHeader,
    readonly smallest: number,
    readonly drain: MergeOptions['drain'],
  ) {
    this.#encoder = new LtxEncoder(write)
    this.#encoder.begin(header)
    this.#lockPage = lockPage(header.pageSize)
    this.#zeros = new Uint8Array(header.pageSize)
  }

  /** Whether pages up to `page` have to be zeroed first. */
  gapBefore(page: number): boolean {
    return page > Math.max(this.#last, this.smallest) + 1
  }

  async fill(end: number): Promise<void> {
    this.#zeroed += end - Math.max(this.#last, this.smallest) - 1
    if (this.#zeroed > MOST_ZEROED) throw new LtxError('LTX_CORRUPT', `${this.#zeroed} pages that no file holds`)
    for (let page = Math.max(this.#last, this.smallest) + 1; page < end; page++) {
      if (page !== this.#lockPage) this.page(page, this.#zeros)
      if (page % FILL_RUN === 0) await this.drain?.()
    }
  }

  /** Takes a page, if it is the newest version: those come first. */
  page(page: number, data: Uint8Array): void {
    if (page === this.#last) return
    this.#encoder.page(page, data)
    this.#last = page
  }

  async end(post: bigint | undefined): Promise<void> {
    if (this.gapBefore(this.header.commit + 1)) await this.fill(this.header.commit + 1)
    const steps = this.#encoder.ending(post)
    while (!steps.next().done) await this.drain?.()
  }
}

/**
 * Merges files that continue each other into one: of each page the newest version, without pages beyond the final size.
 * Memory: one piece per input. All inputs are read to their ends and verified before the result is closed.
 *
 * @param sources oldest first; overlaps are fine, gaps are not
 * @param write gets the bytes of the result; they are valid only during the call
 * @returns the header of the result, as a decoder would give it. Errors: {@link LtxError} `LTX_USAGE` for files that
 * do not go together, and everything the decoder throws.
 */
export async function mergeLtx(
  sources: Iterable<LtxSource>,
  write: (bytes: Uint8Array) => void,
  options: MergeOptions = {},
): Promise<LtxHeader> {
  const cursors = [...sources].map((source, age) => new Cursor(source, age))
  try {
    return await mergeCursors(cursors, write, options)
  } finally {
    // One source that cannot be closed must neither keep the others open nor hide what went wrong before.
    await Promise.allSettled(cursors.map((cursor) => cursor.close()))
  }
}

async function mergeCursors(
  cursors: Cursor[],
  write: (bytes: Uint8Array) => void,
  options: MergeOptions,
): Promise<LtxHeader> {
  const headers: LtxHeader[] = []
  for (const cursor of cursors) headers.push(await cursor.readHeader())
  const header = joined(headers, options)
  let smallest = header.commit
  for (let i = cursors.length - 1; i >= 0; i--) {
    cursors[i].limit = smallest
    smallest = Math.min(smallest, headers[i].commit)
  }
  const result = new Result(write, header, smallest, options.drain)

  const queue = new Queue()
  for (const cursor of cursors) if (await advance(cursor, options)) queue.add(cursor)
  for (let cursor = queue.first; cursor; cursor = queue.first) {
    const { decoder } = cursor
    if (decoder.page <= cursor.limit) {
      if (result.gapBefore(decoder.page)) await result.fill(decoder.page)
      result.page(decoder.page, decoder.data)
    }
    const step = decoder.next()
    if (step === 'page' || (step === 'more' && (await advance(cursor, options)))) queue.settle()
    else queue.drop()
  }

  for (let i = 1; i < headers.length; i++) checkChain(headers[i - 1], headers[i])
  const { post } = headers[headers.length - 1]
  if (post !== 0n && header.post !== 0n && post !== header.post) {
    throw new LtxError('LTX_CHECKSUM', 'the newest file ends in another database checksum than was announced')
  }
  if (header.checksums === 'tracked') header.post ||= post
  await result.end(header.post)
  return header
}

/** Goes on to a cursor's next page, fetching as it must; false at the end of its file. */
async function advance(cursor: Cursor, options: MergeOptions): Promise<boolean> {
  for (;;) {
    const step = cursor.decoder.next()
    if (step === 'page') return true
    if (step === 'end') return false
    await options.drain?.()
    await cursor.feed()
  }
}
