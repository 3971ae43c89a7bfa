/**
 * The application of the benchmarks, a process of its own: `node writer.js '{"path": …}'`. Each commit adds a row and
 * moves a mark that can be found in the bytes of a page, so that any LTX file tells the newest commit it holds. The
 * last line of its output is its report.
 */
import Database from 'better-sqlite3'
import { writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

export interface WriterOptions {
  path: string
  /** Commits a second; 0 for as many as go. */
  rate: number
  seconds: number
  /** Bytes in a row. */
  bytes?: number
  /** How many old rows each commit changes as well, at random. */
  updates?: number
  /** Milliseconds between two commits, instead of a rate. */
  pace?: number
  /** Where the moments of all commits go: 64-bit floats, milliseconds since the epoch. */
  times?: string
}

export interface WriterReport {
  commits: number
  /** Rows in the table at the end. */
  rows: number
  seconds: number
  /** Milliseconds a commit took. */
  p50: number
  p99: number
  worst: number
}

export const MARK = 'WALRUST-BENCH-'

/** Begins with the mark, so that it is found in the page whatever stands around it. */
export const markOf = (commit: number): string => MARK + String(commit).padStart(12, '0')

/** Makes the table of the benchmarks with about so many bytes of rows in it. */
export function prepare(path: string, bytes: number, pageSize = 4096): void {
  const db = new Database(path)
  db.pragma(`page_size = ${pageSize}`)
  db.pragma('journal_mode = WAL')
  db.pragma('synchronous = OFF')
  db.exec('CREATE TABLE mark(id INTEGER PRIMARY KEY, mark TEXT); CREATE TABLE rows(id INTEGER PRIMARY KEY, body TEXT)')
  db.prepare('INSERT INTO mark VALUES (1, ?)').run(markOf(0))
  const insert = db.prepare('INSERT INTO rows(body) VALUES (?)')
  const batch = db.transaction((rows: number) => {
    for (let i = 0; i < rows; i++) insert.run(ordinaryRow(1000))
  })
  for (let done = 0; done < bytes; done += 5000 * 1000) batch(Math.min(5000, Math.ceil((bytes - done) / 1000)))
  db.pragma('wal_checkpoint(TRUNCATE)')
  db.close()
}

const WORDS = 'order customer paid pending total street amount invoice shipped returned email note city price'.split(
  ' ',
)

/** Text as applications store it: words and numbers, of which LZ4 makes about 0.4. */
export function ordinaryRow(bytes: number): string {
  let text = ''
  while (text.length < bytes) {
    text += `${WORDS[Math.floor(Math.random() * WORDS.length)]}=${Math.floor(Math.random() * 100_000)};`
  }
  return text.slice(0, bytes)
}

async function main(options: WriterOptions): Promise<WriterReport> {
  const { bytes = 300, updates = 0, pace } = options
  const rate = pace === undefined ? options.rate : 1000 / pace
  const db = new Database(options.path, { timeout: 30_000 })
  db.pragma('synchronous = NORMAL')
  const insert = db.prepare('INSERT INTO rows(body) VALUES (?)')
  const mark = db.prepare('UPDATE mark SET mark = ? WHERE id = 1')
  const update = db.prepare('UPDATE rows SET body = ? WHERE id = ?')
  const most = db.prepare('SELECT max(id) FROM rows').pluck().get() as number
  const commit = db.transaction((n: number, body: string) => {
    insert.run(body)
    for (let i = 0; i < updates; i++) update.run(body, 1 + Math.floor(Math.random() * most))
    mark.run(markOf(n))
  })
  const bodies = Array.from({ length: 64 }, () => ordinaryRow(bytes))
  const times: number[] = []
  const took: number[] = []
  const start = performance.now()
  const end = start + options.seconds * 1000
  let next = start
  let n = 0
  for (let now = start; now < end; now = performance.now()) {
    commit.immediate(n + 1, bodies[n % bodies.length])
    n++
    const after = performance.now()
    took.push(after - now)
    if (options.times !== undefined) times.push(performance.timeOrigin + after)
    if (rate === 0) continue
    next += 1000 / rate
    const wait = next - performance.now()
    if (wait > 0) await sleep(wait)
  }
  const seconds = (performance.now() - start) / 1000
  const rows = db.prepare('SELECT count(*) FROM rows').pluck().get() as number
  db.close()
  if (options.times !== undefined) writeFileSync(options.times, Float64Array.from(times))
  const sorted = Float64Array.from(took).sort()
  const at = (part: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0
  return { commits: n, rows, seconds, p50: at(0.5), p99: at(0.99), worst: at(1) }
}

const given = process.argv.at(2)
if (given?.startsWith('{')) {
  process.stdout.write(`${JSON.stringify(await main(JSON.parse(given) as WriterOptions))}\n`)
}
