/**
 * A program whose every commit keeps something true of the whole database, run as a process of its own: money moves
 * between two tables and is never more or less, a log and a counter agree. Now and then it deletes and vacuums.
 */
import Database from 'better-sqlite3'
import { setTimeout as sleep } from 'node:timers/promises'

export interface BankOptions {
  path: string
  /** Commits a second. */
  rate: number
  /** At least so many; then until its input ends. */
  seconds: number
  /** A VACUUM after so many commits; 0 for none. */
  vacuumEvery?: number
}

export interface BankReport {
  commits: number
}

export const ACCOUNTS = 100
export const TOTAL = 2 * ACCOUNTS * 1000

/** Makes the tables. */
export function openBank(path: string): void {
  const db = new Database(path)
  db.pragma('journal_mode = WAL')
  db.exec(`CREATE TABLE a(id INTEGER PRIMARY KEY, money INTEGER, filler BLOB);
    CREATE TABLE b(id INTEGER PRIMARY KEY, money INTEGER, filler BLOB);
    CREATE TABLE log(n INTEGER PRIMARY KEY, body BLOB);
    CREATE TABLE counter(n INTEGER, kept INTEGER);
    INSERT INTO counter VALUES (0, 0);
    WITH i(id) AS (VALUES (1) UNION ALL SELECT id + 1 FROM i WHERE id < ${ACCOUNTS})
    INSERT INTO a SELECT id, 1000, randomblob(400) FROM i;
    INSERT INTO b SELECT id, money, randomblob(400) FROM a`)
  db.close()
}

/** What is wrong with a state, read in one transaction; `undefined` if nothing is. */
export function auditBank(db: Database.Database): { n: number; wrong: string | undefined } {
  db.exec('BEGIN')
  try {
    const one = (sql: string) => db.prepare(sql).pluck().get() as number
    const n = one('SELECT n FROM counter')
    const money = one('SELECT sum(money) FROM a') + one('SELECT sum(money) FROM b')
    const [kept, logged, last] = [
      one('SELECT kept FROM counter'),
      one('SELECT count(*) FROM log'),
      one('SELECT coalesce(max(n), 0) FROM log'),
    ]
    const check = String(db.pragma('integrity_check', { simple: true }))
    const wrong = [
      check === 'ok' ? '' : check,
      money === TOTAL ? '' : `there is ${money} where ${TOTAL} was put in`,
      kept === logged ? '' : `${logged} log entries, the counter says ${kept}`,
      last === n ? '' : `the log ends at ${last}, the counter at ${n}`,
    ].filter(Boolean)
    return { n, wrong: wrong.length === 0 ? undefined : `at ${n}: ${wrong.join('; ')}` }
  } finally {
    db.exec('COMMIT')
  }
}

async function run({ path, rate, seconds, vacuumEvery = 0 }: BankOptions): Promise<void> {
  const db = new Database(path, { timeout: 30_000 })
  db.pragma('synchronous = NORMAL')
  const take = db.prepare('UPDATE a SET money = money - ?, filler = randomblob(400) WHERE id = ?')
  const give = db.prepare('UPDATE b SET money = money + ? WHERE id = ?')
  const log = db.prepare('INSERT INTO log SELECT n, randomblob(200) FROM counter')
  const count = db.prepare('UPDATE counter SET n = n + 1, kept = kept + 1')
  const forget = db.prepare('DELETE FROM log WHERE n < (SELECT n FROM counter) - 100')
  const recount = db.prepare('UPDATE counter SET kept = (SELECT count(*) FROM log)')
  const any = () => 1 + Math.floor(Math.random() * ACCOUNTS)
  let commits = 0
  const move = db.transaction(() => {
    const sum = any() - ACCOUNTS / 2
    take.run(sum, any())
    give.run(sum, any())
    count.run()
    log.run()
    if (commits % 400 === 399) {
      forget.run()
      recount.run()
    }
  })
  let ended = false
  process.stdin.resume().on('end', () => (ended = true))
  const isEnded = () => ended
  const start = performance.now()
  while (!isEnded() || performance.now() - start < seconds * 1000) {
    move.immediate()
    commits++
    if (vacuumEvery > 0 && commits % vacuumEvery === 0) db.exec('VACUUM')
    // Even if it is late: otherwise it would not hear that its input has ended.
    await sleep(Math.max(0, start + (commits * 1000) / rate - performance.now()))
  }
  db.close()
  process.stdout.write(`${JSON.stringify({ commits } satisfies BankReport)}\n`)
}

if (process.argv[1].endsWith('bank.js')) await run(JSON.parse(process.argv[2]) as BankOptions)
