/**
 * Writes LTX files by hand, so that anything in them can be made a lie while the file checksum stays right: what is
 * refused is then refused for the lie. Shares no code with the encoder under test.
 */
import { slowCrc64 } from './ltx-slow.js'

export interface ForgedPage {
  page: number
  data: Uint8Array
  /** Default: 1, a size and an LZ4 block follow. */
  flags?: number
  /** The compressed bytes. Default: an LZ4 block of literals only. */
  block?: Uint8Array
  /** The size field. Default: the block's size. */
  size?: number
}

export interface IndexRow {
  page: number
  offset: number
  size: number
}

export interface Forgery {
  flags?: number
  pageSize?: number
  commit?: number
  minTxid?: bigint
  maxTxid?: bigint
  timestamp?: bigint
  pre?: bigint
  walOffset?: bigint
  walSize?: bigint
  salt1?: number
  salt2?: number
  nodeId?: bigint
  chainPre?: bigint
  chainPost?: bigint
  chainTag?: number
  pages?: ForgedPage[]
  /** The six bytes that end the pages. */
  endMark?: Uint8Array
  /** What the index says instead of the truth. */
  index?: (rows: IndexRow[]) => IndexRow[]
  /** The bytes of the index entries and their ending zero, instead of those made from the rows. */
  indexBytes?: (bytes: Uint8Array) => Uint8Array
  indexSize?: (size: bigint) => bigint
  post?: bigint
  /** Bytes behind the end. */
  tail?: Uint8Array
}

/** An LZ4 block without any compression. */
export function literalBlock(data: Uint8Array): Uint8Array {
  const head: number[] = []
  let rest = data.length
  if (rest < 15) head.push(rest << 4)
  else {
    head.push(0xf0)
    for (rest -= 15; rest >= 255; rest -= 255) head.push(255)
    head.push(rest)
  }
  return concat(Uint8Array.from(head), data)
}

export function concat(...pieces: Uint8Array[]): Uint8Array {
  const out = new Uint8Array(pieces.reduce((size, piece) => size + piece.length, 0))
  let at = 0
  for (const piece of pieces) {
    out.set(piece, at)
    at += piece.length
  }
  return out
}

export function varint(value: number | bigint): Uint8Array {
  const out: number[] = []
  let rest = BigInt(value)
  for (; rest >= 0x80n; rest >>= 7n) out.push(Number(rest & 0x7fn) | 0x80)
  out.push(Number(rest))
  return Uint8Array.from(out)
}

function bigEndian(size: number, value: number | bigint): Uint8Array {
  const out = new Uint8Array(8)
  new DataView(out.buffer).setBigUint64(0, BigInt.asUintN(64, BigInt(value)))
  return out.subarray(8 - size)
}

export function forge(f: Forgery): Uint8Array {
  const header = concat(
    Buffer.from('LTX1', 'latin1'),
    bigEndian(4, f.flags ?? 2),
    bigEndian(4, f.pageSize ?? 512),
    bigEndian(4, f.commit ?? 8),
    bigEndian(8, f.minTxid ?? 2n),
    bigEndian(8, f.maxTxid ?? 2n),
    bigEndian(8, f.timestamp ?? 1000n),
    bigEndian(8, f.pre ?? 0n),
    bigEndian(8, f.walOffset ?? 0n),
    bigEndian(8, f.walSize ?? 0n),
    bigEndian(4, f.salt1 ?? 0),
    bigEndian(4, f.salt2 ?? 0),
    bigEndian(8, f.nodeId ?? 0n),
    bigEndian(8, f.chainPre ?? 0n),
    bigEndian(8, f.chainPost ?? 0n),
    bigEndian(4, f.chainTag ?? 0),
  )
  const stored: Uint8Array[] = [header]
  const hashed: Uint8Array[] = [header]
  const rows: IndexRow[] = []
  let offset = header.length
  for (const { page, data, flags = 1, block = literalBlock(data), size = block.length } of f.pages ?? []) {
    const head = concat(bigEndian(4, page), bigEndian(2, flags), flags & 1 ? bigEndian(4, size) : new Uint8Array(0))
    stored.push(head, block)
    hashed.push(head, data)
    rows.push({ page, offset, size: head.length + block.length })
    offset += head.length + block.length
  }
  const entries = (f.index?.(rows) ?? rows).flatMap((row) => [varint(row.page), varint(row.offset), varint(row.size)])
  const plain = concat(...entries, Uint8Array.of(0))
  const index = f.indexBytes?.(plain) ?? plain
  const size = BigInt(index.length)
  const tail = concat(
    f.endMark ?? new Uint8Array(6),
    index,
    bigEndian(8, f.indexSize?.(size) ?? size),
    bigEndian(8, f.post ?? 0n),
  )
  const checksum = slowCrc64(...hashed, tail) | (1n << 63n)
  return concat(...stored, tail, bigEndian(8, checksum), f.tail ?? new Uint8Array(0))
}
