/** LZ4 blocks, read slowly and strictly by the block format's description. */

export interface Sequence {
  /** Where in the page the literals begin and how many there are. */
  at: number
  literals: number
  /** 0 for the last sequence of a block, which has no match. */
  match: number
  distance: number
  token: number
}

/** The sequences of a block and what they inflate to; `undefined` unless that is exactly `size` bytes. */
export function slowInflate(block: Uint8Array, size: number): { page: Uint8Array; sequences: Sequence[] } | undefined {
  const page = new Uint8Array(size)
  const sequences: Sequence[] = []
  let [from, to] = [0, 0]
  const length = (start: number): number | undefined => {
    if (start < 15) return start
    for (let sum = start; from < block.length;) {
      const byte = block[from++]
      sum += byte
      if (byte < 255) return sum
    }
    return undefined
  }
  while (from < block.length) {
    const token = block[from++]
    const literals = length(token >> 4)
    if (literals === undefined || from + literals > block.length || to + literals > size) return undefined
    page.set(block.subarray(from, from + literals), to)
    const at = to
    from += literals
    to += literals
    if (from === block.length) {
      sequences.push({ at, literals, match: 0, distance: 0, token })
      return to === size ? { page, sequences } : undefined
    }
    if (from + 2 > block.length) return undefined
    const distance = block[from] | (block[from + 1] << 8)
    from += 2
    const rest = length(token & 15)
    if (rest === undefined || distance === 0 || distance > to || to + rest + 4 > size) return undefined
    for (let i = 0; i < rest + 4; i++, to++) page[to] = page[to - distance]
    sequences.push({ at, literals, match: rest + 4, distance, token })
  }
  return undefined
}
