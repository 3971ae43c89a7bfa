import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs'
import { scratch, type WalSum } from '../kernel/kernel.js'
import { systemCode } from '../errors.js'
import { syncAhead } from '../fs/durable.js'
import { FRAME, FRAME_HEADER_SIZE, frameOffset, readWalHeader, WAL_HEADER_SIZE, type WalHeader } from './layout.js'

/**
 * The bytes of the `-wal` file. Closing a descriptor on it is harmless, unlike on the database and its `-shm`.
 * Everything is read at once: what is asked for was written moments ago.
 */
export class WalFile {
  readonly path: string
  #fd: number | undefined
  #closed = false
  readonly #head = Buffer.alloc(WAL_HEADER_SIZE)

  /** @param database path of the database, symbolic links resolved */
  constructor(database: string) {
    this.path = `${database}-wal`
  }

  /** The header as it is now; `undefined` while there is no file, or none that SQLite has begun. */
  header(): WalHeader | undefined {
    const fd = this.#open()
    if (fd === undefined || readSync(fd, this.#head, 0, WAL_HEADER_SIZE, 0) < WAL_HEADER_SIZE) return undefined
    return readWalHeader(this.#head)
  }

  /** Running checksum stored with a frame (from 1), or `undefined` if the file is not that long. */
  sumAt(frame: number, pageSize: number): WalSum | undefined {
    const fd = this.#open()
    if (fd === undefined) return undefined
    const bytes = this.#head
    if (readSync(fd, bytes, 0, FRAME_HEADER_SIZE, frameOffset(frame, pageSize)) < FRAME_HEADER_SIZE) return undefined
    return { s1: bytes.readUInt32BE(FRAME.sum1), s2: bytes.readUInt32BE(FRAME.sum2) }
  }

  /** Reads `count` frames from `frame` on into the kernel's scratch buffer. Returns how many were there in full. */
  readFrames(frame: number, count: number, pageSize: number): number {
    const fd = this.#open()
    if (fd === undefined) return 0
    const size = FRAME_HEADER_SIZE + pageSize
    return Math.floor(readSync(fd, scratch, 0, count * size, frameOffset(frame, pageSize)) / size)
  }

  /** Reads the page of one frame; false if it is not there in full. */
  readPage(frame: number, pageSize: number, into: Uint8Array): boolean {
    const fd = this.#open()
    if (fd === undefined) return false
    return readSync(fd, into, 0, pageSize, frameOffset(frame, pageSize) + FRAME_HEADER_SIZE) === pageSize
  }

  /** Whether the path leads to another file than the one open here, or to none. */
  isReplaced(): boolean {
    if (this.#fd === undefined) return false
    const stat = statSync(this.path, { throwIfNoEntry: false })
    const own = fstatSync(this.#fd)
    return stat === undefined || stat.ino !== own.ino || stat.dev !== own.dev
  }

  /** See {@link syncAhead}. */
  async sync(): Promise<void> {
    const fd = this.#open()
    if (fd !== undefined) await syncAhead(fd)
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd)
    this.#fd = undefined
    this.#closed = true
  }

  #open(): number | undefined {
    if (this.#fd !== undefined || this.#closed) return this.#fd
    try {
      this.#fd = openSync(this.path, 'r')
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw error
    }
    return this.#fd
  }
}
