const EMPTY = 0
const FIELDS = 3
const MAX_LOAD = 0.6
const FIRST_CAPACITY = 256
/** Room that is worth keeping for the next generation: about a megabyte. */
const KEPT_CAPACITY = 65536

/**
 * The newest frame of each page and that page's checksum: a hash table in typed arrays, because a JavaScript Map would
 * make garbage for every frame. About 27 to 53 bytes a page.
 */
export class PageMap {
  #keys: Uint32Array
  #values: Uint32Array
  #size = 0
  #mask: number

  /** Found by the last successful {@link find}. */
  frame = 0
  high = 0
  low = 0

  constructor(capacity = FIRST_CAPACITY) {
    this.#keys = new Uint32Array(capacity)
    this.#values = new Uint32Array(capacity * FIELDS)
    this.#mask = capacity - 1
  }

  /** Forgets everything and keeps the room for as much again, unless that is much. */
  clear(): void {
    if (this.#keys.length > KEPT_CAPACITY) {
      this.#keys = new Uint32Array(FIRST_CAPACITY)
      this.#values = new Uint32Array(FIRST_CAPACITY * FIELDS)
      this.#mask = FIRST_CAPACITY - 1
    } else {
      this.#keys.fill(EMPTY)
    }
    this.#size = 0
  }

  /** Pages held. */
  get size(): number {
    return this.#size
  }

  /** Notes that `frame` holds the newest version of `page` (from 1). */
  set(page: number, frame: number, high: number, low: number): void {
    let slot = this.#slot(page)
    if (this.#keys[slot] === EMPTY) {
      if (this.#size + 1 > this.#keys.length * MAX_LOAD) {
        this.#grow()
        slot = this.#slot(page)
      }
      this.#keys[slot] = page
      this.#size++
    }
    const at = slot * FIELDS
    this.#values[at] = frame
    this.#values[at + 1] = high
    this.#values[at + 2] = low
  }

  /** Looks a page up and leaves what is known of it in {@link frame}, {@link high} and {@link low}. */
  find(page: number): boolean {
    const slot = this.#slot(page)
    if (this.#keys[slot] === EMPTY) return false
    const at = slot * FIELDS
    this.frame = this.#values[at]
    this.high = this.#values[at + 1]
    this.low = this.#values[at + 2]
    return true
  }

  #slot(page: number): number {
    // Fibonacci hashing: neighbouring pages, which are the common case, spread over the table.
    let slot = (Math.imul(page, 0x9e3779b1) >>> 7) & this.#mask
    while (this.#keys[slot] !== EMPTY && this.#keys[slot] !== page) slot = (slot + 1) & this.#mask
    return slot
  }

  #grow(): void {
    const [keys, values] = [this.#keys, this.#values]
    this.#keys = new Uint32Array(keys.length * 2)
    this.#values = new Uint32Array(values.length * 2)
    this.#mask = this.#keys.length - 1
    keys.forEach((page, old) => {
      if (page === EMPTY) return
      const slot = this.#slot(page)
      this.#keys[slot] = page
      this.#values.set(values.subarray(old * FIELDS, old * FIELDS + FIELDS), slot * FIELDS)
    })
  }
}
