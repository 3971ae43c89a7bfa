/**
 * Reads a bank over and over again, run as a process of its own, until its input ends: each state it sees has to be
 * whole, and never an older one than before. Its connection stays open all the time.
 */
import Database from 'better-sqlite3'
import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { auditBank } from './bank.js'

export interface AuditorOptions {
  path: string
  /** Milliseconds that SQLite waits for a lock. */
  busyTimeout: number
  /** Milliseconds between two looks. */
  pause: number
}

export interface AuditorReport {
  looks: number
  /** Different states that were seen. */
  states: number
  last: number
  wrong: string[]
}

const { path, busyTimeout, pause } = JSON.parse(process.argv[2]) as AuditorOptions
let ended = false
process.stdin.resume().on('end', () => (ended = true))
while (!existsSync(path) && !isEnded()) await sleep(20)

const report: AuditorReport = { looks: 0, states: 0, last: -1, wrong: [] }
const db = new Database(path, { timeout: busyTimeout })
while (!isEnded() && report.wrong.length < 10) {
  try {
    const { n, wrong } = auditBank(db)
    if (wrong !== undefined) report.wrong.push(wrong)
    if (n < report.last) report.wrong.push(`${n} was seen after ${report.last}`)
    if (n !== report.last) report.states++
    report.last = n
    report.looks++
  } catch (error) {
    report.wrong.push((error as Error).message)
  }
  await sleep(pause)
}
db.close()
process.stdout.write(`${JSON.stringify(report)}\n`)

function isEnded(): boolean {
  return ended
}
