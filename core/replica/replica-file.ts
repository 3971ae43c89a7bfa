import Database from 'better-sqlite3'
import { type FileHandle, open, stat, unlink } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { dirname, join } from 'node:path'
import { databaseError, isBusy } from '../database/connection.js'
import { messageOf, WalrustError } from '../errors.js'
import { diskError, syncFolder } from '../fs/durable.js'
import { checksumWords, pageChecksum } from '../kernel/kernel.js'
import { lockPage } from '../ltx/layout.js'
import { PageChecksums } from '../pages/page-checksums.js'
import type { PageSet } from '../pages/page-set.js'
import { PageWriter } from '../restore/page-writer.js'
import { applyChecksums } from '../ship/checksum-delta.js'
import { HEAD_SIZE, isWal, type PageHead, readHead, replicaHead, writeHead } from './head.js'
import { readPages } from './page-reader.js'
import { RollbackJournal } from './rollback-journal.js'
import type { Staged } from './staging.js'
import type { ReplicaPoint, ReplicaState } from './state.js'

/**
 * How long to wait for readers at each attempt to lock them out, in milliseconds. First without keeping anybody from
 * beginning to read; then readers that come while we wait have to wait, too, for as long as that.
 */
const LOCK_WAITS = [0, 0, 0, 20, 50, 100, 200, 400, 800, 1000]
const LOCK_PAUSE = 5

interface FileIdentity {
  readonly dev: number
  readonly ino: number
  /** Permissions. */
  readonly mode: number
}

/**
 * The database file of a replica: one descriptor and one SQLite connection, kept open together, because closing any
 * descriptor on the file drops the locks that SQLite holds on it.
 *
 * A change is one transaction for everybody who reads the file with SQLite: it is made under SQLite's exclusive lock,
 * behind a rollback journal, and its commit is the removal of that journal. States a kill can leave:
 * - a journal among the incoming files (thrown away at the next start), file untouched
 * - a journal in place, file in any state between: the next to open it, reader or we, puts everything back
 * - no journal, file changed: the change counter is the new state's
 */
export class ReplicaFile {
  readonly #path: string
  /** Folder for what is in the making, on the same file system. */
  readonly #incoming: string
  readonly #handle: FileHandle
  readonly #db: Database.Database
  readonly #identity: FileIdentity
  #point: ReplicaPoint
  #table: PageChecksums

  private constructor(
    path: string,
    incoming: string,
    handle: FileHandle,
    db: Database.Database,
    identity: FileIdentity,
    point: ReplicaPoint,
  ) {
    this.#path = path
    this.#incoming = incoming
    this.#handle = handle
    this.#db = db
    this.#identity = identity
    this.#point = point
    this.#table = new PageChecksums(point.pageSize)
  }

  /**
   * Opens a replica and reads it from end to end: it has to be, byte for byte, the state that it is said to be in.
   *
   * Errors: `E_NOT_REPLICA` if it is anything else, `E_DATABASE_…`.
   *
   * @param path with symbolic links resolved
   * @param incoming empty folder for what is in the making, on the same file system
   */
  static async open(path: string, incoming: string, state: ReplicaState): Promise<ReplicaFile> {
    // Before the connection, closed after it: see above.
    const handle = await open(path, 'r+')
    let db: Database.Database | undefined
    try {
      db = connect(path)
      const { dev, ino, mode } = await handle.stat()
      const file = new ReplicaFile(path, incoming, handle, db, { dev, ino, mode: mode & 0o777 }, state.at)
      await file.#load(state)
      return file
    } catch (error) {
      db?.close()
      await handle.close()
      throw error
    }
  }

  /** The state that it is in. */
  get point(): ReplicaPoint {
    return this.#point
  }

  /** Checksums of its pages as the source has them. */
  get table(): PageChecksums {
    return this.#table
  }

  async close(): Promise<void> {
    this.#db.close()
    await this.#handle.close()
  }

  /**
   * Makes `changed` of a staged file part of the database.
   *
   * @param next the state it is in afterwards
   * Errors: `E_DATABASE_BUSY` if readers do not let go, `E_NOT_REPLICA` if something else has changed the file,
   * `E_DISK_FULL`, `E_CHECKSUM` if the file does not hold what was written. After each the old state is there.
   */
  async apply(staged: Staged, changed: PageSet, next: ReplicaPoint, signal: AbortSignal): Promise<void> {
    await this.#lock(signal)
    let journaled = false
    try {
      await this.#checkInPlace()
      const first = await this.#journal(changed)
      journaled = true
      await this.#write(staged, changed, first, next)
      await this.#readBack(changed, next)
      await this.#handle.sync()
      await unlink(`${this.#path}-journal`)
    } catch (error) {
      this.#unlock()
      if (journaled) this.#putBack()
      throw diskError(error, this.#path)
    }
    this.#unlock()
    this.moved(next)
    if (changed.pageSize !== this.#table.pageSize) this.#table = new PageChecksums(changed.pageSize)
    applyChecksums(this.#table, changed)
    // Should a power failure bring the journal back, the old state comes back with it, whole.
    await syncFolder(dirname(this.#path))
  }

  /** It is in another state without having changed: nothing of that was different. */
  moved(next: ReplicaPoint): void {
    this.#point = next
  }

  async #load(state: ReplicaState): Promise<void> {
    this.#db.exec('BEGIN')
    try {
      this.#recover()
      const head = await this.#readHead()
      const point = [state.at, state.next].find((one) => one !== undefined && sameHead(head, one))
      if (!point) throw this.#written(head)
      const { size } = await this.#handle.stat()
      if (size !== point.commit * point.pageSize) throw this.#foreign(`it is ${size} bytes long`)
      const table = new PageChecksums(point.pageSize)
      table.resize(point.commit)
      await readPages(this.#handle, point.pageSize, pagesOf(1, point.commit, point.pageSize), (page, bytes) => {
        if (page === 1) writeHead(bytes, point.head)
        pageChecksum(page, bytes)
        table.set(page, checksumWords[0], checksumWords[1])
      })
      if (table.checksum !== point.checksum) throw this.#foreign('its database checksum is another')
      this.#point = point
      this.#table = table
    } finally {
      this.#unlock()
    }
  }

  async #readHead(): Promise<PageHead> {
    const bytes = Buffer.alloc(HEAD_SIZE)
    const { bytesRead } = await this.#handle.read(bytes, 0, HEAD_SIZE, 0)
    if (bytesRead < HEAD_SIZE) throw this.#foreign('it is empty')
    return readHead(bytes)
  }

  /** Locks readers out. The application's readers come first: see {@link LOCK_WAITS}. */
  async #lock(signal: AbortSignal): Promise<void> {
    for (const wait of LOCK_WAITS) {
      signal.throwIfAborted()
      try {
        this.#db.pragma(`busy_timeout = ${wait}`)
        this.#db.exec('BEGIN EXCLUSIVE')
        return
      } catch (error) {
        if (!isBusy(error)) throw databaseError(this.#path, error)
        await sleep(LOCK_PAUSE)
      }
    }
    throw new WalrustError('E_DATABASE_BUSY', `a reader holds ${this.#path} and does not let go`, {
      database: this.#path,
      hint: 'It is tried again. End the read transaction that has been open for so long.',
    })
  }

  /** Gives the lock back. Nothing was done through the connection, so nothing is undone. */
  #unlock(): void {
    if (this.#db.inTransaction) this.#db.exec('ROLLBACK')
  }

  /** Lets SQLite put back what a journal holds, if there is one that nobody is writing. */
  #recover(): void {
    try {
      this.#db.pragma('busy_timeout = 5000')
      // Begins to read without looking at the schema.
      this.#db.prepare('PRAGMA schema_version').get()
    } catch (error) {
      throw databaseError(this.#path, error)
    }
  }

  /** After a change that was not finished. If it cannot be done now, whoever reads or locks next does it. */
  #putBack(): void {
    try {
      this.#recover()
    } catch {
      // What went wrong before is what is to be told.
    }
  }

  async #checkInPlace(): Promise<void> {
    const found = await stat(this.#path).catch((error: unknown) => {
      throw this.#foreign(messageOf(error))
    })
    if (found.ino !== this.#identity.ino || found.dev !== this.#identity.dev) {
      throw this.#foreign('another file was put in its place')
    }
    if (found.size !== this.#point.commit * this.#point.pageSize) throw this.#foreign(`it is ${found.size} bytes long`)
    const head = await this.#readHead()
    if (!sameHead(head, this.#point)) throw this.#written(head)
  }

  /**
   * Writes the old versions of everything that is going to be overwritten or cut off, each held against its checksum.
   * Returns page 1 as the source has it.
   */
  async #journal(changed: PageSet): Promise<Uint8Array> {
    const { pageSize, commit, head } = this.#point
    let first: Uint8Array | undefined
    const path = `${this.#path}-journal`
    const temporary = join(this.#incoming, 'journal')
    const journal = await RollbackJournal.create(path, temporary, pageSize, commit, this.#identity.mode)
    try {
      await readPages(this.#handle, pageSize, this.#overwritten(changed), (page, bytes) => {
        const wait = journal.add(page, bytes)
        if (page === 1) writeHead(bytes, head)
        pageChecksum(page, bytes)
        if (!this.#table.matches(page, checksumWords[0], checksumWords[1])) {
          throw this.#foreign(`page ${page} is not what was put there`)
        }
        if (page === 1) first = Buffer.from(bytes)
        return wait
      })
      await journal.commit()
    } catch (error) {
      await journal.abandon()
      throw error
    }
    if (!first) throw new WalrustError('E_INTERNAL', 'page 1 was not read')
    return first
  }

  /** Page 1, the changed pages that are there already, and those that are cut off, ascending. */
  *#overwritten(changed: PageSet): Generator<number> {
    const { pageSize, commit } = this.#point
    if (changed.pageSize !== pageSize) {
      yield* pagesOf(1, commit, pageSize)
      return
    }
    yield 1
    const cursor = changed.cursor()
    try {
      while (cursor.next()) if (cursor.page > 1 && cursor.page <= commit) yield cursor.page
    } finally {
      cursor.close()
    }
    yield* pagesOf(changed.commit + 1, commit, pageSize)
  }

  /** @param first page 1 as the source has it, where the change does not hold it */
  async #write(staged: Staged, changed: PageSet, first: Uint8Array, next: ReplicaPoint): Promise<void> {
    const writer = new PageWriter(this.#handle, changed.pageSize)
    const cursor = changed.cursor()
    try {
      let more = cursor.next()
      if (!more || cursor.page !== 1) await writer.write(1, withHead(first, next))
      await staged.read({
        page: (page, bytes) => {
          if (!more || page !== cursor.page) return undefined
          more = cursor.next()
          return writer.write(page, page === 1 ? withHead(bytes, next) : bytes)
        },
      })
    } finally {
      cursor.close()
    }
    await writer.flush()
    await this.#handle.truncate(next.commit * next.pageSize)
  }

  /** What lies in the file now, as it will be read by everybody else. */
  async #readBack(changed: PageSet, next: ReplicaPoint): Promise<void> {
    const cursor = changed.cursor()
    const sums = changed.cursor()
    try {
      let more = cursor.next()
      const numbers = function* () {
        if (!more || cursor.page !== 1) yield 1
        for (; more; more = cursor.next()) yield cursor.page
      }
      let ahead = sums.next()
      await readPages(this.#handle, changed.pageSize, numbers(), (page, bytes) => {
        if (page === 1) writeHead(bytes, next.head)
        pageChecksum(page, bytes)
        const [high, low] = checksumWords
        const announced = ahead && sums.page === page
        const right = announced ? sums.high === high && sums.low === low : this.#table.matches(page, high, low)
        if (!right) throw new WalrustError('E_CHECKSUM', `page ${page} of ${this.#path} does not hold what was written`)
        if (announced) ahead = sums.next()
      })
    } finally {
      cursor.close()
      sums.close()
    }
  }

  /** Many programs turn WAL mode on whenever they open a database; that is a write like any other. */
  #written(head: PageHead): WalrustError {
    if (!isWal(head)) return this.#foreign('another program has written to it')
    return new WalrustError('E_NOT_REPLICA', `${this.#path} was put into WAL mode by another program`, {
      database: this.#path,
      hint: 'Readers leave the journal mode alone, or open it read-only. Remove the file: it is made anew, which loses nothing.',
    })
  }

  #foreign(why: string): WalrustError {
    return new WalrustError('E_NOT_REPLICA', `${this.#path} is not the replica that was left there: ${why}`, {
      database: this.#path,
    })
  }
}

function connect(path: string): Database.Database {
  try {
    return new Database(path, { fileMustExist: true, timeout: 0 })
  } catch (error) {
    throw databaseError(path, error)
  }
}

/** Whether a file begins as a replica in that state does. */
function sameHead(head: PageHead, point: ReplicaPoint): boolean {
  const expected = replicaHead(point.head, point.counter)
  return (
    head.write === expected.write &&
    head.read === expected.read &&
    head.counter === expected.counter &&
    head.validFor === expected.validFor
  )
}

function withHead(page: Uint8Array, point: ReplicaPoint): Uint8Array {
  const bytes = Buffer.from(page)
  writeHead(bytes, replicaHead(point.head, point.counter))
  return bytes
}

/** Page numbers from `first` to `last` without the lock page. */
function* pagesOf(first: number, last: number, pageSize: number): Generator<number> {
  const lock = lockPage(pageSize)
  for (let page = first; page <= last; page++) if (page !== lock) yield page
}
