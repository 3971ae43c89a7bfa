import { WalrustError } from '../errors.js'
import { PageList } from '../pages/page-list.js'
import { type Generation, MAX_FRAMES } from './generation.js'
import type { WalFile } from './wal-file.js'

/** For sorting, used again and again. */
let keys = new Float64Array(1024)

/**
 * The newest version of each page written after frame `after` of a generation, read from the WAL itself. It is only
 * readable while a pin holds that generation in place; whoever stores a page holds it against its checksum.
 */
export function walPages(generation: Generation, file: WalFile, after: number): PageList {
  const { newest, frames } = generation
  const { pageSize } = generation.header
  // One number a page sorts without a comparison function: page number above, frame below.
  if (keys.length < frames - after) keys = new Float64Array(Math.max(frames - after, keys.length * 2))
  let size = 0
  for (let frame = after + 1; frame <= frames; frame++) {
    const page = generation.pageOf(frame)
    if (!newest.find(page)) throw new WalrustError('E_INTERNAL', `page ${page} was read but is not known`)
    // Each page once: at its newest frame. Pages beyond the end were cut off by a later commit.
    if (newest.frame === frame && page <= generation.commit) keys[size++] = page * MAX_FRAMES + (frame - 1)
  }
  const sorted = keys.subarray(0, size).sort()
  const pages = new Uint32Array(size)
  const places = new Uint32Array(size)
  const sums = new Uint32Array(size * 2)
  for (let i = 0; i < size; i++) {
    pages[i] = Math.floor(sorted[i] / MAX_FRAMES)
    places[i] = (sorted[i] % MAX_FRAMES) + 1
    newest.find(pages[i])
    sums[i * 2] = newest.high
    sums[i * 2 + 1] = newest.low
  }
  return new PageList(pageSize, generation.commit, pages, sums, (index, page, into) => {
    if (!file.readPage(places[index], pageSize, into)) {
      throw new WalrustError('E_CHECKSUM', `frame ${places[index]} of the WAL with page ${page} is gone`)
    }
  })
}
