import { writeSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { writeAll } from '../fs/write-all.js'

const BUFFER = 1024 * 1024
/** Up to so many bytes are written at once, without asking another thread to: that takes longer than to copy them. */
const SMALL = 64 * 1024

/** Writes pages into a database file, neighbouring ones in one piece. Keeps no more than one buffer. */
export class PageWriter {
  readonly #handle: FileHandle
  readonly #pageSize: number
  readonly #buffer: Buffer
  #first = 0
  #count = 0

  constructor(handle: FileHandle, pageSize: number) {
    this.#handle = handle
    this.#pageSize = pageSize
    this.#buffer = Buffer.allocUnsafeSlow(Math.max(BUFFER, pageSize))
  }

  /** Takes a page; a promise when the buffer had to be written first. */
  write(page: number, bytes: Uint8Array): Promise<void> | void {
    const room = (this.#count + 1) * this.#pageSize <= this.#buffer.length
    if (this.#count > 0 && (page !== this.#first + this.#count || !room)) {
      if (!this.#flushSmall()) return this.flush().then(() => this.#add(page, bytes))
    }
    this.#add(page, bytes)
    return undefined
  }

  /** Writes what was taken. */
  async flush(): Promise<void> {
    if (this.#flushSmall()) return
    const size = this.#count * this.#pageSize
    const at = (this.#first - 1) * this.#pageSize
    await writeAll(this.#handle, this.#buffer.subarray(0, size), at)
    this.#count = 0
  }

  #flushSmall(): boolean {
    const size = this.#count * this.#pageSize
    if (size > SMALL) return false
    const at = (this.#first - 1) * this.#pageSize
    for (let done = 0; done < size;) done += writeSync(this.#handle.fd, this.#buffer, done, size - done, at + done)
    this.#count = 0
    return true
  }

  #add(page: number, bytes: Uint8Array): void {
    if (this.#count === 0) this.#first = page
    this.#buffer.set(bytes, this.#count * this.#pageSize)
    this.#count++
  }
}
