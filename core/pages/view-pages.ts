import { checksumWords, pageChecksum } from '../kernel/kernel.js'
import { WalrustError } from '../errors.js'
import { DatabaseChecksum } from '../ltx/checksum.js'
import { lockPage } from '../ltx/layout.js'
import type { DatabaseView } from './database-view.js'
import { BasePageSet, type PageCursor } from './page-set.js'

/**
 * Every page of a view, for a snapshot. Page checksums are computed as pages are read; at the end their sum must be the
 * database checksum that was expected, or the pass fails before anybody calls the snapshot complete.
 */
export class ViewPages extends BasePageSet {
  constructor(
    readonly view: DatabaseView,
    readonly expected: bigint,
  ) {
    super()
  }

  get pageSize(): number {
    return this.view.pageSize
  }

  get commit(): number {
    return this.view.commit
  }

  cursor(): PageCursor {
    return new ViewCursor(this.view, this.expected)
  }
}

class ViewCursor implements PageCursor {
  page = 0
  high = 0
  low = 0
  readonly #lockPage: number
  readonly #sum = new DatabaseChecksum()

  constructor(
    readonly view: DatabaseView,
    readonly expected: bigint,
  ) {
    this.#lockPage = lockPage(view.pageSize)
  }

  next(): boolean {
    this.page += this.page + 1 === this.#lockPage ? 2 : 1
    if (this.page <= this.view.commit) return true
    if (this.#sum.value !== this.expected) {
      throw new WalrustError('E_CHECKSUM', 'the database read for a snapshot is not the state it was taken for')
    }
    return false
  }

  read(into: Uint8Array): Promise<void> | void {
    const wait = this.view.read(this.page, into)
    if (wait) return wait.then(() => this.#add(into))
    this.#add(into)
    return undefined
  }

  close(): void {
    // The view is closed by whoever opened it.
  }

  #add(bytes: Uint8Array): void {
    pageChecksum(this.page, bytes)
    this.high = checksumWords[0]
    this.low = checksumWords[1]
    this.#sum.toggle(this.high, this.low)
  }
}
