import { WalrustError } from '../errors.js'
import { DatabaseFile } from './database-file.js'

/** Opens a database file that can be followed. Errors: those of {@link DatabaseFile.open}, `E_NOT_SQLITE`, `E_NOT_WAL`. */
export function openWalDatabase(path: string): DatabaseFile {
  const file = DatabaseFile.open(path)
  try {
    const header = file.header()
    if (!header) {
      const empty = file.mark().size === 0n
      const what = empty ? 'is empty (0 bytes): it is no database yet' : 'is not an SQLite database'
      throw new WalrustError(empty ? 'E_NOT_WAL' : 'E_NOT_SQLITE', `${path} ${what}`, { database: path })
    }
    if (!header.wal) {
      const hint = `Turn it on once, with the application stopped: sqlite3 ${path} 'PRAGMA journal_mode=WAL'`
      throw new WalrustError('E_NOT_WAL', `${path} is not in WAL mode`, { database: path, hint })
    }
  } catch (error) {
    file.close()
    throw error
  }
  return file
}
