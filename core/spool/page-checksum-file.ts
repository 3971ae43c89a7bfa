import { type FileHandle, open } from 'node:fs/promises'
import { diskError } from '../fs/durable.js'
import { PageChecksums } from '../pages/page-checksums.js'
import { Crc64 } from '../kernel/kernel.js'
import { isPageSize } from '../ltx/layout.js'

const MAGIC = 0x57524354 // "WRCT"
const VERSION = 1
/** The header has a sector of its own: it is written alone, after the entries it speaks of. */
const HEADER_SIZE = 4096
const HEADER_USED = 40
const READ_ENTRIES = 32768

/**
 * The page checksums on disk: a header, then eight bytes a page, as they lie in memory.
 *
 * Saving writes the changed blocks in place, fsyncs, then the header with the new transaction, and fsyncs again. After a
 * kill in between, entries are a mixture of the transaction in the header and later ones. Every entry that can be
 * newer belongs to a page that a later file holds, so applying those files in order makes the table right again; the
 * result counts only if its checksum is the one recorded for the last of them. Files are kept in the spool until the
 * header has passed them.
 */
export class PageChecksumFile {
  readonly #path: string
  #handle: FileHandle | undefined

  constructor(path: string) {
    this.#path = path
  }

  /** The table as it lies there and the transaction it was saved for; `undefined` if there is none that makes sense. */
  async load(): Promise<{ table: PageChecksums; txid: number } | undefined> {
    let handle: FileHandle
    try {
      handle = await open(this.#path, 'r')
    } catch {
      return undefined
    }
    try {
      const header = await readHeader(handle)
      if (!header) return undefined
      const table = new PageChecksums(header.pageSize)
      table.resize(header.commit)
      const complete = await readEntries(handle, table)
      table.takeDirty(() => undefined)
      return complete ? { table, txid: header.txid } : undefined
    } finally {
      await handle.close()
    }
  }

  /** Makes the table durable as that of `txid`. Errors: `E_DISK_FULL`, `E_STATE`. */
  async save(table: PageChecksums, txid: number): Promise<void> {
    try {
      const handle = (this.#handle ??= await openForWriting(this.#path))
      const runs: Array<[number, number]> = []
      table.takeDirty((first, entries) => runs.push([first, entries]))
      try {
        for (const [first, entries] of runs) {
          for (let done = 0; done < entries;) {
            const bytes = table.entryBytes(first + done, entries - done)
            await handle.write(bytes, 0, bytes.length, HEADER_SIZE + (first + done) * 8)
            done += bytes.length / 8
          }
        }
        // Longer before the header says so, shorter only after it: the file always holds what its header promises.
        const { size } = await handle.stat()
        const needed = HEADER_SIZE + table.commit * 8
        if (size < needed) await handle.truncate(needed)
        await handle.datasync()
        await handle.write(headerBytes(table, txid), 0, HEADER_USED, 0)
        await handle.datasync()
        if (size > needed) await handle.truncate(needed)
      } catch (error) {
        table.touchAll()
        throw error
      }
    } catch (error) {
      throw diskError(error, this.#path)
    }
  }

  async close(): Promise<void> {
    await this.#handle?.close()
    this.#handle = undefined
  }
}

async function openForWriting(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r+')
  } catch {
    return await open(path, 'w+', 0o600)
  }
}

function headerBytes(table: PageChecksums, txid: number): Uint8Array {
  const bytes = new Uint8Array(HEADER_USED)
  const v = new DataView(bytes.buffer)
  v.setUint32(0, MAGIC, true)
  v.setUint32(4, VERSION, true)
  v.setUint32(8, table.pageSize, true)
  v.setUint32(12, table.commit, true)
  v.setBigUint64(16, BigInt(txid), true)
  v.setBigUint64(24, table.checksum, true)
  v.setBigUint64(32, crcOf(bytes.subarray(0, 32)), true)
  return bytes
}

async function readHeader(handle: FileHandle): Promise<{ pageSize: number; commit: number; txid: number } | undefined> {
  const bytes = new Uint8Array(HEADER_USED)
  const { bytesRead } = await handle.read(bytes, 0, HEADER_USED, 0)
  const v = new DataView(bytes.buffer)
  if (bytesRead < HEADER_USED || v.getUint32(0, true) !== MAGIC || v.getUint32(4, true) !== VERSION) return undefined
  if (v.getBigUint64(32, true) !== crcOf(bytes.subarray(0, 32))) return undefined
  const [pageSize, commit] = [v.getUint32(8, true), v.getUint32(12, true)]
  const { size } = await handle.stat()
  // The size is held against the file before anything is allocated by it.
  if (!isPageSize(pageSize) || size < HEADER_SIZE + commit * 8) return undefined
  return { pageSize, commit, txid: Number(v.getBigUint64(16, true)) }
}

async function readEntries(handle: FileHandle, table: PageChecksums): Promise<boolean> {
  const buffer = new Uint8Array(Math.max(1, Math.min(READ_ENTRIES, table.commit)) * 8)
  const words = new Uint32Array(buffer.buffer)
  for (let page = 1; page <= table.commit;) {
    const entries = Math.min(buffer.length / 8, table.commit - page + 1)
    const { bytesRead } = await handle.read(buffer, 0, entries * 8, HEADER_SIZE + (page - 1) * 8)
    if (bytesRead < entries * 8) return false
    for (let i = 0; i < entries; i++, page++) table.set(page, words[i * 2], words[i * 2 + 1])
  }
  return true
}

function crcOf(bytes: Uint8Array): bigint {
  const crc = new Crc64()
  crc.update(bytes)
  return crc.digest()
}
