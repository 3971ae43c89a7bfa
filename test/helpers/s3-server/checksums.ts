import { createHash, type Hash } from 'node:crypto'
import { crc32 } from 'node:zlib'

const CRC32C = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n
  for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ 0x82f63b78 : c >>> 1
  return c >>> 0
})

/** CRC-32 with Castagnoli's polynomial. */
export function crc32c(bytes: Uint8Array, before = 0): number {
  let c = ~before >>> 0
  for (const byte of bytes) c = CRC32C[(c ^ byte) & 0xff] ^ (c >>> 8)
  return ~c >>> 0
}

export function base64OfNumber(value: number): string {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes.toString('base64')
}

/** A checksum in the making, of a kind that clients may send. */
export class Checksum {
  readonly #hash: Hash | undefined
  #crc = 0

  constructor(readonly kind: 'sha256' | 'sha1' | 'md5' | 'crc32' | 'crc32c') {
    if (!kind.startsWith('crc')) this.#hash = createHash(kind)
  }

  update(bytes: Uint8Array): void {
    if (this.#hash) this.#hash.update(bytes)
    else this.#crc = this.kind === 'crc32' ? crc32(bytes, this.#crc) : crc32c(bytes, this.#crc)
  }

  base64(): string {
    return this.#hash?.digest('base64') ?? base64OfNumber(this.#crc)
  }
}
