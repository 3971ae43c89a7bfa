import type { FileHandle } from 'node:fs/promises'
import { giveBack, takeBuffer } from '../buffers.js'
import { WalrustError } from '../errors.js'

/**
 * Reads pages of a database file, neighbouring ones in one piece. What `visit` is given is valid during the call.
 *
 * Errors: `E_DATABASE_UNREADABLE` if the file ends before a page.
 */
export async function readPages(
  handle: FileHandle,
  pageSize: number,
  pages: Iterable<number>,
  visit: (page: number, bytes: Uint8Array) => Promise<void> | void,
): Promise<void> {
  const buffer = takeBuffer()
  const most = Math.floor(buffer.length / pageSize)
  let [first, count] = [0, 0]
  const read = async () => {
    for (let done = 0; done < count * pageSize;) {
      const at = (first - 1) * pageSize + done
      const { bytesRead } = await handle.read(buffer, done, count * pageSize - done, at)
      if (bytesRead === 0)
        throw new WalrustError('E_DATABASE_UNREADABLE', `the file ends before page ${first + count - 1}`)
      done += bytesRead
    }
    for (let i = 0; i < count; i++) {
      const wait = visit(first + i, buffer.subarray(i * pageSize, (i + 1) * pageSize))
      if (wait) await wait
    }
  }
  try {
    for (const page of pages) {
      if (count > 0 && (page !== first + count || count === most)) {
        await read()
        count = 0
      }
      if (count === 0) first = page
      count++
    }
    await read()
  } finally {
    giveBack(buffer)
  }
}
