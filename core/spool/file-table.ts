import { firstIndex } from '../search.js'

/** What is known of a file in the spool; all of it is in its name and its inode. */
export interface SpoolEntry {
  txid: number
  /** Bytes. */
  size: number
  /** When it was written, milliseconds since the epoch. */
  written: number
}

const FIRST_ROOM = 64
const FIELDS = 3

/**
 * Entries by ascending transaction, 24 bytes each: a day of shipping leaves 86,400 of them. New ones come at the end and
 * old ones go at the beginning, without the others being touched.
 */
export class FileTable {
  #fields = new Float64Array(FIRST_ROOM * FIELDS)
  #start = 0
  #end = 0

  get length(): number {
    return this.#end - this.#start
  }

  /** Entries that fit in without taking more memory. */
  get room(): number {
    return this.#fields.length / FIELDS
  }

  /** @param index from 0, the oldest */
  at(index: number): SpoolEntry {
    const at = (this.#start + index) * FIELDS
    return { txid: this.#fields[at], size: this.#fields[at + 1], written: this.#fields[at + 2] }
  }

  /** Index of the first entry of a transaction at or behind this one; {@link length} if there is none. */
  firstAt(txid: number): number {
    return firstIndex(this.length, (index) => this.#fields[(this.#start + index) * FIELDS] < txid)
  }

  /** The entry of a transaction. */
  find(txid: number): SpoolEntry | undefined {
    const index = this.#indexOf(txid)
    return index < 0 ? undefined : this.at(index)
  }

  /** Takes an entry in, wherever it belongs: at the end without moving others. */
  add({ txid, size, written }: SpoolEntry): void {
    this.#makeRoom()
    const at = (this.#start + this.firstAt(txid)) * FIELDS
    this.#fields.copyWithin(at + FIELDS, at, this.#end * FIELDS)
    this.#fields.set([txid, size, written], at)
    this.#end++
  }

  /** Removes the entry of a transaction: the oldest without moving others. Returns whether there was one. */
  remove(txid: number): boolean {
    const index = this.#indexOf(txid)
    if (index < 0) return false
    if (index === 0) this.#start++
    else {
      const at = (this.#start + index) * FIELDS
      this.#fields.copyWithin(at, at + FIELDS, this.#end * FIELDS)
      this.#end--
    }
    if (this.length === 0) this.#start = this.#end = 0
    return true
  }

  /** Index of the entry of a transaction; -1 if there is none. */
  #indexOf(txid: number): number {
    const index = this.firstAt(txid)
    return index < this.length && this.#fields[(this.#start + index) * FIELDS] === txid ? index : -1
  }

  /** Uses what has become free at the beginning, if that is half of it, or takes twice the room. */
  #makeRoom(): void {
    if ((this.#end + 1) * FIELDS <= this.#fields.length) return
    const used = this.#fields.subarray(this.#start * FIELDS, this.#end * FIELDS)
    const isHalfFree = used.length * 2 <= this.#fields.length
    const target = isHalfFree ? this.#fields : new Float64Array(this.#fields.length * 2)
    target.set(used)
    this.#end -= this.#start
    this.#start = 0
    this.#fields = target
  }
}
