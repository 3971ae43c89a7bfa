/** Runs TRUNCATE checkpoints on a database in a loop, as a process of its own, until it is killed or its time is over. */
import Database from 'better-sqlite3'
import { setTimeout as sleep } from 'node:timers/promises'

export interface TruncatorOptions {
  path: string
  /** Seconds. */
  seconds: number
  /** Milliseconds between two. */
  every: number
  /** Milliseconds that it waits for readers and writers, with the write lock in its hand. */
  busyTimeout: number
  mode?: 'TRUNCATE' | 'RESTART' | 'FULL' | 'PASSIVE'
}

const { path, seconds, every, busyTimeout, mode = 'TRUNCATE' } = JSON.parse(process.argv[2] ?? '{}') as TruncatorOptions
const db = new Database(path, { timeout: busyTimeout })
const end = performance.now() + seconds * 1000
let [rounds, done] = [0, 0]
while (performance.now() < end) {
  const [busy] = db.prepare(`PRAGMA wal_checkpoint(${mode})`).raw().get() as number[]
  rounds++
  if (busy === 0) done++
  await sleep(every)
}
db.close()
process.stdout.write(`${JSON.stringify({ rounds, done })}\n`)
