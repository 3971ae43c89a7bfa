import { DatabaseChecksum } from '../ltx/checksum.js'

/**
 * Entries a chunk; a chunk is 512 KiB. Growing by chunks never copies what is there. Only the first one begins as a single
 * block and is doubled: whoever follows hundreds of databases mostly follows small ones.
 */
const CHUNK_ENTRIES = 65536
const CHUNK_SHIFT = 16

/** Entries that are saved together: a block of 4 KiB. */
const BLOCK_ENTRIES = 512

/** Unchanged blocks between two changed ones that are saved with them. */
const SPARED_BLOCKS = 8

/**
 * The checksum of every page of a database at one transaction: eight bytes a page, and with them the checksum of the
 * whole database at the price of the changed pages.
 *
 * In memory only; {@link PageChecksumFile} keeps it on disk. Blocks that changed since they were last saved are noted.
 */
export class PageChecksums {
  readonly pageSize: number
  readonly #chunks: Uint32Array[] = []
  readonly #sum = new DatabaseChecksum()
  #dirty = new Uint8Array(0)
  #commit = 0

  constructor(pageSize: number) {
    this.pageSize = pageSize
  }

  /** Size of the database in pages. */
  get commit(): number {
    return this.#commit
  }

  /** Checksum of the whole database. */
  get checksum(): bigint {
    return this.#sum.value
  }

  /** High word of a page's checksum; 0 for a page that is not there. */
  high(page: number): number {
    return page > this.#commit ? 0 : this.#chunks[(page - 1) >>> CHUNK_SHIFT][((page - 1) % CHUNK_ENTRIES) * 2]
  }

  low(page: number): number {
    return page > this.#commit ? 0 : this.#chunks[(page - 1) >>> CHUNK_SHIFT][((page - 1) % CHUNK_ENTRIES) * 2 + 1]
  }

  /** Whether a page is there with exactly that checksum. */
  matches(page: number, high: number, low: number): boolean {
    return this.high(page) === high >>> 0 && this.low(page) === low >>> 0
  }

  /** Makes the table as long as a database of `commit` pages. Pages cut off are forgotten, new ones start at 0. */
  resize(commit: number): void {
    for (let page = commit + 1; page <= this.#commit; page++) this.#write(page, 0, 0)
    const chunks = Math.ceil(commit / CHUNK_ENTRIES)
    this.#growFirst(commit)
    while (this.#chunks.length < chunks) this.#chunks.push(new Uint32Array(CHUNK_ENTRIES * 2))
    this.#chunks.length = chunks
    const blocks = Math.ceil(commit / BLOCK_ENTRIES)
    if (blocks > this.#dirty.length) {
      const larger = new Uint8Array(Math.max(blocks, this.#dirty.length * 2))
      larger.set(this.#dirty)
      this.#dirty = larger
    }
    this.#commit = commit
  }

  /** Sets the checksum of a page within the size. */
  set(page: number, high: number, low: number): void {
    if (page > this.#commit) throw new RangeError(`page ${page} of ${this.#commit}`)
    this.#write(page, high, low)
  }

  /** The same, making the table longer where the page is the next one. */
  put(page: number, high: number, low: number): void {
    if (page > this.#commit) this.resize(page)
    this.#write(page, high, low)
  }

  /**
   * Calls `visit` for runs that hold every block that changed, and counts them as saved. A few unchanged blocks between
   * two changed ones are cheaper to write again than a run of their own.
   */
  takeDirty(visit: (firstEntry: number, entries: number) => void): void {
    const blocks = Math.ceil(this.#commit / BLOCK_ENTRIES)
    for (let block = 0; block < blocks; block++) {
      if (this.#dirty[block] === 0) continue
      const start = block
      for (let next = block; next < blocks && next - block <= SPARED_BLOCKS; next++) if (this.#dirty[next]) block = next
      const first = start * BLOCK_ENTRIES
      visit(first, Math.min((block + 1) * BLOCK_ENTRIES, this.#commit) - first)
    }
    this.#dirty.fill(0)
  }

  /** Marks everything as not saved. */
  touchAll(): void {
    this.#dirty.fill(1)
  }

  /**
   * Entries (from 0) as they lie in memory and on disk: two words each, high first, in the machine's byte order. At most
   * `entries`, fewer at the end of a chunk. A view, not a copy.
   */
  entryBytes(first: number, entries: number): Uint8Array {
    const chunk = this.#chunks[first >>> CHUNK_SHIFT]
    const at = first % CHUNK_ENTRIES
    return new Uint8Array(chunk.buffer, at * 8, Math.min(entries, chunk.length / 2 - at) * 8)
  }

  /** Makes the first chunk long enough for a database of `commit` pages, or whole. */
  #growFirst(commit: number): void {
    const first = this.#chunks.at(0)
    let entries = first ? first.length / 2 : BLOCK_ENTRIES
    while (entries < Math.min(commit, CHUNK_ENTRIES)) entries *= 2
    if (commit === 0 || first?.length === entries * 2) return
    const longer = new Uint32Array(entries * 2)
    if (first) longer.set(first)
    this.#chunks[0] = longer
  }

  #write(page: number, high: number, low: number): void {
    const chunk = this.#chunks[(page - 1) >>> CHUNK_SHIFT]
    const at = ((page - 1) % CHUNK_ENTRIES) * 2
    this.#sum.toggle(chunk[at] ^ high, chunk[at + 1] ^ low)
    chunk[at] = high
    chunk[at + 1] = low
    this.#dirty[Math.floor((page - 1) / BLOCK_ENTRIES)] = 1
  }
}
