import { createHash, randomBytes } from 'node:crypto'
import { type FileHandle, mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { diskError, TEMPORARY } from '../fs/durable.js'
import { readFilePieces } from '../fs/read-body.js'
import { writeAll } from '../fs/write-all.js'
import type { ObjectBody } from '../object-store.js'

/** So many bytes stay in memory, and dozens of these are there at once; more go to a file. */
const IN_MEMORY = 64 * 1024

/** A file in the making, written once and read as often as needed: in memory while it is small, else on disk. */
export class Scratch {
  readonly #parts: Buffer[] = []
  #path: string | undefined
  #handle: FileHandle | undefined
  size = 0
  /** SHA-256 of the bytes, hex. */
  sha256 = ''

  private constructor() {}

  /** Takes a body in. Errors: `E_DISK_FULL`, and whatever the body throws; then nothing is left on disk. */
  static async take(body: ObjectBody, folder: string): Promise<Scratch> {
    const scratch = new Scratch()
    const hash = createHash('sha256')
    try {
      for await (const piece of body) {
        hash.update(piece)
        await scratch.#write(piece, folder)
        scratch.size += piece.length
      }
    } catch (error) {
      await scratch.remove()
      throw error
    } finally {
      await scratch.#handle?.close()
    }
    scratch.sha256 = hash.digest('hex')
    return scratch
  }

  async *body(): ObjectBody {
    if (this.#path === undefined) yield* this.#parts
    else yield* readFilePieces(this.#path)
  }

  async remove(): Promise<void> {
    this.#parts.length = 0
    if (this.#path !== undefined) await rm(this.#path, { force: true })
  }

  async #write(piece: Uint8Array, folder: string): Promise<void> {
    if (!this.#handle && this.size + piece.length <= IN_MEMORY) {
      this.#parts.push(Buffer.from(piece))
      return
    }
    try {
      const handle = this.#handle ?? (await this.#spill(folder))
      await writeAll(handle, piece, this.size)
    } catch (error) {
      throw diskError(error, folder)
    }
  }

  async #spill(folder: string): Promise<FileHandle> {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const path = join(folder, `${TEMPORARY}${randomBytes(6).toString('hex')}`)
    const handle = await open(path, 'wx', 0o600)
    this.#path = path
    // What fails from here on has it closed.
    this.#handle = handle
    await writeAll(handle, Buffer.concat(this.#parts.splice(0)), 0)
    return handle
  }
}
