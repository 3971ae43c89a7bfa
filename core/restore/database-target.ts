import Database from 'better-sqlite3'
import { existsSync, linkSync, renameSync, rmSync, statSync } from 'node:fs'
import { chmod, chown, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { isBusy } from '../database/connection.js'
import { messageOf, systemCode, WalrustError } from '../errors.js'
import { syncFolder } from '../fs/durable.js'

/** What SQLite keeps beside a database. */
export const BESIDE = ['-wal', '-shm', '-journal']

/** File systems that know no second name for a file answer with one of these. */
const NO_LINKS = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EXDEV']

/**
 * The place where a restored database goes. Whatever is there stays as it is until the new file is complete, checked
 * and durable; then it takes the place in one step.
 */
export class DatabaseTarget {
  #old: Database.Database | undefined
  /** Whether there is a file to be replaced. */
  #replaces = false

  private constructor(
    readonly path: string,
    /** The name under which an old database is locked. */
    private readonly alias: string,
    private readonly force: boolean,
  ) {}

  /**
   * Claims the place. With `force`, an old database there is locked exclusively until it is replaced.
   *
   * @param alias a free name beside it
   * Errors: `E_TARGET_EXISTS` for an existing file without `force`; `E_DATABASE_BUSY` if anyone has it open.
   */
  static claim(path: string, force: boolean, alias: string): DatabaseTarget {
    const target = new DatabaseTarget(path, alias, force)
    if (!force) target.#refuseExisting()
    const old = statSync(path, { throwIfNoEntry: false })
    target.#replaces = old !== undefined
    if (old?.isDirectory()) throw new WalrustError('E_TARGET_EXISTS', `${path} is a folder`, { hint: 'Name a file.' })
    if (old !== undefined && old.size > 0) target.#lock()
    return target
  }

  /**
   * Puts a finished file in the place of the old one, with nothing of the old one left beside it.
   *
   * Errors: `E_TARGET_EXISTS` if something has come to be there in the meantime
   */
  async replaceWith(file: string): Promise<void> {
    const folder = dirname(this.path)
    if (!this.#replaces) {
      this.#publish(file)
      await syncFolder(folder)
      return
    }
    // With its WAL moved into the old file, a kill at any point from here on leaves either the old or the new database,
    // and never the new one with the WAL of the old one. Nothing beside it is touched once the new one is there: it may
    // be in use at once, and then a -wal is that of its users.
    this.#old?.pragma('wal_checkpoint(TRUNCATE)')
    this.#removeBeside()
    await syncFolder(folder)
    await takeOwnership(file, this.path)
    if (this.#old?.name === this.path) this.release()
    renameSync(file, this.path)
    await syncFolder(folder)
  }

  /** Lets the old database go. */
  release(): void {
    this.#old?.close()
    this.#old = undefined
    for (const suffix of ['', ...BESIDE]) rmSync(this.alias + suffix, { force: true })
  }

  /** Gives the file its name if that is still free. */
  #publish(file: string): void {
    if (!this.force) this.#refuseExisting()
    if (existsSync(this.path)) throw exists(this.path)
    this.#removeBeside()
    try {
      linkSync(file, this.path)
    } catch (error) {
      const code = systemCode(error) ?? ''
      if (code === 'EEXIST') throw exists(this.path)
      if (!NO_LINKS.includes(code)) throw error
      renameSync(file, this.path)
    }
  }

  #refuseExisting(): void {
    const there = ['', ...BESIDE].map((suffix) => this.path + suffix).find((name) => existsSync(name))
    if (there !== undefined) throw exists(there)
  }

  #removeBeside(): void {
    for (const suffix of BESIDE) rmSync(this.path + suffix, { force: true })
  }

  /**
   * Locks the old database, under another name of the same file: when SQLite closes a database it removes the -wal of
   * that name, and by then there may be one of the new database under the usual name.
   */
  #lock(): void {
    const { path } = this
    let old: Database.Database | undefined
    try {
      old = new Database(this.#linkOld(), { timeout: 0 })
      // In this mode the lock is on the file itself: it is refused as long as anyone has the database open.
      old.pragma('locking_mode = EXCLUSIVE')
      old.exec('BEGIN EXCLUSIVE; COMMIT')
      this.#old = old
      if (old.name !== path && !this.#isSame()) {
        throw new WalrustError('E_DATABASE_BUSY', `${path} is being used by another program`, { database: path })
      }
    } catch (error) {
      this.#old = undefined
      old?.close()
      this.release()
      if (error instanceof WalrustError) throw error
      if (isBusy(error)) {
        throw new WalrustError('E_DATABASE_BUSY', `${path} is open in another program`, {
          database: path,
          cause: error,
        })
      }
      // What is no database any more cannot be in use as one.
      if (systemCode(error) === 'SQLITE_NOTADB' || isCorrupt(error)) return
      throw new WalrustError('E_DATABASE_UNREADABLE', `cannot lock ${path}: ${messageOf(error)}`, {
        database: path,
        cause: error,
      })
    }
  }

  /** Gives the old database, and what SQLite needs beside it, other names. Returns the name to open it by. */
  #linkOld(): string {
    for (const suffix of ['-journal', '-wal', '']) {
      try {
        linkSync(this.path + suffix, this.alias + suffix)
      } catch (error) {
        const code = systemCode(error) ?? ''
        if (NO_LINKS.includes(code)) return this.path
        if (code !== 'ENOENT' || suffix === '') throw error
      }
    }
    return this.alias
  }

  /** Whether nobody has put other files in the place since they got their other names. */
  #isSame(): boolean {
    const same = (suffix: string) => {
      const [a, b] = [this.path, this.alias].map((name) => statSync(name + suffix, { throwIfNoEntry: false }))
      return a === undefined || a.size === 0 || (a.ino === b?.ino && a.dev === b.dev)
    }
    return existsSync(this.path) && same('') && same('-wal')
  }
}

function exists(path: string): WalrustError {
  return new WalrustError('E_TARGET_EXISTS', `${path} exists`, { database: path })
}

/** Gives a file the permissions of another and, where we may, its owner: the application goes on as who it was. */
async function takeOwnership(file: string, of: string): Promise<void> {
  const { mode, uid, gid } = await stat(of)
  await chown(file, uid, gid).catch(() => undefined)
  await chmod(file, mode & 0o777)
}

function isCorrupt(error: unknown): boolean {
  return (systemCode(error) ?? '').startsWith('SQLITE_CORRUPT')
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
