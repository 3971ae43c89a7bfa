/** Unsigned varints, little end first, seven bits a byte: the integers of the page index. Values up to 2^53 - 1. */

/** Longest encoding of a value that JavaScript can hold exactly. */
export const MAX_VARINT = 8

/** Writes `value` at `out[at]` and returns the offset behind it. */
export function writeVarint(value: number, out: Uint8Array, at: number): number {
  while (value >= 0x80) {
    out[at++] = (value % 0x80) | 0x80
    value = Math.floor(value / 0x80)
  }
  out[at++] = value
  return at
}

/** Reads varints from pieces of a stream, a byte at a time. */
export class VarintReader {
  value = 0
  #scale = 1
  #bytes = 0

  /** Takes one byte; true when {@link value} is complete. Throws RangeError for a value beyond 2^53. */
  push(byte: number): boolean {
    if (this.#bytes === 0) {
      this.value = 0
      this.#scale = 1
    }
    if (++this.#bytes > MAX_VARINT) throw new RangeError('varint is too long')
    this.value += (byte & 0x7f) * this.#scale
    if (!Number.isSafeInteger(this.value)) throw new RangeError('varint beyond 2^53')
    this.#scale *= 0x80
    if (byte & 0x80) return false
    this.#bytes = 0
    return true
  }

  /** Whether a value has begun and not ended. */
  get partial(): boolean {
    return this.#bytes > 0
  }
}
