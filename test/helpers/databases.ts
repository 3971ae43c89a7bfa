import Database from 'better-sqlite3'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseChecksum, formatChecksum, lockPage, pageChecksum } from '../../core/ltx/index.js'

/**
 * A folder for one test. Call inside `describe`. Removed when the next test begins: by then whatever ends the processes
 * of this one has run, wherever it stands. What outlives it all the same is ended first: a killed program's engine goes
 * on until it has shipped everything, and would write into a folder that is being removed.
 */
export function useFolder(): { readonly path: string; file: (name: string) => string } {
  let path = ''
  const remove = () => {
    if (path === '') return
    endProcessesOf(path)
    rmSync(path, { recursive: true, force: true })
  }
  beforeEach(() => {
    remove()
    path = mkdtempSync(join(tmpdir(), 'walrust-test-'))
    // Every process that the test starts inherits it, and so do the processes of that one.
    process.env[FOLDER_VARIABLE] = path
  })
  after(remove)
  return {
    get path() {
      return path
    },
    file: (name) => join(path, name),
  }
}

const FOLDER_VARIABLE = 'TEST_FOLDER'

/** Kills every process that was started for this folder and returns when they are gone. Finds them on Linux only. */
export function endProcessesOf(folder: string): void {
  const deadline = Date.now() + 10_000
  for (let pids = processesOf(folder); pids.length > 0; pids = processesOf(folder)) {
    if (Date.now() > deadline) throw new Error(`processes ${pids.join(', ')} of ${folder} do not end`)
    for (const pid of pids) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
      }
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10)
  }
}

function processesOf(folder: string): number[] {
  if (!existsSync('/proc/self/environ')) return []
  const marker = `${FOLDER_VARIABLE}=${folder}`
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && pid !== process.pid && environment(pid).includes(marker))
}

/** Variables a process was started with; none once it has ended. */
function environment(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0')
  } catch {
    return []
  }
}

export interface DatabaseOptions {
  pageSize?: number
  autoVacuum?: 'none' | 'full' | 'incremental'
  /** Bytes of rows to begin with. */
  bytes?: number
}

/** Makes a database in WAL mode. */
export function createDatabase(
  path: string,
  { pageSize = 4096, autoVacuum = 'none', bytes = 0 }: DatabaseOptions = {},
): void {
  const db = new Database(path)
  db.pragma(`page_size = ${pageSize}`)
  db.pragma(`auto_vacuum = ${autoVacuum}`)
  db.pragma('journal_mode = WAL')
  db.exec('CREATE TABLE rows(id INTEGER PRIMARY KEY, body BLOB)')
  if (bytes > 0) fill(db, bytes)
  db.close()
}

/** Adds about so many bytes of rows. */
export function fill(db: Database.Database, bytes: number, rowSize = 1000): void {
  const insert = db.prepare('INSERT INTO rows(body) VALUES (randomblob(?))')
  db.transaction(() => {
    for (let done = 0; done < bytes; done += rowSize) insert.run(rowSize)
  })()
}

/** Runs SQL on a database of which no process of ours holds a descriptor. */
export function sql(path: string, text: string): void {
  const db = new Database(path)
  try {
    db.exec(text)
  } finally {
    db.close()
  }
}

/** All rows of all tables, in order: equal for databases with the same content. */
export function contents(path: string): Record<string, unknown[]> {
  // Not read-only: such a connection leaves its -wal and -shm behind.
  const db = new Database(path)
  try {
    const tables = db
      .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
      .pluck()
      .all() as string[]
    return Object.fromEntries(
      tables.map((name) => [name, db.prepare(`SELECT * FROM "${name}" ORDER BY 1`).raw().all()]),
    )
  } finally {
    db.close()
  }
}

export function integrity(path: string): string {
  const db = new Database(path)
  try {
    return db.pragma('integrity_check', { simple: true }) as string
  } finally {
    db.close()
  }
}

/**
 * Database checksum of a database that nobody has open: its WAL is moved into the file first, then every page is read.
 * Computed here from the definition, not by the engine.
 */
export function checksum(path: string): string {
  const db = new Database(path)
  db.pragma('wal_checkpoint(TRUNCATE)')
  const pageSize = db.pragma('page_size', { simple: true }) as number
  const pages = db.pragma('page_count', { simple: true }) as number
  db.close()
  return checksumOfBytes(readFileSync(path), pageSize, pages)
}

export function checksumOfBytes(bytes: Buffer, pageSize: number, pages: number): string {
  const sum = new DatabaseChecksum()
  for (let page = 1; page <= pages; page++) {
    if (page === lockPage(pageSize)) continue
    const value = pageChecksum(page, bytes.subarray((page - 1) * pageSize, page * pageSize))
    sum.toggle(Number(value >> 32n), Number(value & 0xffffffffn))
  }
  return formatChecksum(sum.value)
}
