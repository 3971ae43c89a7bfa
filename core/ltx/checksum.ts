import { checksumWords, pageChecksum as computeChecksum } from '../kernel/kernel.js'
import { CHECKSUM_FLAG } from './layout.js'

/**
 * A database checksum in the making: the xor of the checksums of all its pages, lock page left out, top bit forced on.
 * Kept as two 32-bit words, because a BigInt per page would be garbage.
 */
export class DatabaseChecksum {
  high = 0
  low = 0

  constructor(start: bigint = CHECKSUM_FLAG) {
    this.high = Number(start >> 32n) | 0
    this.low = Number(start & 0xffffffffn) | 0
  }

  /** Adds a page's checksum, or takes it away again. */
  toggle(high: number, low: number): void {
    this.high ^= high
    this.low ^= low
  }

  get value(): bigint {
    return (BigInt(this.high >>> 0) << 32n) | BigInt(this.low >>> 0) | CHECKSUM_FLAG
  }
}

/** Checksum of one page: CRC-64/ISO of its big-endian number and its bytes, top bit forced on. */
export function pageChecksum(page: number, data: Uint8Array): bigint {
  computeChecksum(page, data)
  return (BigInt(checksumWords[0]) << 32n) | BigInt(checksumWords[1])
}

/** A checksum as the sixteen hex digits it is shown and stored as. */
export function formatChecksum(checksum: bigint): string {
  return checksum.toString(16).padStart(16, '0')
}
