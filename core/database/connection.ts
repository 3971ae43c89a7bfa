import Database from 'better-sqlite3'
import { messageOf, WalrustError } from '../errors.js'

/** The oldest SQLite without the WAL-reset bug, on each branch that got the fix. */
const FIXED = [
  [3, 51, 3],
  [3, 50, 7],
  [3, 44, 6],
]

/** Each takes a few microseconds; a change of the index takes less. */
const STATE_TRIES = 2000
/** But its writer may be off its processor in the middle of it: so long we leave ours to it, in milliseconds. */
const PATIENCE = 500
const NOTHING = new Int32Array(new SharedArrayBuffer(4))

/** How much of the WAL there is, and how much of that is in the database file already, in frames. */
export interface WalState {
  log: number
  checkpointed: number
}

/** What a checkpoint did. `busy`: somebody else was at it, or a reader was in the way. */
export interface CheckpointResult extends WalState {
  busy: boolean
}

/**
 * One SQLite connection, used for locks alone: no row is ever read or written through it.
 *
 * Automatic checkpoints are off: a checkpoint at the wrong moment could restart the WAL before it was read. No busy
 * handler is set: SQLite's own sleeps, and this thread has other work.
 */
export class Connection {
  readonly #db: Database.Database
  readonly #begin: Database.Statement
  readonly #touch: Database.Statement
  readonly #commit: Database.Statement
  readonly #state: Database.Statement

  /** Opens a connection on a database that exists. Errors: `E_DATABASE_UNREADABLE`, `E_DATABASE_READONLY`. */
  constructor(path: string) {
    try {
      this.#db = new Database(path, { fileMustExist: true, timeout: 0 })
      this.#db.pragma('wal_autocheckpoint = 0')
      keepCacheSmall(this.#db)
      this.#begin = this.#db.prepare('BEGIN')
      // Starts the read with as little as there is to read.
      this.#touch = this.#db.prepare('PRAGMA schema_version')
      this.#commit = this.#db.prepare('COMMIT')
      this.#state = this.#db.prepare('PRAGMA wal_checkpoint(NOOP)').raw()
    } catch (error) {
      throw databaseError(path, error)
    }
  }

  /** Opens a read transaction: from now on the WAL it sees stays readable. Errors: SQLite's own, for instance busy. */
  pin(): void {
    this.#begin.run()
    try {
      this.#touch.get()
    } catch (error) {
      this.#commit.run()
      throw error
    }
  }

  unpin(): void {
    if (this.#db.inTransaction) this.#commit.run()
  }

  get pinned(): boolean {
    return this.#db.inTransaction
  }

  /**
   * Reads how far WAL and backfill have come, without touching anything. Not inside a transaction.
   *
   * A writer that is just changing the index makes SQLite answer "busy" and -1: no answer at all, least of all an empty
   * WAL. Errors: `E_DATABASE_UNREADABLE` if there is none for long, as in a database that is not in WAL mode.
   *
   * @param patience milliseconds that a change may take
   */
  state(patience = PATIENCE): WalState {
    for (let i = 0; i < STATE_TRIES + patience; i++) {
      const [busy, log, checkpointed] = this.#state.get() as [number, number, number]
      if (log >= 0 && checkpointed >= 0) return { log, checkpointed }
      if (i < STATE_TRIES) continue
      if (busy === 0) break
      Atomics.wait(NOTHING, 0, 0, 1)
    }
    throw new WalrustError('E_DATABASE_UNREADABLE', `SQLite does not say what is in the WAL of ${this.#db.name}`)
  }

  /** Moves committed pages from the WAL into the database as far as readers allow, without waiting for anyone. */
  checkpoint(): CheckpointResult {
    const [busy, log, checkpointed] = this.#db.prepare('PRAGMA wal_checkpoint(PASSIVE)').raw().get() as number[]
    return { busy: busy !== 0, log: Math.max(log, 0), checkpointed: Math.max(checkpointed, 0) }
  }

  /** Cuts the WAL file off, if nobody needs it and nobody else is at it; `undefined` if that is not so. */
  truncate(): CheckpointResult | undefined {
    try {
      const [busy, log, checkpointed] = this.#db.prepare('PRAGMA wal_checkpoint(TRUNCATE)').raw().get() as number[]
      return busy !== 0 ? undefined : { busy: false, log, checkpointed }
    } catch (error) {
      if (isBusy(error)) return undefined
      throw error
    }
  }

  /** Tries to take the write lock, once; false if somebody has it. */
  tryLockWrites(): boolean {
    try {
      this.#db.exec('BEGIN IMMEDIATE')
      return true
    } catch (error) {
      if (isBusy(error)) return false
      throw error
    }
  }

  /** Gives the write lock back. Nothing was written, so this writes no frame. */
  unlockWrites(): void {
    if (this.#db.inTransaction) this.#db.exec('ROLLBACK')
  }

  close(): void {
    this.#db.close()
  }
}

/**
 * For a connection that lives as long as the process and reads nothing but the first page: SQLite makes room for twenty
 * pages at once with the first that it reads, unless it may keep fewer than three. That was half of what one took.
 */
export function keepCacheSmall(db: Database.Database): void {
  db.pragma('cache_size = 1')
  // The first page has been read to find that out.
  db.pragma('shrink_memory')
}

/** Whether SQLite said that somebody else holds a lock. */
export function isBusy(error: unknown): boolean {
  const code = (error as { code?: unknown }).code
  return typeof code === 'string' && (code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED'))
}

/** An error of SQLite in our own words. */
export function databaseError(path: string, error: unknown): WalrustError {
  if (error instanceof WalrustError) return error
  const code = String((error as { code?: unknown }).code)
  const details = { database: path, cause: error }
  if (code === 'SQLITE_NOTADB') return new WalrustError('E_NOT_SQLITE', `${path} is not an SQLite database`, details)
  if (code.startsWith('SQLITE_READONLY') || code.startsWith('SQLITE_CANTOPEN')) {
    return new WalrustError(
      'E_DATABASE_READONLY',
      `SQLite cannot open ${path} for writing: ${messageOf(error)}`,
      details,
    )
  }
  return new WalrustError('E_DATABASE_UNREADABLE', `SQLite cannot read ${path}: ${messageOf(error)}`, details)
}

/** Throws `E_SQLITE_TOO_OLD` if the SQLite in use can lose commits by itself (the WAL-reset bug). */
export function checkSqliteVersion(version = sqliteVersion()): void {
  const parts = version.split('.').map(Number)
  const fixed = FIXED.some(([major, minor, patch], i) => {
    const sameBranch = parts[0] === major && parts[1] === minor
    const newerBranch = i === 0 && (parts[0] > major || (parts[0] === major && parts[1] > minor))
    return newerBranch || (sameBranch && parts[2] >= patch)
  })
  if (!fixed) throw new WalrustError('E_SQLITE_TOO_OLD', `SQLite ${version} can lose commits when it restarts the WAL`)
}

/** The version of the SQLite that walrust uses. */
export function sqliteVersion(): string {
  const db = new Database(':memory:')
  try {
    return db.prepare('SELECT sqlite_version()').pluck().get() as string
  } finally {
    db.close()
  }
}
