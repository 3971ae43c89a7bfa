/** The application: a process with connections on the database that does what it is told, and nothing else. */
import Database from 'better-sqlite3'
import { createHash } from 'node:crypto'

/** What the application can be told. Blobs come from seeds, so that a run can be repeated. */
export type Deed =
  | { do: 'open'; path: string; autocheckpoint: number; synchronous: 'normal' | 'full' }
  | { do: 'insert'; rows: number; bytes: number; seed: number }
  | { do: 'update'; rows: number; bytes: number; seed: number }
  | { do: 'same'; rows: number }
  | { do: 'delete'; rows: number; seed: number }
  | { do: 'roll-back'; rows: number; bytes: number; seed: number }
  | { do: 'savepoint'; rows: number; bytes: number; seed: number }
  /** A transaction that is never ended: its pages are in the WAL, and it is not. */
  | { do: 'leave-open'; rows: number; bytes: number; seed: number }
  | { do: 'schema'; number: number }
  | { do: 'drop' }
  | { do: 'vacuum' }
  | { do: 'incremental-vacuum' }
  | { do: 'checkpoint'; mode: 'PASSIVE' | 'FULL' | 'RESTART' | 'TRUNCATE' }
  | { do: 'read' }
  | { do: 'read-no-more' }
  | { do: 'check' }
  /** How many frames the WAL has and how many of them are backfilled, as JSON. */
  | { do: 'state' }
  /** Gives the database pages of another size: nobody else may have it open. */
  | { do: 'page-size'; bytes: number }
  | { do: 'close' }

export interface DeedReply {
  /** `busy` when SQLite said so. */
  result: 'ok' | 'busy'
  /** SHA-256 of the whole database as it is now; `undefined` while nothing is open. */
  image: string | undefined
  pages: number
  /** For `check`: what SQLite finds wrong; for `state`: the two numbers. */
  said?: string
}

let db: Database.Database | undefined
let reader: Database.Database | undefined

function blob(bytes: number, seed: number): Buffer {
  const out = Buffer.alloc(bytes)
  let state = (seed * 2654435761 + 1) >>> 0
  for (let i = 0; i < bytes; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    out[i] = state >>> 24
  }
  return out
}

function opened(): Database.Database {
  if (!db) throw new Error('the application has no database open')
  return db
}

function rows(count: number): number[] {
  return opened().prepare('SELECT id FROM rows ORDER BY id * 7919 % 1009 LIMIT ?').pluck().all(count) as number[]
}

function insert(count: number, bytes: number, seed: number): void {
  const add = opened().prepare('INSERT INTO rows(body) VALUES (?)')
  for (let i = 0; i < count; i++) add.run(blob(bytes, seed + i))
}

const change = (count: number, bytes: number, seed: number) => {
  const set = opened().prepare('UPDATE rows SET body = ? WHERE id = ?')
  rows(count).forEach((id, i) => set.run(blob(bytes, seed + i), id))
}

function act(deed: Deed): void {
  if (deed.do === 'open') {
    db = new Database(deed.path, { timeout: 0 })
    db.pragma(`wal_autocheckpoint = ${deed.autocheckpoint}`)
    db.pragma(`synchronous = ${deed.synchronous}`)
    // Large transactions reach the WAL before they are committed.
    db.pragma('cache_size = 12')
    reader = new Database(deed.path, { timeout: 0 })
    return
  }
  if (deed.do === 'close' && !db) return
  const at = opened()
  const transaction = (work: () => void) => at.transaction(work).immediate()
  if (deed.do === 'insert') transaction(() => insert(deed.rows, deed.bytes, deed.seed))
  if (deed.do === 'update') transaction(() => change(deed.rows, deed.bytes, deed.seed))
  if (deed.do === 'same') {
    transaction(() => {
      for (const id of rows(deed.rows)) at.prepare('UPDATE rows SET body = body WHERE id = ?').run(id)
    })
  }
  if (deed.do === 'delete') {
    transaction(() => rows(deed.rows).forEach((id) => at.prepare('DELETE FROM rows WHERE id = ?').run(id)))
  }
  if (deed.do === 'roll-back') {
    at.exec('BEGIN IMMEDIATE')
    insert(deed.rows, deed.bytes, deed.seed)
    at.exec('ROLLBACK')
  }
  if (deed.do === 'savepoint') {
    transaction(() => {
      insert(1, deed.bytes, deed.seed)
      at.exec('SAVEPOINT s')
      insert(deed.rows, deed.bytes, deed.seed + 1)
      at.exec('ROLLBACK TO s; RELEASE s')
      insert(1, deed.bytes, deed.seed + 2)
    })
  }
  if (deed.do === 'leave-open') {
    at.exec('BEGIN IMMEDIATE')
    insert(deed.rows, deed.bytes, deed.seed)
  }
  if (deed.do === 'schema') {
    const name = `t${deed.number}`
    transaction(() => {
      at.exec(`CREATE TABLE IF NOT EXISTS ${name}(a, b); CREATE INDEX IF NOT EXISTS i${deed.number} ON ${name}(a)`)
      at.exec(`INSERT INTO ${name} SELECT id, hex(substr(body, 1, 20)) FROM rows LIMIT 30`)
    })
  }
  if (deed.do === 'drop') {
    const name = at.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB 't[0-9]*' LIMIT 1")
    const found = name.pluck().get() as string | undefined
    if (found) at.exec(`DROP TABLE ${found}`)
  }
  if (deed.do === 'vacuum') at.exec('VACUUM')
  if (deed.do === 'incremental-vacuum') at.exec('PRAGMA incremental_vacuum(20)')
  if (deed.do === 'checkpoint') {
    const [busy] = at.prepare(`PRAGMA wal_checkpoint(${deed.mode})`).raw().get() as number[]
    if (busy !== 0) throw Object.assign(new Error('busy'), { code: 'SQLITE_BUSY' })
  }
  if (deed.do === 'read' && !reader?.inTransaction) {
    reader?.exec('BEGIN')
    reader?.prepare('SELECT count(*) FROM rows').get()
  }
  if (deed.do === 'read-no-more' && reader?.inTransaction) reader.exec('COMMIT')
  if (deed.do === 'page-size') {
    reader?.close()
    at.pragma('journal_mode = DELETE')
    at.pragma(`page_size = ${deed.bytes}`)
    at.exec('VACUUM')
    at.pragma('journal_mode = WAL')
    reader = new Database(at.name, { timeout: 0 })
  }
  if (deed.do === 'close') {
    reader?.close()
    db?.close()
    db = undefined
  }
}

process.on('message', (deed: Deed) => {
  const reply: DeedReply = { result: 'ok', image: undefined, pages: 0 }
  try {
    act(deed)
    if (deed.do === 'check') reply.said = opened().pragma('integrity_check', { simple: true }) as string
    if (deed.do === 'state') reply.said = JSON.stringify(opened().prepare('PRAGMA wal_checkpoint(NOOP)').raw().get())
  } catch (error) {
    const { code } = error as { code?: string }
    if (!code?.startsWith('SQLITE_BUSY') && code !== 'SQLITE_LOCKED') throw error
    if (db?.inTransaction) db.exec('ROLLBACK')
    reply.result = 'busy'
  }
  if (db && !db.inTransaction) {
    const image = db.serialize()
    reply.image = createHash('sha256').update(image).digest('hex')
    reply.pages = db.pragma('page_count', { simple: true }) as number
  }
  process.send?.(reply)
})
process.on('disconnect', () => process.exit(0))
