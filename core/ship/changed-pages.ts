import type { DatabaseView } from '../pages/database-view.js'
import type { PageChecksums } from '../pages/page-checksums.js'
import { PageListBuilder } from '../pages/page-list.js'
import type { PageSet } from '../pages/page-set.js'

/** So much of what differs is copied while it is being found, so that the state need not stay pinned after that. */
const COPY_BYTES = 4 * 1024 * 1024

export interface ChangedPages {
  pages: PageSet
  count: number
  /** The pages were copied: the view is not needed to read them. */
  copied: boolean
}

/**
 * Compares a live database with the page checksums of what lies in storage, page by page.
 *
 * A pin holds up other people's checkpoints. Most differences are small, and those are in memory when this returns.
 */
export async function findChangedPages(
  view: DatabaseView,
  table: PageChecksums,
  signal: AbortSignal,
): Promise<ChangedPages> {
  const changed = new PageListBuilder()
  const { pageSize } = view
  const most = Math.floor(COPY_BYTES / pageSize)
  const copies: Buffer[] = []
  await view.checksums((page, high, low, bytes) => {
    if (table.matches(page, high, low)) return
    changed.add(page, high, low)
    if (changed.size <= most) copies.push(Buffer.from(bytes))
    else copies.length = 0
  }, signal)
  const copied = changed.size <= most
  const pages = changed.build(pageSize, view.commit, (index, page, into) => {
    if (!copied) return view.read(page, into)
    into.set(copies[index])
    return undefined
  })
  return { pages, count: changed.size, copied }
}
