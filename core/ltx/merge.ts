import { LtxDecoder } from './decoder.js'
import { LtxEncoder } from './encoder.js'
import { LtxError } from './errors.js'
import { type ChecksumMode, isSnapshot, type LtxHeader } from './header.js'

/** The bytes of an LTX file, in pieces of any size. A piece may be reused by its source once the next is asked for. */
export type LtxSource = AsyncIterable<Uint8Array> | Iterable<Uint8Array>

/** A file being read page by page. Only crossing from one piece to the next is asynchronous. */
class Cursor {
  readonly decoder = new LtxDecoder()
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

function joined(headers: LtxHeader[], options: MergeOptions): LtxHeader {
  const usage = (message: string) => new LtxError('LTX_USAGE', `cannot merge: ${message}`)
  if (headers.length === 0) throw usage('no files')
  const [first, last] = [headers[0], headers[headers.length - 1]]
  for (let i = 1; i < headers.length; i++) {
    const [a, b] = [headers[i - 1], headers[i]]
    if (a.pageSize !== b.pageSize) throw usage(`pages of ${a.pageSize} and of ${b.pageSize} bytes`)
    if (b.minTxid > a.maxTxid + 1) throw usage(`nothing holds transactions ${a.maxTxid + 1} to ${b.minTxid - 1}`)
    if (b.maxTxid <= a.maxTxid) throw usage(`transaction ${b.maxTxid} comes after ${a.maxTxid}`)
    const meet = b.minTxid === a.maxTxid + 1 && a.post !== 0n && b.pre !== 0n
    if (meet && a.post !== b.pre) throw usage(`transaction ${b.minTxid} does not continue ${a.maxTxid}`)
  }
  const checksums = options.checksums ?? last.checksums
  const post = last.post || (options.post ?? 0n)
  const merged: LtxHeader = {
    ...last,
    minTxid: first.minTxid,
    checksums,
    pre: checksums === 'portable' && post === 0n ? 0n : first.pre,
    post,
    nodeId: 0n,
  }
  if (headers.length > 1) Object.assign(merged, { walOffset: 0, walSize: 0, walSalt1: 0, walSalt2: 0 })
  return merged
}

/**
 * Merges files that continue each other into one: of each page the newest version, without pages beyond the final size.
 * Memory: one piece per input. All inputs are read to their ends and verified before the result is closed.
 *
 * @param sources oldest first; overlaps are fine, gaps are not
 * @param write gets the bytes of the result; they are valid only during the call
 * @returns the header of the result. Errors: {@link LtxError} `LTX_USAGE` for files that do not go together, and
 * everything the decoder throws.
 */
export async function mergeLtx(
  sources: Iterable<LtxSource>,
  write: (bytes: Uint8Array) => void,
  options: MergeOptions = {},
): Promise<LtxHeader> {
  const cursors = [...sources].map((source, age) => new Cursor(source, age))
  try {
    const headers: LtxHeader[] = []
    for (const cursor of cursors) headers.push(await cursor.readHeader())
    const header = joined(headers, options)
    const encoder = new LtxEncoder(write)
    encoder.begin(header)

    const queue = new Queue()
    for (const cursor of cursors) if (await advance(cursor, options)) queue.add(cursor)
    let written = 0
    for (let cursor = queue.first; cursor; cursor = queue.first) {
      const { decoder } = cursor
      if (decoder.page !== written && decoder.page <= header.commit) {
        written = decoder.page
        encoder.page(written, decoder.data)
      }
      const step = decoder.next()
      if (step === 'page' || (step === 'more' && (await advance(cursor, options)))) queue.settle()
      else queue.drop()
    }
    const newest = cursors[cursors.length - 1].decoder.header
    if (header.post === 0n) header.post = newest.post
    checkResult(header, newest)
    encoder.end(header.post)
    return header
  } finally {
    for (const cursor of cursors) await cursor.close()
  }
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

/** What the newest file's trailer says must be what the merged header was given. */
function checkResult(header: LtxHeader, newest: LtxHeader): void {
  if (newest.post !== 0n && newest.post !== header.post) {
    throw new LtxError('LTX_CHECKSUM', 'the newest file ends in another database checksum than was announced')
  }
  if (isSnapshot(header) && header.checksums === 'tracked' && header.post === 0n) {
    throw new LtxError('LTX_USAGE', 'a tracked result needs the checksum after the newest file')
  }
}
