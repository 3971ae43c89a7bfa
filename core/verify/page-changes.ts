import { DatabaseChecksum } from '../ltx/checksum.js'
import type { LtxHeader } from '../ltx/header.js'
import { storedPages } from '../ltx/layout.js'
import type { PageChecksums } from '../pages/page-checksums.js'
import type { PageSink } from '../restore/read-file.js'

const FIRST_ROOM = 256
const FIELDS = 3

/**
 * The pages of one file as their checksums: what the file makes of a database can be told, and done, without the pages.
 * Twelve bytes a page of the file.
 */
export class PageChanges implements PageSink {
  #entries = new Uint32Array(FIRST_ROOM * FIELDS)
  #count = 0

  page(page: number, _bytes: Uint8Array, high: number, low: number): void {
    if ((this.#count + 1) * FIELDS > this.#entries.length) {
      const larger = new Uint32Array(this.#entries.length * 2)
      larger.set(this.#entries)
      this.#entries = larger
    }
    this.#entries.set([page, high, low], this.#count++ * FIELDS)
  }

  /** Whether every page of the database is among them. */
  isWhole({ commit, pageSize }: LtxHeader): boolean {
    return this.#count === storedPages(commit, pageSize)
  }

  /** Checksum of the database that comes out when the file is applied to the one that the table is of. */
  resultOn(table: PageChecksums, { commit }: LtxHeader): bigint {
    const sum = new DatabaseChecksum(table.checksum)
    for (let i = 0; i < this.#count; i++) {
      const [page, high, low] = this.#entries.subarray(i * FIELDS, i * FIELDS + FIELDS)
      sum.toggle(table.high(page) ^ high, table.low(page) ^ low)
    }
    // What the file cuts off; none of it is among its pages.
    for (let page = commit + 1; page <= table.commit; page++) sum.toggle(table.high(page), table.low(page))
    return sum.value
  }

  /** Makes the table that of the database that comes out. */
  applyTo(table: PageChecksums, { commit }: LtxHeader): void {
    table.resize(commit)
    for (let i = 0; i < this.#count; i++) {
      const [page, high, low] = this.#entries.subarray(i * FIELDS, i * FIELDS + FIELDS)
      table.set(page, high, low)
    }
  }
}
