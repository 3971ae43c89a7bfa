import Database from 'better-sqlite3'
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { messageOf, systemCode, WalrustError } from '../errors.js'
import { isBusy, keepCacheSmall } from './connection.js'

/**
 * Makes sure that one process on this machine works on a database: an exclusive transaction on a small SQLite file in
 * the state directory. The lock is the kernel's and dies with its process, however that ends; there is no process
 * number or date to go stale.
 */
export class MachineLock {
  readonly #db: Database.Database

  /**
   * Takes the lock. Errors: `E_DATABASE_LOCKED` if another process has it, `E_STATE` if the file cannot be made.
   *
   * @param path of the lock file; its folder is made if need be
   * @param database for messages
   */
  constructor(path: string, database: string) {
    try {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
      this.#db = new Database(path, { timeout: 0 })
    } catch (error) {
      throw stateError(path, error)
    }
    try {
      // The smallest page: this connection lives as long as the process and should cost little.
      this.#db.pragma('page_size = 512')
      keepCacheSmall(this.#db)
      this.#db.exec('BEGIN EXCLUSIVE')
    } catch (error) {
      this.#db.close()
      if (!isBusy(error)) throw stateError(path, error)
      throw new WalrustError('E_DATABASE_LOCKED', `another walrust process watches ${database}`, {
        database,
        cause: error,
      })
    }
  }

  release(): void {
    this.#db.close()
  }
}

function stateError(path: string, error: unknown): WalrustError {
  const readonly = ['EACCES', 'EROFS', 'EPERM', 'SQLITE_CANTOPEN', 'SQLITE_READONLY'].includes(systemCode(error) ?? '')
  const hint = readonly ? 'Make the folder writable, or choose another one with --state-dir.' : undefined
  return new WalrustError('E_STATE', `cannot make ${path}: ${messageOf(error)}`, { cause: error, hint })
}
