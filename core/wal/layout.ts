/** The SQLite WAL file. Source: the SQLite file format document, section 4. Fields are big-endian. */
import { walSum, type WalSum } from '../kernel/kernel.js'
import { isPageSize } from '../ltx/layout.js'

export const WAL_HEADER_SIZE = 32
export const FRAME_HEADER_SIZE = 24

const MAGIC = 0x377f0682
const VERSION = 3007000

/** Offsets inside a frame's header. */
export const FRAME = { page: 0, commit: 4, salt1: 8, salt2: 12, sum1: 16, sum2: 20 } as const

export interface WalHeader {
  /** The low bit of the magic number: checksums are computed over big-endian words. */
  bigEndian: boolean
  pageSize: number
  salt1: number
  salt2: number
  /** Checksum of the header: where the running checksum of the frames starts. */
  sum: Readonly<WalSum>
}

/** Reads a WAL header. `undefined` unless it is complete, of the known version, and its checksum is right. */
export function readWalHeader(bytes: Uint8Array): WalHeader | undefined {
  if (bytes.length < WAL_HEADER_SIZE) return undefined
  const v = new DataView(bytes.buffer, bytes.byteOffset, WAL_HEADER_SIZE)
  const magic = v.getUint32(0)
  const pageSize = v.getUint32(8)
  if ((magic & ~1) >>> 0 !== MAGIC || v.getUint32(4) !== VERSION || !isPageSize(pageSize)) return undefined
  const bigEndian = (magic & 1) === 1
  const sum = { s1: 0, s2: 0 }
  walSum(sum, bytes.subarray(0, 24), bigEndian)
  if (sum.s1 !== v.getUint32(24) || sum.s2 !== v.getUint32(28)) return undefined
  return { bigEndian, pageSize, salt1: v.getUint32(16), salt2: v.getUint32(20), sum }
}

/** Whether two headers belong to the same generation of the WAL. */
export function sameGeneration(a: WalHeader, b: WalHeader): boolean {
  return a.salt1 === b.salt1 && a.salt2 === b.salt2 && a.pageSize === b.pageSize && a.bigEndian === b.bigEndian
}

/** Where frame `frame` (from 1) starts in the file. */
export function frameOffset(frame: number, pageSize: number): number {
  return WAL_HEADER_SIZE + (frame - 1) * (FRAME_HEADER_SIZE + pageSize)
}
