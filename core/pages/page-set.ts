import { checksumWords, pageChecksum } from '../kernel/kernel.js'
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

/** A cursor over one layer, and the last page of it that no later layer has cut off. */
interface LayerCursor {
  readonly cursor: PageCursor
  readonly limit: number
}

class LayeredCursor implements PageCursor {
  page = 0
  high = 0
  low = 0
  #current: PageCursor | undefined
  /** Those that have a page to offer, oldest first. */
  readonly #live: LayerCursor[] = []
  readonly #all: PageCursor[]

  constructor(layers: readonly PageSet[]) {
    this.#all = layers.map((layer) => layer.cursor())
    let limit = Infinity
    for (let i = layers.length - 1; i >= 0; i--) {
      limit = Math.min(limit, layers[i].commit)
      const layer = { cursor: this.#all[i], limit }
      if (advance(layer)) this.#live.unshift(layer)
    }
  }

  next(): boolean {
    if (this.#current) this.#leave(this.page)
    const newest = this.#newest()
    if (!newest) return false
    this.#current = newest
    this.page = newest.page
    this.high = newest.high
    this.low = newest.low
    return true
  }

  read(into: Uint8Array): Promise<void> | void {
    return this.#current?.read(into)
  }

  close(): void {
    for (const cursor of this.#all) cursor.close()
  }

  /** The cursor at the lowest page; of several there, the one of the newest layer. */
  #newest(): PageCursor | undefined {
    let best: PageCursor | undefined
    for (const { cursor } of this.#live) if (!best || cursor.page <= best.page) best = cursor
    return best
  }

  /** Moves on all that stand at `page`: with the newest version given, the older ones are done with, too. */
  #leave(page: number): void {
    let kept = 0
    for (const layer of this.#live) if (layer.cursor.page !== page || advance(layer)) this.#live[kept++] = layer
    this.#live.length = kept
  }
}

/** Whether a layer has another page. What the database lost later is none, also if it has grown over it since. */
function advance({ cursor, limit }: LayerCursor): boolean {
  return cursor.next() && cursor.page <= limit
}

/**
 * Throws `E_CHECKSUM` unless the bytes are those that the cursor announced. Every page that is about to be stored
 * passes through here: what lies in the WAL or in the spool can have been overwritten since it was looked at.
 */
export function checkPage(cursor: PageCursor, bytes: Uint8Array): void {
  pageChecksum(cursor.page, bytes)
  if (checksumWords[0] !== cursor.high >>> 0 || checksumWords[1] !== cursor.low >>> 0) {
    throw new WalrustError('E_CHECKSUM', `page ${cursor.page} changed between being found and being read`)
  }
}
