import { LtxError } from './errors.js'
import {
  CHAIN_TAG,
  CHECKSUM_FLAG,
  FLAG_NO_CHECKSUM,
  HEADER,
  HEADER_SIZE,
  isPageSize,
  LATEST_TIME,
  MAGIC,
  TRAILER_SIZE,
} from './layout.js'

/**
 * How a file carries the database checksums before and after it.
 * - `portable`: in the header's reserved bytes, with the native fields off, as Litestream wants it
 * - `tracked`: in the native LTX fields, which `ltx verify` and `ltx apply` check
 */
export type ChecksumMode = 'portable' | 'tracked'

export interface LtxHeader {
  /** Bytes, a power of two from 512 to 65536. */
  pageSize: number
  /** Size of the database in pages once the file is applied. */
  commit: number
  /** First and last transaction the file covers, from 1. A file with `minTxid` 1 is a snapshot: it holds every page. */
  minTxid: number
  maxTxid: number
  /** Milliseconds since the epoch. */
  timestamp: number
  checksums: ChecksumMode
  /** Database checksum before the file: 0 for a snapshot, and where it is not known. */
  pre: bigint
  /** Database checksum after it: 0 where not known. A tracked file has it only in its trailer, so this is 0 until then. */
  post: bigint
  /** Where in the WAL the frames were that the file was made from; 0 where that means nothing. */
  walOffset: number
  walSize: number
  walSalt1: number
  walSalt2: number
  /** Free to its writer. */
  nodeId: bigint
}

export interface LtxTrailer {
  /** Database checksum after the file; 0 in a portable file, whose header has it. */
  post: bigint
  /** CRC-64 of the file with its pages uncompressed, top bit forced on. */
  fileChecksum: bigint
}

/** Whether the file holds every page of the database. */
export function isSnapshot(header: Pick<LtxHeader, 'minTxid'>): boolean {
  return header.minTxid === 1
}

const MAX_U32 = 0xffffffff
const MAX_U64 = 0xffffffffffffffffn

function check(condition: boolean, message: string): void {
  if (!condition) throw new LtxError('LTX_CORRUPT', `LTX header: ${message}`)
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}

function isWord(value: number): boolean {
  return isCount(value) && value <= MAX_U32
}

function isChecksum(value: bigint): boolean {
  return value >> 63n === 1n
}

const EMPTY = 'an empty database has only the top bit as its checksum'

/** Throws {@link LtxError} `LTX_CORRUPT` if the fields contradict the format or each other. */
export function validateHeader(h: LtxHeader): void {
  check(
    Number.isInteger(h.pageSize) && isPageSize(h.pageSize),
    `page size ${h.pageSize} is not a power of two from 512 to 65536`,
  )
  check(isWord(h.commit), `database size of ${h.commit} pages`)
  check(isCount(h.minTxid) && isCount(h.maxTxid), 'transaction id beyond 2^53')
  check(h.minTxid >= 1 && h.minTxid <= h.maxTxid, `transaction ids ${h.minTxid} to ${h.maxTxid}`)
  check(Number.isSafeInteger(h.timestamp) && Math.abs(h.timestamp) <= LATEST_TIME, 'timestamp that is no moment')
  check(isCount(h.walOffset) && isCount(h.walSize), 'WAL offset or size negative or beyond 2^53')
  check(isWord(h.walSalt1) && isWord(h.walSalt2), 'WAL salts that are not 32-bit numbers')
  check(
    h.walOffset > 0 || (h.walSize === 0 && h.walSalt1 === 0 && h.walSalt2 === 0),
    'WAL size or salts without offset',
  )
  check(h.nodeId >= 0n && h.nodeId <= MAX_U64, 'node id that is not a 64-bit number')
  check(h.pre === 0n || isChecksum(h.pre), 'checksum before the file lacks its top bit')
  check(h.post === 0n || isChecksum(h.post), 'checksum after the file lacks its top bit')
  if (h.commit === 0) check(h.post === 0n || h.post === CHECKSUM_FLAG, EMPTY)
  if (isSnapshot(h)) check(h.pre === 0n, 'a snapshot has no checksum before it')
  else if (h.checksums === 'tracked') check(h.pre !== 0n, 'a tracked file needs the checksum before it')
}

/** Writes the 100 header bytes into `out`. Errors: as {@link validateHeader}. */
export function writeHeader(h: LtxHeader, out: Uint8Array): void {
  validateHeader(h)
  const v = new DataView(out.buffer, out.byteOffset, HEADER_SIZE)
  const portable = h.checksums === 'portable'
  const chained = portable && h.post !== 0n
  v.setUint32(HEADER.magic, MAGIC)
  v.setUint32(HEADER.flags, portable ? FLAG_NO_CHECKSUM : 0)
  v.setUint32(HEADER.pageSize, h.pageSize)
  v.setUint32(HEADER.commit, h.commit)
  v.setBigUint64(HEADER.minTxid, BigInt(h.minTxid))
  v.setBigUint64(HEADER.maxTxid, BigInt(h.maxTxid))
  v.setBigInt64(HEADER.timestamp, BigInt(h.timestamp))
  v.setBigUint64(HEADER.preApply, portable ? 0n : h.pre)
  v.setBigInt64(HEADER.walOffset, BigInt(h.walOffset))
  v.setBigInt64(HEADER.walSize, BigInt(h.walSize))
  v.setUint32(HEADER.walSalt1, h.walSalt1)
  v.setUint32(HEADER.walSalt2, h.walSalt2)
  v.setBigUint64(HEADER.nodeId, h.nodeId)
  v.setBigUint64(HEADER.chainPre, chained ? h.pre : 0n)
  v.setBigUint64(HEADER.chainPost, chained ? h.post : 0n)
  v.setUint32(HEADER.chainTag, chained ? CHAIN_TAG : 0)
}

/** Whether bytes begin as those of an LTX file do. */
export function startsAsLtx(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && new DataView(bytes.buffer, bytes.byteOffset).getUint32(HEADER.magic) === MAGIC
}

/** Reads and checks the 100 header bytes. Errors: {@link LtxError} `LTX_UNSUPPORTED`, `LTX_CORRUPT`, `LTX_TRUNCATED`. */
export function readHeader(bytes: Uint8Array): LtxHeader {
  if (bytes.length < HEADER_SIZE) throw new LtxError('LTX_TRUNCATED', 'the file is shorter than an LTX header')
  const v = new DataView(bytes.buffer, bytes.byteOffset, HEADER_SIZE)
  if (v.getUint32(HEADER.magic) !== MAGIC) throw new LtxError('LTX_UNSUPPORTED', 'not an LTX file of version 3', 0)
  const flags = v.getUint32(HEADER.flags)
  if ((flags & ~FLAG_NO_CHECKSUM) !== 0) {
    throw new LtxError('LTX_UNSUPPORTED', `unknown header flags 0x${flags.toString(16)}`, HEADER.flags)
  }
  const portable = (flags & FLAG_NO_CHECKSUM) !== 0
  const native = v.getBigUint64(HEADER.preApply)
  if (portable) check(native === 0n, 'checksum given in a file that says it has none')
  // Whatever else a writer keeps in the reserved bytes is its own affair.
  const chained = portable && v.getUint32(HEADER.chainTag) === CHAIN_TAG
  if (chained) check(v.getBigUint64(HEADER.chainPost) !== 0n, 'a checksum chain without the checksum after the file')
  // What is beyond 2^53 is not exact as a number, but still beyond 2^53, and refused below.
  const header: LtxHeader = {
    pageSize: v.getUint32(HEADER.pageSize),
    commit: v.getUint32(HEADER.commit),
    minTxid: Number(v.getBigUint64(HEADER.minTxid)),
    maxTxid: Number(v.getBigUint64(HEADER.maxTxid)),
    timestamp: Number(v.getBigInt64(HEADER.timestamp)),
    checksums: portable ? 'portable' : 'tracked',
    pre: chained ? v.getBigUint64(HEADER.chainPre) : native,
    post: chained ? v.getBigUint64(HEADER.chainPost) : 0n,
    walOffset: Number(v.getBigInt64(HEADER.walOffset)),
    walSize: Number(v.getBigInt64(HEADER.walSize)),
    walSalt1: v.getUint32(HEADER.walSalt1),
    walSalt2: v.getUint32(HEADER.walSalt2),
    nodeId: v.getBigUint64(HEADER.nodeId),
  }
  validateHeader(header)
  return header
}

/** Reads the 16 trailer bytes and checks them against the header. */
export function readTrailer(bytes: Uint8Array, header: LtxHeader): LtxTrailer {
  if (bytes.length < TRAILER_SIZE) throw new LtxError('LTX_TRUNCATED', 'the file is shorter than an LTX trailer')
  const v = new DataView(bytes.buffer, bytes.byteOffset, TRAILER_SIZE)
  const trailer = { post: v.getBigUint64(0), fileChecksum: v.getBigUint64(8) }
  checkTrailer(trailer, header)
  return trailer
}

/** The header with the checksum after the file: a tracked file has it in its trailer, the others in the header itself. */
export function withPost(header: LtxHeader, post: bigint): LtxHeader {
  return header.checksums === 'tracked' ? { ...header, post } : header
}

/** Throws {@link LtxError} `LTX_CORRUPT` if trailer and header contradict each other. */
export function checkTrailer(trailer: LtxTrailer, header: LtxHeader): void {
  const fail = (message: string) => new LtxError('LTX_CORRUPT', `LTX trailer: ${message}`)
  if (header.checksums === 'portable') {
    if (trailer.post !== 0n) throw fail('checksum given in a file that says it has none')
  } else if (!isChecksum(trailer.post)) {
    throw fail('checksum after the file is missing or lacks its top bit')
  }
  if (!isChecksum(trailer.fileChecksum)) throw fail('file checksum is missing or lacks its top bit')
  if (header.commit === 0 && header.checksums === 'tracked' && trailer.post !== CHECKSUM_FLAG) {
    throw fail(EMPTY)
  }
}
