import Database from 'better-sqlite3'
import { existsSync } from 'node:fs'
import { chmod, chown, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { isBusy } from '../database/connection.js'
import { messageOf, WalrustError } from '../errors.js'
import { syncFolder } from '../fs/durable.js'

const LEFTOVERS = ['-wal', '-shm', '-journal']

/**
 * The place where a restored database goes. Whatever is there stays as it is until the new file is complete, checked
 * and durable; then it takes the place in one step.
 */
export class DatabaseTarget {
  #old: Database.Database | undefined

  private constructor(readonly path: string) {}

  /**
   * Claims the place. With `force`, an old database there is locked exclusively until it is replaced.
   *
   * Errors: `E_TARGET_EXISTS` for an existing file without `force`; `E_DATABASE_BUSY` if anyone has it open.
   */
  static async claim(path: string, force: boolean): Promise<DatabaseTarget> {
    const target = new DatabaseTarget(path)
    const there = [path, ...LEFTOVERS.map((suffix) => path + suffix)].find((name) => existsSync(name))
    if (there === undefined) return target
    if (!force) throw new WalrustError('E_TARGET_EXISTS', `${there} exists`, { database: path })
    if (existsSync(path) && (await stat(path)).size > 0) target.#lock()
    return target
  }

  /** Puts a finished file in the place of the old one, with nothing of the old one left beside it. */
  async replaceWith(file: string): Promise<void> {
    // With its WAL moved into the old file and cut off, a kill at any point from here on leaves either the old or the
    // new database: an empty WAL does no harm to the new one.
    this.#old?.pragma('wal_checkpoint(TRUNCATE)')
    if (!this.#old) await this.#removeLeftovers()
    if (existsSync(this.path)) await takeOwnership(file, this.path)
    await rename(file, this.path)
    await this.#removeLeftovers()
    await syncFolder(dirname(this.path))
  }

  /** Lets the old database go. */
  release(): void {
    this.#old?.close()
    this.#old = undefined
  }

  async #removeLeftovers(): Promise<void> {
    for (const suffix of LEFTOVERS) await rm(this.path + suffix, { force: true })
  }

  #lock(): void {
    let old: Database.Database | undefined
    try {
      old = new Database(this.path, { timeout: 0 })
      // In this mode the lock is on the file itself: it is refused as long as anyone has the database open.
      old.pragma('locking_mode = EXCLUSIVE')
      old.exec('BEGIN EXCLUSIVE; COMMIT')
      this.#old = old
    } catch (error) {
      old?.close()
      if (isBusy(error)) {
        throw new WalrustError('E_DATABASE_BUSY', `${this.path} is open in another program`, {
          database: this.path,
          cause: error,
        })
      }
      // What is no database any more cannot be in use as one.
      if ((error as { code?: unknown }).code === 'SQLITE_NOTADB' || isCorrupt(error)) return
      throw new WalrustError('E_DATABASE_UNREADABLE', `cannot lock ${this.path}: ${messageOf(error)}`, {
        database: this.path,
        cause: error,
      })
    }
  }
}

/** Gives a file the permissions of another and, where we may, its owner: the application goes on as who it was. */
async function takeOwnership(file: string, of: string): Promise<void> {
  const { mode, uid, gid } = await stat(of)
  await chown(file, uid, gid).catch(() => undefined)
  await chmod(file, mode & 0o777)
}

function isCorrupt(error: unknown): boolean {
  return String((error as { code?: unknown }).code).startsWith('SQLITE_CORRUPT')
}

/** How thoroughly a restored database is looked at by SQLite itself. */
export type IntegrityCheck = 'full' | 'quick' | 'none'

/** Lets SQLite check a database. Returns what it found wrong, nothing if all is well. */
export function checkIntegrity(path: string, how: IntegrityCheck): string[] {
  if (how === 'none') return []
  const db = new Database(path, { fileMustExist: true })
  try {
    const rows = db
      .prepare(how === 'full' ? 'PRAGMA integrity_check' : 'PRAGMA quick_check')
      .pluck()
      .all() as string[]
    return rows.filter((row) => row !== 'ok')
  } catch (error) {
    return [messageOf(error)]
  } finally {
    db.close()
  }
}
