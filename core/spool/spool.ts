import { createHash } from 'node:crypto'
import { statSync } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, rename, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { systemCode, WalrustError } from '../errors.js'
import { diskError, syncFolder, TEMPORARY, temporaryName } from '../fs/durable.js'
import { writeAll } from '../fs/write-all.js'
import type { ObjectBody } from '../object-store.js'
import { fileName, parseFileName } from '../object-keys.js'
import { FileTable, type SpoolEntry } from './file-table.js'

/** Folder of what nothing goes on with. */
const SET_ASIDE = 'set-aside'

/** A file in the spool, under the name it has or will have in storage. */
export interface SpooledFile {
  minTxid: number
  maxTxid: number
  path: string
  /** Bytes. */
  size: number
  /** When it was written, milliseconds since the epoch. */
  written: number
}

/** So many files are asked for their size before others get their turn. */
const SLICE = 1000

/**
 * Files between encoding and storage, and afterwards as a cache.
 *
 * `write` is the commit point of a file: written under a temporary name, fsynced, renamed to its final name, folder
 * fsynced. States a kill can leave: a temporary file (thrown away at the next start), or a whole file. A file under its
 * final name is never written again: its bytes may already be in storage.
 */
export class Spool {
  readonly folder: string
  readonly #files = new FileTable()
  #bytes = 0

  private constructor(folder: string) {
    this.folder = folder
  }

  /** Opens the spool of a folder, made if need be, and throws away what was left half done. */
  static async open(folder: string): Promise<Spool> {
    const spool = new Spool(folder)
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 })
      // In the order of their transactions.
      const names = (await readdir(folder)).sort()
      for (const [index, name] of names.entries()) {
        // Each for itself on another thread, ten thousand of them took a second.
        if (index % SLICE === SLICE - 1) await new Promise((resolve) => setImmediate(resolve))
        if (name.startsWith(TEMPORARY)) await unlink(join(folder, name))
        const id = parseFileName(name)
        if (!id || id.minTxid !== id.maxTxid) continue
        const { size, mtimeMs } = statSync(join(folder, name))
        spool.#add({ txid: id.maxTxid, size, written: mtimeMs })
      }
    } catch (error) {
      throw diskError(error, folder)
    }
    return spool
  }

  /** Oldest first. A list of all of them: a day of shipping leaves 86,400. */
  get files(): readonly SpooledFile[] {
    return this.after(0)
  }

  get oldest(): SpooledFile | undefined {
    return this.#files.length > 0 ? this.#fileOf(this.#files.at(0)) : undefined
  }

  /** How many there are. */
  get count(): number {
    return this.#files.length
  }

  /** Bytes of all of them. */
  get bytes(): number {
    return this.#bytes
  }

  /** Those behind a transaction, oldest first. */
  after(txid: number): readonly SpooledFile[] {
    const files: SpooledFile[] = []
    for (let i = this.#files.firstAt(txid + 1); i < this.#files.length; i++) files.push(this.#fileOf(this.#files.at(i)))
    return files
  }

  find(txid: number): SpooledFile | undefined {
    const entry = this.#files.find(txid)
    return entry && this.#fileOf(entry)
  }

  /**
   * Takes a file in, whole or not at all; afterwards it survives SIGKILL and power failure.
   *
   * @returns the file and the SHA-256 of its bytes, hex. Errors: `E_DISK_FULL`, `E_STATE`, and whatever `body` throws
   */
  async write(txid: number, body: ObjectBody): Promise<{ file: SpooledFile; sha256: string }> {
    const path = this.#path(txid)
    const temporary = temporaryName(path)
    try {
      if (this.find(txid)) throw new WalrustError('E_INTERNAL', `the spool holds transaction ${txid} already`)
      const handle = await open(temporary, 'wx', 0o600)
      let written: { size: number; sha256: string }
      try {
        written = await writeBody(handle, body)
        await handle.sync()
      } finally {
        await handle.close()
      }
      await rename(temporary, path)
      await syncFolder(dirname(path))
      const entry = { txid, size: written.size, written: Date.now() }
      this.#add(entry)
      return { file: this.#fileOf(entry), sha256: written.sha256 }
    } catch (error) {
      await unlink(temporary).catch(() => undefined)
      throw diskError(error, path)
    }
  }

  /** Forgets a file and deletes it. */
  async remove(file: SpooledFile): Promise<void> {
    this.#forget(file)
    await unlink(file.path).catch(() => undefined)
  }

  /** Moves a file out of the way, where it does no harm and can still be looked at. */
  async setAside(file: SpooledFile): Promise<string> {
    this.#forget(file)
    const folder = join(this.folder, SET_ASIDE)
    const path = join(folder, `${Date.now()}-${fileName(file)}`)
    await mkdir(folder, { recursive: true, mode: 0o700 })
    await rename(file.path, path)
    return path
  }

  /**
   * Removes what was set aside before a moment, milliseconds since the epoch. Nothing goes on with those files; they are
   * there for people to look at. Errors: `E_STATE`.
   */
  async sweep(before: number): Promise<void> {
    const folder = join(this.folder, SET_ASIDE)
    try {
      for (const name of await readdir(folder)) {
        const since = /^(\d+)-/.exec(name)
        if (since && Number(since[1]) < before) await unlink(join(folder, name))
      }
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw diskError(error, folder)
    }
  }

  #add(entry: SpoolEntry): void {
    this.#files.add(entry)
    this.#bytes += entry.size
  }

  #forget({ maxTxid, size }: SpooledFile): void {
    if (this.#files.remove(maxTxid)) this.#bytes -= size
  }

  #fileOf({ txid, size, written }: SpoolEntry): SpooledFile {
    return { minTxid: txid, maxTxid: txid, path: this.#path(txid), size, written }
  }

  #path(txid: number): string {
    return join(this.folder, fileName({ minTxid: txid, maxTxid: txid }))
  }
}

async function writeBody(handle: FileHandle, body: ObjectBody): Promise<{ size: number; sha256: string }> {
  const hash = createHash('sha256')
  let size = 0
  for await (const piece of body) {
    hash.update(piece)
    await writeAll(handle, piece, size)
    size += piece.length
  }
  return { size, sha256: hash.digest('hex') }
}
