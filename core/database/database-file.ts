import { closeSync, fstatSync, openSync, read, readSync, realpathSync, statSync } from 'node:fs'
import { promisify } from 'node:util'
import { messageOf, systemCode, WalrustError } from '../errors.js'
import { syncAhead } from '../fs/durable.js'
import { isPageSize } from '../ltx/layout.js'

const readAsync = promisify(read)

const MAGIC = 'SQLite format 3\0'
const HEADER_SIZE = 100

/** What the first page says. */
export interface DatabaseHeader {
  /** Bytes. */
  pageSize: number
  /** Whether the file is in WAL mode. */
  wal: boolean
  /** Size of the database in pages; what the WAL holds is not counted. */
  pages: number
}

/** When the file was last written and how long it is: a change means that somebody wrote it. */
export interface FileMark {
  modified: bigint
  size: bigint
}

const open = new Map<string, DatabaseFile>()

/**
 * The one descriptor that this process has on a database file.
 *
 * POSIX locks belong to the process: closing *any* descriptor on the file drops every lock that SQLite holds on it.
 * So the file is opened once, before the first SQLite connection, and closed after the last; a second open of the same
 * inode is refused. Nothing else in this process may open it.
 */
export class DatabaseFile {
  readonly device: bigint
  readonly inode: bigint
  /** The path with symbolic links resolved: SQLite puts the WAL beside that file. */
  readonly path: string
  readonly #fd: number
  readonly #key: string

  private constructor(path: string, fd: number) {
    this.path = path
    this.#fd = fd
    const { dev, ino } = fstatSync(fd, { bigint: true })
    this.device = dev
    this.inode = ino
    this.#key = `${dev}:${ino}`
  }

  /** Opens a database. Errors: `E_DATABASE_MISSING`, `E_DATABASE_UNREADABLE`, and `E_DATABASE_LOCKED` for a second open. */
  static open(path: string): DatabaseFile {
    // Looked up by name first: opening and closing a second descriptor would already do the harm.
    let real: string
    try {
      real = realpathSync(path)
      const { dev, ino } = statSync(real, { bigint: true })
      if (open.has(`${dev}:${ino}`)) {
        throw new WalrustError('E_DATABASE_LOCKED', `${path} is watched by this process already`, { database: path })
      }
      const file = new DatabaseFile(real, openSync(real, 'r'))
      open.set(file.#key, file)
      return file
    } catch (error) {
      if (error instanceof WalrustError) throw error
      if (systemCode(error) === 'ENOENT') {
        throw new WalrustError('E_DATABASE_MISSING', `there is no file ${path}`, { database: path, cause: error })
      }
      throw new WalrustError('E_DATABASE_UNREADABLE', `cannot open ${path}: ${messageOf(error)}`, {
        database: path,
        cause: error,
      })
    }
  }

  /** Closes the descriptor. Every SQLite connection on the file must be closed before. */
  close(): void {
    open.delete(this.#key)
    closeSync(this.#fd)
  }

  /** See {@link syncAhead}. */
  async sync(): Promise<void> {
    await syncAhead(this.#fd)
  }

  /** What the first page says; `undefined` for a file that is not an SQLite database (an empty one is none yet). */
  header(): DatabaseHeader | undefined {
    const bytes = Buffer.alloc(HEADER_SIZE)
    if (readSync(this.#fd, bytes, 0, HEADER_SIZE, 0) < HEADER_SIZE) return undefined
    if (bytes.toString('latin1', 0, MAGIC.length) !== MAGIC) return undefined
    // 65536 does not fit the two bytes and is stored as 1.
    const stored = bytes.readUInt16BE(16)
    const pageSize = stored === 1 ? 65536 : stored
    if (!isPageSize(pageSize)) return undefined
    // The count in the header is right if the version that wrote it also noted which change it belongs to.
    const counted = bytes.readUInt32BE(24) === bytes.readUInt32BE(92) ? bytes.readUInt32BE(28) : 0
    const pages = counted || Math.ceil(Number(this.mark().size) / pageSize)
    return { pageSize, wal: bytes[18] === 2 && bytes[19] === 2, pages }
  }

  /** Whether the path still leads to the file that is open here. */
  isInPlace(): boolean {
    const stat = statSync(this.path, { bigint: true, throwIfNoEntry: false })
    return stat !== undefined && stat.dev === this.device && stat.ino === this.inode
  }

  mark(): FileMark {
    const { mtimeNs, size } = fstatSync(this.#fd, { bigint: true })
    return { modified: mtimeNs, size }
  }

  /** Reads `into.length` bytes at `offset`; what lies behind the end of the file reads as zeros. */
  async read(into: Uint8Array, offset: number): Promise<void> {
    let done = 0
    while (done < into.length) {
      const { bytesRead } = await readAsync(this.#fd, into, done, into.length - done, offset + done)
      if (bytesRead === 0) break
      done += bytesRead
    }
    into.fill(0, done)
  }

  /** The same, at once. */
  readNow(into: Uint8Array, offset: number): void {
    let done = 0
    while (done < into.length) {
      const bytesRead = readSync(this.#fd, into, done, into.length - done, offset + done)
      if (bytesRead === 0) break
      done += bytesRead
    }
    into.fill(0, done)
  }
}

/**
 * Whether a file is an SQLite database, by its first bytes. One that is open here is: it is not opened a second time,
 * see {@link DatabaseFile}.
 */
export function looksLikeDatabase(path: string): boolean {
  try {
    const { dev, ino } = statSync(path, { bigint: true })
    if (open.has(`${dev}:${ino}`)) return true
    const fd = openSync(path, 'r')
    try {
      const bytes = Buffer.alloc(MAGIC.length)
      return readSync(fd, bytes, 0, bytes.length, 0) === bytes.length && bytes.toString('latin1') === MAGIC
    } finally {
      closeSync(fd)
    }
  } catch {
    return false
  }
}

/** Whether nobody wrote to the file between two looks. */
export function sameMark(a: FileMark, b: FileMark): boolean {
  return a.modified === b.modified && a.size === b.size
}
