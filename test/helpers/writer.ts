/**
 * A program that commits, run as a process of its own: `node writer.js '{"path": …}'`. Says on standard output, one JSON
 * line each, what it has committed, and at its end how long commits took.
 */
import Database from 'better-sqlite3'
import { setTimeout as sleep } from 'node:timers/promises'

export interface WriterOptions {
  path: string
  /** Commits a second; 0 for as many as go. */
  rate: number
  /** Seconds; 0 for until it is killed. */
  seconds: number
  synchronous?: 'full' | 'normal' | 'off'
  /** Bytes in each row. */
  bytes?: number
  /** One row in so many is an update of an old one instead. */
  updateEvery?: number
  /** Milliseconds that SQLite waits for a lock. */
  busyTimeout?: number
  /** First number to write; each row holds the number of its commit. */
  first?: number
  /** Say the number of every commit as soon as it is done. */
  announce?: boolean
}

export interface WriterReport {
  commits: number
  last: number
  busy: number
  seconds: number
  /** Milliseconds. */
  p50: number
  p99: number
  worst: number
}

const options = JSON.parse(process.argv[2] ?? '{}') as WriterOptions
const { rate, bytes = 300, updateEvery = 4 } = options
const db = new Database(options.path, { timeout: options.busyTimeout ?? 30_000 })
db.pragma(`synchronous = ${options.synchronous ?? 'normal'}`)
db.exec('CREATE TABLE IF NOT EXISTS commits(n INTEGER PRIMARY KEY, body BLOB, changed INTEGER)')
const insert = db.prepare('INSERT INTO commits VALUES (?, randomblob(?), 0)')
const update = db.prepare('UPDATE commits SET body = randomblob(?), changed = ? WHERE n = ?')
const commit = db.transaction((n: number) => {
  insert.run(n, bytes)
  if (n % updateEvery === 0) update.run(bytes, n, 1 + Math.floor(Math.random() * n))
})

const first = options.first ?? 1 + ((db.prepare('SELECT max(n) FROM commits').pluck().get() as number | null) ?? 0)
const latencies: number[] = []
let n = first
let busy = 0
const start = performance.now()
const end = options.seconds > 0 ? start + options.seconds * 1000 : Infinity
let next = start

while (performance.now() < end) {
  const before = performance.now()
  try {
    commit.immediate(n)
    if (options.announce) process.stdout.write(`${n}\n`)
    n++
  } catch (error) {
    if (!String((error as { code?: string }).code).startsWith('SQLITE_BUSY')) throw error
    busy++
  }
  if (latencies.length < 5_000_000) latencies.push(performance.now() - before)
  if (rate === 0) continue
  next += 1000 / rate
  const wait = next - performance.now()
  if (wait > 0) await sleep(wait)
}

db.close()
const sorted = Float64Array.from(latencies).sort()
const at = (part: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0
const report: WriterReport = {
  commits: n - first,
  last: n - 1,
  busy,
  seconds: (performance.now() - start) / 1000,
  p50: at(0.5),
  p99: at(0.99),
  worst: at(1),
}
process.stdout.write(`${JSON.stringify(report)}\n`)
