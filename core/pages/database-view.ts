import { giveBack, takeBuffer } from '../buffers.js'
import { checksumWords, pageChecksum } from '../kernel/kernel.js'
import { WalrustError } from '../errors.js'
import type { DatabaseFile } from '../database/database-file.js'
import { lockPage } from '../ltx/layout.js'
import type { LogPosition, WalPosition } from '../wal/position.js'
import type { WalFile } from '../wal/wal-file.js'
import type { PageList } from './page-list.js'

/** What a view is made of. */
export interface ViewSource {
  file: DatabaseFile
  wal: WalFile
  pageSize: number
  /** Size of the database in pages in the state seen. */
  commit: number
  /** The newest WAL frame of each page, where the database file does not have it yet; its reader reads the WAL. */
  overlay: PageList | undefined
  at: LogPosition
  proof: WalPosition | undefined
  /** Ends the read transaction that keeps the state readable. */
  release: () => void
}

/**
 * One consistent state of a live database, page by page, without blocking anyone and without a copy.
 *
 * While its pin holds, the database file overlaid with the newest WAL frame of each page up to `at` is exactly the
 * state at `at`, whatever checkpoints run: they may only move frames up to the pin's mark, and of those pages the
 * overlay is read, not the file. Every overlay page is held against the checksum it had when the WAL was read.
 */
export class DatabaseView {
  readonly pageSize: number
  readonly commit: number
  readonly at: LogPosition
  readonly proof: WalPosition | undefined
  /** Whoever reads it has another way: it is given up before the WAL grows too long. */
  spare = false
  readonly #source: ViewSource
  readonly #lost = new AbortController()
  readonly #lockPage: number
  readonly #window: Buffer
  #windowPage = 0
  #windowPages = 0
  #lastPage = 0
  #closed = false

  constructor(source: ViewSource) {
    this.#source = source
    this.pageSize = source.pageSize
    this.commit = source.commit
    this.at = source.at
    this.proof = source.proof
    this.#lockPage = lockPage(source.pageSize)
    this.#window = takeBuffer()
  }

  /** Aborted when the state can no longer be read: whoever waits for something else meanwhile should stop. */
  get signal(): AbortSignal {
    return this.#lost.signal
  }

  /** Makes every further read fail with `reason`. */
  invalidate(reason: Error): void {
    this.#lost.abort(reason)
  }

  /** Reads a page. Fastest in ascending order: then the file is read in larger pieces. */
  read(page: number, into: Uint8Array): Promise<void> | void {
    this.#lost.signal.throwIfAborted()
    const sequential = page === this.#lastPage + 1
    this.#lastPage = page
    if (this.#readOverlay(page, into)) return undefined
    if (sequential && !this.#inWindow(page)) return this.#fillWindow(page).then(() => this.#fromWindow(page, into))
    if (this.#inWindow(page)) this.#fromWindow(page, into)
    else this.#source.file.readNow(into, (page - 1) * this.pageSize)
    return undefined
  }

  /** Visits every page but the lock page, in order, with its checksum. The bytes are valid during the call only. */
  async checksums(
    visit: (page: number, high: number, low: number, bytes: Uint8Array) => void,
    signal?: AbortSignal,
  ): Promise<void> {
    const bytes = Buffer.allocUnsafeSlow(this.pageSize)
    for (let page = 1; page <= this.commit; page++) {
      if (page === this.#lockPage) continue
      const wait = this.read(page, bytes)
      if (wait) {
        await wait
        signal?.throwIfAborted()
      }
      pageChecksum(page, bytes)
      visit(page, checksumWords[0], checksumWords[1], bytes)
    }
  }

  /** Ends the read transaction. Closing twice does no harm. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#lost.abort(new Error('the view is closed'))
    giveBack(this.#window)
    this.#source.release()
  }

  #readOverlay(page: number, into: Uint8Array): boolean {
    const { overlay } = this.#source
    if (!overlay) return false
    const index = search(overlay.pages, page)
    if (index < 0) return false
    void overlay.reader(index, page, into)
    pageChecksum(page, into)
    if (checksumWords[0] !== overlay.sums[index * 2] || checksumWords[1] !== overlay.sums[index * 2 + 1]) {
      throw new WalrustError('E_CHECKSUM', `page ${page} in the WAL changed while a pin was held on it`)
    }
    return true
  }

  #inWindow(page: number): boolean {
    return page >= this.#windowPage && page < this.#windowPage + this.#windowPages
  }

  #fromWindow(page: number, into: Uint8Array): void {
    const at = (page - this.#windowPage) * this.pageSize
    into.set(this.#window.subarray(at, at + this.pageSize))
  }

  async #fillWindow(page: number): Promise<void> {
    const pages = Math.min(Math.floor(this.#window.length / this.pageSize), this.commit - page + 1)
    this.#windowPages = 0
    await this.#source.file.read(this.#window.subarray(0, pages * this.pageSize), (page - 1) * this.pageSize)
    this.#windowPage = page
    this.#windowPages = pages
  }
}

/** Index of `value` in an ascending array, or -1. */
function search(array: Uint32Array, value: number): number {
  let low = 0
  let high = array.length - 1
  while (low <= high) {
    const middle = (low + high) >>> 1
    const found = array[middle]
    if (found === value) return middle
    if (found < value) low = middle + 1
    else high = middle - 1
  }
  return -1
}
