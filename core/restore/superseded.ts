import type { StoredFile } from '../inventory.js'
import { LtxError } from '../ltx/errors.js'
import { type LtxHeader, readHeader, readTrailer, withPost } from '../ltx/header.js'
import { HEADER_SIZE, TRAILER_SIZE } from '../ltx/layout.js'
import { indexLength, readIndex } from '../ltx/page-index.js'
import type { Remote } from '../remote.js'
import { collect } from '../storage/collect.js'
import { checkIdentity } from './read-file.js'

/** Files smaller than this, in bytes, are read whole: to ask for their index costs as much as it could save. */
const LEAST_SIZE = 512 * 1024
/** Bytes that have to be saved over the whole plan for it to be worth the requests. */
const LEAST_SAVING = 4 * 1024 * 1024
/** A file is read whole if more than this share of it is needed: then its own checksum proves it as well. */
const MOST_NEEDED = 0.75
/** Bytes that are brought along between two spans that are needed: one request more costs as much. */
const GAP = 128 * 1024
/** Bytes of the end of a file that are asked for at once: its index is there, of most files all of it. */
const TAIL = 128 * 1024
/** Files whose ends are asked for at a time. */
const AT_A_TIME = 4

/** A span of a file in bytes. */
export interface Span {
  readonly start: number
  readonly end: number
}

/** What a restore needs of a file of which newer files hold most pages. */
export interface NeededParts {
  readonly header: LtxHeader
  /** The header as it lies there. */
  readonly head: Uint8Array
  /** Frames of the pages that are needed, neighbouring ones in one span, in the order of the file. */
  readonly frames: readonly Span[]
  /** How many pages these are. */
  readonly pages: number
  /** What to ask storage for. */
  readonly ranges: readonly Span[]
}

/** The pages of a file, from its index. */
interface Index {
  readonly header: LtxHeader
  readonly head: Uint8Array
  readonly bytes: Uint8Array
}

/**
 * Finds the files of a plan of which most is superseded by newer files of it: of those it is enough to read the pages
 * that no newer one holds. A page index says which they are. What is not read whole is not proved by a checksum of its
 * own: only the database checksum at the end proves it, so that nothing is found where none is recorded.
 *
 * Whatever cannot be read, or is not what it should be, is left out, and is heard of when the file is read whole.
 */
export async function findSuperseded(
  remote: Remote,
  plan: readonly StoredFile[],
  signal?: AbortSignal,
): Promise<ReadonlyMap<StoredFile, NeededParts>> {
  const needed = new Map<StoredFile, NeededParts>()
  const files = worthwhile(plan)
  const held = new PageBits()
  // Every page takes some bytes, wherever it is: a header that says more must not make us keep room for it.
  const mostPages = plan.reduce((sum, { size }) => sum + size, 0)
  // The newest first: what it holds is needed of no other.
  for (let i = files.length; i > 0; i -= AT_A_TIME) {
    const some = files.slice(Math.max(0, i - AT_A_TIME), i).reverse()
    const indexes = await Promise.all(some.map((file) => readEnds(remote, file, signal)))
    for (const [at, index] of indexes.entries()) {
      // Without a checksum to hold the result against, everything is read.
      if (index?.header.post === 0n) return new Map()
      const parts = index && index.header.commit <= mostPages && partsOf(some[at], index, held)
      if (parts) needed.set(some[at], parts)
    }
  }
  return needed
}

/** The files to ask for their index, oldest first; none if too little can be saved by it. */
function worthwhile(plan: readonly StoredFile[]): StoredFile[] {
  const large = plan.filter(({ size }) => size >= LEAST_SIZE)
  const total = large.reduce((sum, { size }) => sum + size, 0)
  let newer = total
  let saving = 0
  const from = large.findIndex(({ size }) => {
    newer -= size
    return newer >= size / 4
  })
  if (from < 0) return []
  for (let i = large.length - 1, behind = 0; i >= from; i--) {
    saving += Math.min(large[i].size, behind)
    behind += large[i].size
  }
  return saving >= LEAST_SAVING ? large.slice(from) : []
}

async function readEnds(remote: Remote, file: StoredFile, signal: AbortSignal | undefined): Promise<Index | undefined> {
  try {
    const from = Math.max(HEADER_SIZE, file.size - TAIL)
    const [start, tail] = await Promise.all([
      remote.start(file, HEADER_SIZE, signal),
      spanOf(remote, file, { start: from, end: file.size }, signal),
    ])
    if (start.facts.codecs.length > 0) return undefined
    const header = readHeader(start.bytes)
    checkIdentity(header, file)
    const { post } = readTrailer(tail.subarray(tail.length - TRAILER_SIZE), header)
    const length = indexLength(tail, file.size)
    const missing = length - tail.length
    const bytes =
      missing > 0
        ? Buffer.concat([await spanOf(remote, file, { start: from - missing, end: from }, signal), tail])
        : tail.subarray(-missing)
    return { header: withPost(header, post), head: start.bytes, bytes }
  } catch (error) {
    if (error instanceof LtxError) return undefined
    throw error
  }
}

async function spanOf(
  remote: Remote,
  file: StoredFile,
  span: Span,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const size = span.end - span.start
  const bytes = await collect(remote.raw(file, span, signal), size)
  if (bytes.length !== size) throw new LtxError('LTX_TRUNCATED', 'it is shorter than it was listed')
  return bytes
}

/** What is needed of a file; its pages are held from now on. `undefined` if that is most of it, or it is not sound. */
function partsOf(file: StoredFile, { header, head, bytes }: Index, held: PageBits): NeededParts | undefined {
  const { commit, pageSize } = header
  const frames: Array<{ start: number; end: number }> = []
  const own: number[] = []
  let needed = 0
  try {
    for (const { page, offset, size } of readIndex(bytes, { commit, pageSize, fileSize: file.size })) {
      if (held.has(page)) continue
      own.push(page)
      needed += size
      const last = frames.at(-1)
      if (last?.end === offset) last.end += size
      else frames.push({ start: offset, end: offset + size })
    }
  } catch (error) {
    if (error instanceof LtxError) return undefined
    throw error
  }
  for (const page of own) held.add(page)
  if (needed > MOST_NEEDED * file.size) return undefined
  return { header, head, frames, pages: own.length, ranges: joined(frames) }
}

/** Spans that lie close to each other in one. */
function joined(spans: readonly Span[]): Span[] {
  const ranges: Array<{ start: number; end: number }> = []
  for (const { start, end } of spans) {
    const last = ranges.at(-1)
    if (last && start - last.end <= GAP) last.end = end
    else ranges.push({ start, end })
  }
  return ranges
}

/** A bit for each page that was seen. */
class PageBits {
  #words = new Uint32Array(1024)

  has(page: number): boolean {
    return ((this.#words[page >>> 5] ?? 0) & (1 << (page & 31))) !== 0
  }

  add(page: number): void {
    if (page >>> 5 >= this.#words.length) {
      const more = new Uint32Array(2 * (page >>> 5))
      more.set(this.#words)
      this.#words = more
    }
    this.#words[page >>> 5] |= 1 << (page & 31)
  }
}
