import { WalrustError } from '../errors.js'

/**
 * Goes through pages in ascending order. After {@link next} has said true, `page` is the page's number (from 1) and
 * `high` and `low` are the words of its checksum.
 */
export interface PageCursor {
  readonly page: number
  readonly high: number
  readonly low: number
  next(): boolean
  /** Reads the bytes of the page at hand into a buffer of one page. A promise only where it has to wait for a disk. */
  read(into: Uint8Array): Promise<void> | void
  /** Frees what the cursor holds; called once, also when it was not read to its end. */
  close(): void
}

/** Pages of one database at one moment: all of them, or those that something changed. */
export interface PageSet {
  /** Bytes. */
  readonly pageSize: number
  /** Size of the whole database in pages at that moment. */
  readonly commit: number
  /** A new pass over the pages. */
  cursor(): PageCursor
  /** The same pages without those that `keep` refuses. */
  filter(keep: (page: number, high: number, low: number) => boolean): PageSet
}

/** What most page sets are made of: something that makes cursors. */
export abstract class BasePageSet implements PageSet {
  abstract readonly pageSize: number
  abstract readonly commit: number
  abstract cursor(): PageCursor

  filter(keep: (page: number, high: number, low: number) => boolean): PageSet {
    return new FilteredPageSet(this, keep)
  }
}

/** No pages of no database. */
export const NO_PAGES: PageSet = {
  pageSize: 0,
  commit: 0,
  cursor: () => ({ page: 0, high: 0, low: 0, next: () => false, read: () => undefined, close: () => undefined }),
  filter: () => NO_PAGES,
}

class FilteredPageSet extends BasePageSet {
  constructor(
    readonly inner: PageSet,
    readonly keep: (page: number, high: number, low: number) => boolean,
  ) {
    super()
  }

  get pageSize(): number {
    return this.inner.pageSize
  }

  get commit(): number {
    return this.inner.commit
  }

  cursor(): PageCursor {
    const cursor = this.inner.cursor()
    const step = () => {
      while (cursor.next()) if (this.keep(cursor.page, cursor.high, cursor.low)) return true
      return false
    }
    return {
      get page() {
        return cursor.page
      },
      get high() {
        return cursor.high
      },
      get low() {
        return cursor.low
      },
      next: step,
      read: (into) => cursor.read(into),
      close: () => cursor.close(),
    }
  }
}

/** Several page sets as one; where two have the same page, the later set wins. */
export class LayeredPageSet extends BasePageSet {
  /** @param layers oldest first, at least one */
  constructor(readonly layers: readonly PageSet[]) {
    super()
  }

  get pageSize(): number {
    return this.layers[0].pageSize
  }

  get commit(): number {
    return this.layers[this.layers.length - 1].commit
  }

  cursor(): PageCursor {
    return this.layers.length === 1 ? this.layers[0].cursor() : new LayeredCursor(this.layers)
  }
}

/** A cursor over one layer, its age, and the last page of it that no later layer has cut off. */
interface LayerCursor {
  readonly cursor: PageCursor
  /** The place of its layer: a higher one wins. */
  readonly layer: number
  readonly limit: number
}

class LayeredCursor implements PageCursor {
  page = 0
  high = 0
  low = 0
  #current: PageCursor | undefined
  /**
   * Those that have a page to offer, as a binary heap: the one at the lowest page is first, of several there that of the
   * newest layer. One layer mostly has a run of pages to itself, and then stays where it is.
   */
  readonly #heap: LayerCursor[] = []
  readonly #all: PageCursor[]

  constructor(layers: readonly PageSet[]) {
    this.#all = layers.map((layer) => layer.cursor())
    let limit = Infinity
    for (let i = layers.length - 1; i >= 0; i--) {
      limit = Math.min(limit, layers[i].commit)
      const layer = { cursor: this.#all[i], layer: i, limit }
      if (advance(layer)) this.#heap.push(layer)
    }
    for (let i = (this.#heap.length >> 1) - 1; i >= 0; i--) this.#sink(i)
  }

  next(): boolean {
    const heap = this.#heap
    // With the newest version given, the older ones are done with, too.
    if (this.#current) while (heap.length > 0 && heap[0].cursor.page === this.page) this.#leave()
    if (heap.length === 0) return false
    const { cursor } = heap[0]
    this.#current = cursor
    this.page = cursor.page
    this.high = cursor.high
    this.low = cursor.low
    return true
  }

  read(into: Uint8Array): Promise<void> | void {
    return this.#current?.read(into)
  }

  close(): void {
    for (const cursor of this.#all) cursor.close()
  }

  /** Moves the first one on to its next page, or takes it out. */
  #leave(): void {
    const heap = this.#heap
    if (!advance(heap[0])) {
      const last = heap.pop()
      if (!last || heap.length === 0) return
      heap[0] = last
    }
    this.#sink(0)
  }

  #sink(from: number): void {
    const heap = this.#heap
    const moved = heap[from]
    let i = from
    for (let child = 2 * i + 1; child < heap.length; child = 2 * i + 1) {
      if (child + 1 < heap.length && isBefore(heap[child + 1], heap[child])) child++
      if (!isBefore(heap[child], moved)) break
      heap[i] = heap[child]
      i = child
    }
    heap[i] = moved
  }
}

function isBefore(a: LayerCursor, b: LayerCursor): boolean {
  const [page, other] = [a.cursor.page, b.cursor.page]
  return page < other || (page === other && a.layer > b.layer)
}

/** Whether a layer has another page. What the database lost later is none, also if it has grown over it since. */
function advance({ cursor, limit }: LayerCursor): boolean {
  return cursor.next() && cursor.page <= limit
}

/**
 * Throws `E_CHECKSUM` unless the page that was read has the checksum that the cursor announced. Every page that is stored
 * is held against this: what lies in the WAL or in the spool can have been overwritten since it was looked at.
 *
 * @param read words of the checksum of what was read
 */
export function checkPage(cursor: PageCursor, read: { readonly high: number; readonly low: number }): void {
  if (read.high !== cursor.high >>> 0 || read.low !== cursor.low >>> 0) {
    throw new WalrustError('E_CHECKSUM', `page ${cursor.page} changed between being found and being read`)
  }
}
