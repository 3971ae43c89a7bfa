import { WalrustError } from '../errors.js'
import { DatabaseChecksum } from '../ltx/checksum.js'
import { lockPage } from '../ltx/layout.js'
import type { PageChecksums } from '../pages/page-checksums.js'
import type { PageSet } from '../pages/page-set.js'

/** What applying pages to a database comes to, before anything is changed. */
export interface Delta {
  /** Database checksum afterwards. */
  checksum: bigint
  /** Pages in the set. */
  pages: number
}

/**
 * The database checksum after `pages` are applied to what `table` describes, at the price of the changed pages: the
 * old checksum of every page written or cut off goes out, the new one comes in.
 *
 * Errors: `E_CHECKSUM` if the database grows by pages that are not in the set. SQLite writes every page it adds; if one
 * is missing, frames were missed.
 */
export function checksumAfter(table: PageChecksums, pages: PageSet): Delta {
  const sum = new DatabaseChecksum(table.checksum)
  const { commit } = pages
  let count = 0
  let added = 0
  const cursor = pages.cursor()
  try {
    while (cursor.next()) {
      const { page, high, low } = cursor
      sum.toggle(table.high(page) ^ high, table.low(page) ^ low)
      count++
      if (page > table.commit) added++
    }
  } finally {
    cursor.close()
  }
  for (let page = commit + 1; page <= table.commit; page++) sum.toggle(table.high(page), table.low(page))
  const lock = lockPage(pages.pageSize)
  const expected = Math.max(0, commit - table.commit) - (lock > table.commit && lock <= commit ? 1 : 0)
  if (added !== expected) {
    throw new WalrustError('E_CHECKSUM', `the database grew by ${expected} pages of which ${added} were written`)
  }
  return { checksum: sum.value, pages: count }
}

/** Puts the checksums of `pages` into the table. */
export function applyChecksums(table: PageChecksums, pages: PageSet): void {
  table.resize(pages.commit)
  const cursor = pages.cursor()
  try {
    while (cursor.next()) table.set(cursor.page, cursor.high, cursor.low)
  } finally {
    cursor.close()
  }
}
