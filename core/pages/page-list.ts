import { BasePageSet, type PageCursor } from './page-set.js'

/** Reads the page at an index of a {@link PageList}. */
export type PageReader = (index: number, page: number, into: Uint8Array) => Promise<void> | void

/** Pages listed in memory: number and checksum of each, twelve bytes a page. */
export class PageList extends BasePageSet {
  /**
   * @param pages ascending page numbers
   * @param sums two words a page, high and low
   */
  constructor(
    readonly pageSize: number,
    readonly commit: number,
    readonly pages: Uint32Array,
    readonly sums: Uint32Array,
    readonly reader: PageReader,
  ) {
    super()
  }

  cursor(): PageCursor {
    return new ListCursor(this)
  }
}

class ListCursor implements PageCursor {
  #index = -1

  constructor(readonly list: PageList) {}

  get page(): number {
    return this.list.pages[this.#index]
  }

  get high(): number {
    return this.list.sums[this.#index * 2]
  }

  get low(): number {
    return this.list.sums[this.#index * 2 + 1]
  }

  next(): boolean {
    return ++this.#index < this.list.pages.length
  }

  read(into: Uint8Array): Promise<void> | void {
    return this.list.reader(this.#index, this.page, into)
  }

  close(): void {
    // Nothing but memory.
  }
}

/** Collects the pages of a {@link PageList} one after the other, in typed arrays that grow. */
export class PageListBuilder {
  #pages = new Uint32Array(1024)
  #sums = new Uint32Array(2048)
  #size = 0

  get size(): number {
    return this.#size
  }

  add(page: number, high: number, low: number): void {
    if (this.#size === this.#pages.length) {
      this.#pages = grown(this.#pages)
      this.#sums = grown(this.#sums)
    }
    this.#pages[this.#size] = page
    this.#sums[this.#size * 2] = high
    this.#sums[this.#size * 2 + 1] = low
    this.#size++
  }

  build(pageSize: number, commit: number, reader: PageReader): PageList {
    const pages = this.#pages.subarray(0, this.#size)
    return new PageList(pageSize, commit, pages, this.#sums.subarray(0, this.#size * 2), reader)
  }
}

function grown(array: Uint32Array): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(array.length * 2)
  larger.set(array)
  return larger
}
