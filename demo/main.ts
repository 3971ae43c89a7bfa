/**
 * The main job, end to end, on this machine: `npm run demo`. A writer commits to a database, walrust ships it, is killed
 * in the middle with SIGKILL and started again, and the backup is restored into a new file and held against the source:
 * every row, the database checksum, and SQLite's own integrity check. Ends with 1 if anything differs.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { checksum, contents, createDatabase, integrity } from '../test/helpers/databases.js'
import { HelperProcess, walrust, WalrustProcess } from '../test/helpers/processes.js'
import type { WriterReport } from '../test/helpers/writer.js'

const SECONDS = 8
const RATE = 500

const say = (text: string): void => void process.stdout.write(`${text}\n`)

async function demo(folder: string): Promise<boolean> {
  const path = join(folder, 'app.db')
  const restored = join(folder, 'restored.db')
  const config = join(folder, 'walrust.config.json')
  const configured = { presets: ['walrust:local'], databases: [path], storage: `file://${join(folder, 'backups')}` }
  writeFileSync(config, JSON.stringify(configured))
  const watch = ['--config', config, 'watch']

  say(`A database in ${folder}, and a process that commits ${RATE} times a second for ${SECONDS} s`)
  say('(SQLite checkpoints by itself, as in any application). walrust is configured by the preset walrust:local.')
  createDatabase(path, { bytes: 200_000 })
  const writer = new HelperProcess<WriterReport>('writer', { path, rate: RATE, seconds: SECONDS })

  let shipper = new WalrustProcess(watch)
  await shipper.line('shipped')
  await sleep((SECONDS * 1000) / 3)
  const before = shipper.shipped.at(-1)
  say(`walrust is shipping; transaction ${before?.txid ?? 0} is in storage. Now it is killed with SIGKILL.`)
  await shipper.kill('SIGKILL')

  say('The writer goes on alone for a second. Then walrust starts again and goes on where it was.')
  await sleep(1000)
  shipper = new WalrustProcess(watch)
  const report = await writer.report()
  await shipper.line('watching')
  const code = await shipper.kill('SIGTERM')
  const last = shipper.shipped.at(-1)
  say(`The writer made ${report.commits} commits. walrust was told to stop, drained and ended with ${code}.`)

  const run = await walrust(['--config', config, 'restore', 'app', '-o', restored, '--json'])
  if (run.code !== 0) {
    say(`walrust restore ended with ${run.code}: ${run.text}`)
    return false
  }
  const { txid } = JSON.parse(run.stdout) as { txid: number }
  say(`Restored transaction ${txid} into a new file. Compared with the source:`)

  const [source, copy] = [contents(path), contents(restored)]
  const rows = (tables: Record<string, unknown[]>) => Object.values(tables).reduce((sum, all) => sum + all.length, 0)
  const checks: Array<[string, string, string]> = [
    ['newest transaction', String(last?.txid), String(txid)],
    ['rows', String(rows(source)), String(rows(copy))],
    ['commits in the table', String(report.commits), String(copy.commits.length)],
    ['database checksum', checksum(path), checksum(restored)],
    ['integrity_check', integrity(path), integrity(restored)],
  ]
  for (const [what, there, here] of checks) say(`  ${there === here ? '✓' : '✗'} ${what}: ${there} and ${here}`)
  const same = JSON.stringify(source) === JSON.stringify(copy)
  say(`  ${same ? '✓' : '✗'} every row of every table is ${same ? 'the same' : 'NOT the same'}`)
  return code === 0 && same && checks.every(([, there, here]) => there === here)
}

const folder = mkdtempSync(join(tmpdir(), 'walrust-demo-'))
try {
  const good = await demo(folder)
  say(good ? 'Nothing is missing.' : 'SOMETHING IS MISSING.')
  process.exitCode = good ? 0 : 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
