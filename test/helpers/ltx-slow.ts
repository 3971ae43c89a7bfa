/**
 * The checksums once more: bit by bit, straight from their definitions, sharing nothing with the kernel. What is
 * compared with it here would otherwise only be compared with itself.
 */

/** x^64 + x^4 + x^3 + x + 1, reflected. */
export const POLYNOMIAL = 0xd800000000000000n

/** CRC-64/ISO, one bit after the other, on two halves of 32 bits because BigInt is slower still. */
export class SlowCrc64 {
  #high = 0xffffffff
  #low = 0xffffffff

  update(bytes: Uint8Array): this {
    for (const byte of bytes) {
      this.#low = (this.#low ^ byte) >>> 0
      for (let bit = 0; bit < 8; bit++) {
        const out = this.#low & 1
        this.#low = ((this.#low >>> 1) | (this.#high << 31)) >>> 0
        this.#high = ((this.#high >>> 1) ^ (out ? Number(POLYNOMIAL >> 32n) : 0)) >>> 0
      }
    }
    return this
  }

  digest(): bigint {
    return ((BigInt(this.#high) << 32n) | BigInt(this.#low)) ^ 0xffffffffffffffffn
  }
}

const TOP_BIT = 1n << 63n

export function slowCrc64(...pieces: Uint8Array[]): bigint {
  const crc = new SlowCrc64()
  for (const piece of pieces) crc.update(piece)
  return crc.digest()
}

export function slowPageChecksum(page: number, data: Uint8Array): bigint {
  const number = new Uint8Array(4)
  new DataView(number.buffer).setUint32(0, page)
  return slowCrc64(number, data) | TOP_BIT
}

/** Checksum of a whole database file. */
export function slowDatabaseChecksum(file: Uint8Array, pageSize: number): bigint {
  let sum = 0n
  for (let page = 1; page * pageSize <= file.length; page++) {
    if ((page - 1) * pageSize === 0x40000000) continue
    sum ^= slowPageChecksum(page, file.subarray((page - 1) * pageSize, page * pageSize))
  }
  return sum | TOP_BIT
}

/** The WAL checksum of SQLite's file format page: two sums that feed each other. */
export function slowWalSum(start: [number, number], bytes: Uint8Array, bigEndian: boolean): [number, number] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  let [s1, s2] = start.map(BigInt)
  for (let at = 0; at < bytes.length; at += 8) {
    s1 = (s1 + BigInt(view.getUint32(at, !bigEndian)) + s2) & 0xffffffffn
    s2 = (s2 + BigInt(view.getUint32(at + 4, !bigEndian)) + s1) & 0xffffffffn
  }
  return [Number(s1), Number(s2)]
}

const WAL_HEADER = 32
const FRAME_HEADER = 24
const MAGIC_BIG_ENDIAN = 0x377f0683
const MAGIC_LITTLE_ENDIAN = 0x377f0682

/**
 * Computes all checksums of a WAL anew, in the byte order asked for: real WALs of this machine's SQLite become such
 * as the other kind of machine writes, and an edited frame one that only its edited field gives away.
 */
export function resealWal(wal: Uint8Array, bigEndian: boolean): Uint8Array {
  const out = wal.slice()
  const view = new DataView(out.buffer)
  view.setUint32(0, bigEndian ? MAGIC_BIG_ENDIAN : MAGIC_LITTLE_ENDIAN)
  let sum = slowWalSum([0, 0], out.subarray(0, 24), bigEndian)
  view.setUint32(24, sum[0])
  view.setUint32(28, sum[1])
  const frame = FRAME_HEADER + view.getUint32(8)
  const salts = view.getBigUint64(16)
  for (let at = WAL_HEADER; at + frame <= out.length; at += frame) {
    if (view.getBigUint64(at + 8) !== salts) break
    sum = slowWalSum(sum, out.subarray(at, at + 8), bigEndian)
    sum = slowWalSum(sum, out.subarray(at + FRAME_HEADER, at + frame), bigEndian)
    view.setUint32(at + 16, sum[0])
    view.setUint32(at + 20, sum[1])
  }
  return out
}
