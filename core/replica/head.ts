/**
 * The few bytes of page 1 in which a replica differs from its source. Source: the SQLite file format document, section
 * 1.3.
 *
 * A replica is in rollback mode, because there its readers need nothing but the file and take its locks at each read.
 * They know by the change counter that what they have cached is stale, so each apply raises it. What was in those bytes
 * is kept elsewhere: with it in place again, the database checksum is the source's.
 */

const WRITE_VERSION = 18
const READ_VERSION = 19
const CHANGE_COUNTER = 24
const VALID_FOR = 92

/** Bytes of a page that have to be there to read a head. */
export const HEAD_SIZE = 100

const ROLLBACK = 1
const WAL = 2

export interface PageHead {
  readonly write: number
  readonly read: number
  readonly counter: number
  /** The change counter for which the size in the header is right. */
  readonly validFor: number
}

export function readHead(page: Uint8Array): PageHead {
  const v = new DataView(page.buffer, page.byteOffset, HEAD_SIZE)
  return {
    write: v.getUint8(WRITE_VERSION),
    read: v.getUint8(READ_VERSION),
    counter: v.getUint32(CHANGE_COUNTER),
    validFor: v.getUint32(VALID_FOR),
  }
}

export function writeHead(page: Uint8Array, head: PageHead): void {
  const v = new DataView(page.buffer, page.byteOffset, HEAD_SIZE)
  v.setUint8(WRITE_VERSION, head.write)
  v.setUint8(READ_VERSION, head.read)
  v.setUint32(CHANGE_COUNTER, head.counter)
  v.setUint32(VALID_FOR, head.validFor)
}

export function isWal(head: PageHead): boolean {
  return head.write === WAL || head.read === WAL
}

/** What stands in a replica instead of the source's `head`. A size that was not valid there must not become so here. */
export function replicaHead(head: PageHead, counter: number): PageHead {
  const validFor = head.counter === head.validFor ? counter : nextCounter(counter)
  return { write: ROLLBACK, read: ROLLBACK, counter, validFor }
}

export function nextCounter(counter: number): number {
  return (counter + 1) >>> 0
}
