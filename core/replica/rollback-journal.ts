import { randomInt } from 'node:crypto'
import { type FileHandle, open, rename, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { giveBack, takeBuffer } from '../buffers.js'
import { syncFolder } from '../fs/durable.js'
import { writeAll } from '../fs/write-all.js'

/** Offsets in a journal's header, which fills a sector. Source: the SQLite file format document, section 3. */
const HEADER = { magic: 0, records: 8, nonce: 12, pages: 16, sector: 20, pageSize: 24 } as const
const MAGIC = 'd9d505f920a163d7'
const SECTOR = 512

/** A record's checksum is made of every so manieth byte of its page, from the end. */
const STRIDE = 200

/**
 * A rollback journal as SQLite itself writes one: the old versions of pages that are about to be overwritten, and the
 * size that the database had. Whoever opens a database beside which such a file lies, without the lock of whoever wrote
 * it, puts everything back.
 *
 * It takes its name only when it is complete and durable. SQLite's own lies under its name while it is written, and is
 * protected by a field that is filled in at the end; the checksums alone would let a torn record pass.
 */
export class RollbackJournal {
  readonly #path: string
  readonly #temporary: string
  readonly #handle: FileHandle
  readonly #pageSize: number
  readonly #pages: number
  readonly #nonce = randomInt(2 ** 32)
  readonly #buffer: Buffer
  #used = SECTOR
  #written = 0
  #records = 0

  private constructor(path: string, temporary: string, handle: FileHandle, pageSize: number, pages: number) {
    this.#path = path
    this.#temporary = temporary
    this.#handle = handle
    this.#pageSize = pageSize
    this.#pages = pages
    // What is under the header, which is written last, means nothing.
    this.#buffer = takeBuffer()
  }

  /**
   * @param path where it will lie
   * @param temporary where it lies until then, on the same file system
   * @param pages size of the database before the change
   * @param mode permissions, those of the database: whoever may change that may have to roll back
   */
  static async create(
    path: string,
    temporary: string,
    pageSize: number,
    pages: number,
    mode: number,
  ): Promise<RollbackJournal> {
    const handle = await open(temporary, 'wx', 0o600)
    try {
      await handle.chmod(mode)
    } catch (error) {
      await handle.close()
      await unlink(temporary)
      throw error
    }
    return new RollbackJournal(path, temporary, handle, pageSize, pages)
  }

  /** Takes the old version of a page. A promise when the buffer had to be written first. */
  add(page: number, bytes: Uint8Array): Promise<void> | void {
    if (this.#used + this.#pageSize + 8 > this.#buffer.length) return this.#flush().then(() => this.#add(page, bytes))
    this.#add(page, bytes)
    return undefined
  }

  /** Puts the journal in place, durably: from now on the database may be changed. */
  async commit(): Promise<void> {
    await this.#flush()
    const header = Buffer.alloc(SECTOR)
    header.write(MAGIC, HEADER.magic, 'hex')
    header.writeUInt32BE(this.#records, HEADER.records)
    header.writeUInt32BE(this.#nonce, HEADER.nonce)
    header.writeUInt32BE(this.#pages, HEADER.pages)
    header.writeUInt32BE(SECTOR, HEADER.sector)
    header.writeUInt32BE(this.#pageSize, HEADER.pageSize)
    await writeAll(this.#handle, header.subarray(0, SECTOR), 0)
    await this.#handle.sync()
    await this.#handle.close()
    giveBack(this.#buffer)
    await rename(this.#temporary, this.#path)
    await syncFolder(dirname(this.#path))
  }

  /** Throws away what has no name yet. */
  async abandon(): Promise<void> {
    await this.#handle.close().catch(() => undefined)
    await unlink(this.#temporary).catch(() => undefined)
  }

  #add(page: number, bytes: Uint8Array): void {
    const buffer = this.#buffer
    buffer.writeUInt32BE(page, this.#used)
    buffer.set(bytes, this.#used + 4)
    let sum = this.#nonce
    for (let i = this.#pageSize - STRIDE; i > 0; i -= STRIDE) sum = (sum + bytes[i]) >>> 0
    buffer.writeUInt32BE(sum, this.#used + 4 + this.#pageSize)
    this.#used += this.#pageSize + 8
    this.#records++
  }

  async #flush(): Promise<void> {
    await writeAll(this.#handle, this.#buffer.subarray(0, this.#used), this.#written)
    this.#written += this.#used
    this.#used = 0
  }
}
