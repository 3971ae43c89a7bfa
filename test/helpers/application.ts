/**
 * An application as `watch --exec` runs it: `node application.js '{"path": …}'`. Makes its database if there is none,
 * commits, says what it does on standard output, one line each, and ends in the way it is told to.
 */
import Database from 'better-sqlite3'

export interface ApplicationOptions {
  path: string
  /** Rows to commit at once. */
  rows?: number
  /** How it ends when they are committed: with a code, by a signal that it sends itself; by default when it is told to. */
  end?: number | 'SIGKILL' | 'SIGSEGV' | 'SIGABRT'
  /** Go on after SIGTERM. */
  stubborn?: boolean
}

const { path, rows = 1, end, stubborn = false } = JSON.parse(process.argv[2] ?? '{}') as ApplicationOptions
const db = new Database(path)
db.pragma('journal_mode = WAL')
db.exec('CREATE TABLE IF NOT EXISTS rows(id INTEGER PRIMARY KEY, body BLOB)')
const insert = db.prepare('INSERT INTO rows(body) VALUES (?)')
const found = db.prepare('SELECT count(*) FROM rows').pluck().get() as number
process.stdout.write(`found ${found}\n`)

process.on('SIGTERM', () => {
  insert.run('its last words')
  process.stdout.write('asked to end\n')
  // Nothing is closed: that is what most applications do.
  if (!stubborn) process.exit(0)
})
for (const signal of ['SIGUSR2', 'SIGHUP'] as const) {
  process.on(signal, () => {
    insert.run(signal)
    process.stdout.write(`got ${signal}\n`)
  })
}

for (let i = 1; i <= rows; i++) insert.run(`row ${i}`)
process.stdout.write('ready\n')
if (typeof end === 'number') process.exit(end)
if (end) process.kill(process.pid, end)
setInterval(() => insert.run('time passes'), 100)
