/** Offsets and sizes of the LTX file format, version 3. Integers are big-endian. Source: the superfly/ltx format notes. */

export const MAGIC = 0x4c545831 // "LTX1"
export const HEADER_SIZE = 100
export const PAGE_HEADER_SIZE = 6
export const PAGE_SIZE_FIELD = 4
export const INDEX_SIZE_FIELD = 8
export const TRAILER_SIZE = 16

/** Offsets inside the header. */
export const HEADER = {
  magic: 0,
  flags: 4,
  pageSize: 8,
  commit: 12,
  minTxid: 16,
  maxTxid: 24,
  timestamp: 32,
  preApply: 40,
  walOffset: 48,
  walSize: 56,
  walSalt1: 64,
  walSalt2: 68,
  nodeId: 72,
  /** The last 20 bytes are reserved; other tools ignore but hash them. walrust keeps its checksum chain there. */
  chainPre: 80,
  chainPost: 88,
  chainTag: 96,
} as const

/** Marks that bytes 80 to 95 of a header hold the database checksums before and after. */
export const CHAIN_TAG = 0x574c5231 // "WLR1"

export const FLAG_NO_CHECKSUM = 0x2
/** A page header with this flag is followed by the size of one LZ4 block; without it, by an LZ4 frame. */
export const PAGE_FLAG_SIZE = 0x1

/** Forced on in every checksum, so that a real checksum is never zero. It is also the checksum of an empty database. */
export const CHECKSUM_FLAG = 1n << 63n

/** The page that holds this byte is reserved for SQLite's locks and never stored. */
const LOCK_BYTE = 0x40000000

export const MIN_PAGE_SIZE = 512
export const MAX_PAGE_SIZE = 65536

/** The latest moment that there is a date for, milliseconds since the epoch; the earliest is as far on the other side. */
export const LATEST_TIME = 8.64e15

/** Whether SQLite can have pages of that size: a power of two from 512 to 65536 bytes. */
export function isPageSize(size: number): boolean {
  return Number.isInteger(size) && size >= MIN_PAGE_SIZE && size <= MAX_PAGE_SIZE && (size & (size - 1)) === 0
}

/** Number of the page that SQLite reserves for locks. */
export function lockPage(pageSize: number): number {
  return LOCK_BYTE / pageSize + 1
}

/** How many pages of a database of `commit` pages are stored: all but the lock page. */
export function storedPages(commit: number, pageSize: number): number {
  return commit >= lockPage(pageSize) ? commit - 1 : commit
}
