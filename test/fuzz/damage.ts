import { concat } from '../helpers/ltx-forge.js'
import type { Random } from '../helpers/ltx-random.js'

/** Numbers at which sizes and counts go wrong. */
export const edges = [
  0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff,
]

/** The bytes with one or a few things done to them that happen to files, or that somebody does to them. */
export function damage(random: Random, bytes: Uint8Array, others: readonly Uint8Array[] = [bytes]): Uint8Array {
  let out: Uint8Array = Uint8Array.from(bytes)
  for (let n = random.pick([1, 1, 1, 2, 4]); n > 0; n--) {
    const at = random.below(out.length + 1)
    const view = new DataView(out.buffer, out.byteOffset, out.length)
    switch (random.below(9)) {
      case 0:
      case 1:
        if (at < out.length) out[at] ^= 1 << random.below(8)
        break
      case 2:
        if (at < out.length) out[at] = random.word()
        break
      case 3:
        if (at + 4 <= out.length) view.setUint32(at, random.pick(edges), random.chance(0.5))
        break
      case 4:
        out = out.slice(0, at)
        break
      case 5:
        out = concat(out.subarray(0, at), random.bytes(random.between(1, 20)), out.subarray(at))
        break
      case 6:
        out = concat(out.subarray(0, at), out.subarray(Math.min(out.length, at + random.between(1, 40))))
        break
      case 7: {
        const other = random.pick(others)
        out = concat(out.subarray(0, at), other.subarray(random.below(other.length)))
        break
      }
      default:
        out.fill(random.pick([0, 0xff]), at, at + random.between(1, 64))
    }
  }
  return out
}
