/** A small seeded generator (mulberry32), so that a failure can be repeated by its seed. */
export class Random {
  #state: number

  constructor(readonly seed: number) {
    this.#state = seed >>> 0
  }

  /** An unsigned 32-bit number. */
  word(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let t = this.#state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return (t ^ (t >>> 14)) >>> 0
  }

  /** A number from 0 up to, but not including, `end`. */
  below(end: number): number {
    return Math.floor((this.word() / 0x100000000) * end)
  }

  between(first: number, last: number): number {
    return first + this.below(last - first + 1)
  }

  chance(share: number): boolean {
    return this.word() / 0x100000000 < share
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]
  }

  bytes(length: number): Uint8Array {
    const out = new Uint8Array(length)
    for (let i = 0; i < length; i++) out[i] = this.word()
    return out
  }

  /** Bytes as databases hold them: runs, repetitions, text, noise. */
  page(size: number): Uint8Array {
    const out = new Uint8Array(size)
    let at = 0
    while (at < size) {
      const length = Math.min(size - at, 1 + this.below(1 << this.between(1, 12)))
      switch (this.below(4)) {
        case 0:
          out.fill(this.word(), at, at + length)
          break
        case 1:
          for (let i = 0; i < length; i++) out[at + i] = 97 + this.below(12)
          break
        case 2: {
          const distance = at === 0 ? 0 : this.between(1, at)
          for (let i = 0; i < length; i++) out[at + i] = distance === 0 ? 0 : out[at + i - distance]
          break
        }
        default:
          for (let i = 0; i < length; i++) out[at + i] = this.word()
      }
      at += length
    }
    return out
  }
}
