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

/** Reads varints, one after the other. */
export class VarintReader {
  /** The one that was read last. */
  value = 0

  /**
   * Reads the varint at `bytes[at]` into {@link value} and returns the offset behind it; 0 if it is not all there
   * before `end`. Throws RangeError for a value beyond 2^53.
   */
  read(bytes: Uint8Array, at: number, end: number): number {
    const limit = Math.min(end, at + MAX_VARINT)
    let value = 0
    for (let i = at, scale = 1; i < limit; scale *= 0x80) {
      const byte = bytes[i++]
      value += (byte & 0x7f) * scale
      if (byte >= 0x80) continue
      if (!Number.isSafeInteger(value)) throw new RangeError('varint beyond 2^53')
      this.value = value
      return i
    }
    if (limit - at === MAX_VARINT) throw new RangeError('varint is too long')
    return 0
  }
}
