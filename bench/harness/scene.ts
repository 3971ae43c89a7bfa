import Database from 'better-sqlite3'
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type Measured, run } from './process.js'
import type { Place, Shipper } from './shippers.js'
import { MARK, type WriterOptions, type WriterReport } from './writer.js'

const WRITER = fileURLToPath(new URL('./writer.js', import.meta.url))

/** Lets the application of the benchmarks run. */
export async function write(options: WriterOptions): Promise<WriterReport> {
  const { output } = await run(process.execPath, [WRITER, JSON.stringify(options)])
  return JSON.parse(output) as WriterReport
}

/** Folder for the backups of one shipper. */
export function filePlace(folder: string, name: string): Place {
  const path = join(folder, name)
  mkdirSync(path, { recursive: true })
  return { kind: 'file', path }
}

/** Names of all stored LTX files below a folder. */
export function storedFiles(folder: string): string[] {
  try {
    return (readdirSync(folder, { recursive: true }) as string[]).filter((name) => name.endsWith('.ltx'))
  } catch {
    return []
  }
}

/** Resolves when so many files lie below a folder. */
export async function firstFile(folder: string, shipping: Measured, count = 1, within = 60_000): Promise<void> {
  const end = performance.now() + within
  while (storedFiles(folder).length < count) {
    if (shipping.ended) throw new Error(`the shipper ended:\n${shipping.log}`)
    if (performance.now() > end) throw new Error(`nothing was stored in ${folder} within ${within} ms`)
    await sleep(10)
  }
}

/** Row count and newest commit of a database that nobody writes to. */
export function state(path: string): { rows: number; commit: number; integrity: string } {
  const db = new Database(path)
  try {
    const mark = db.prepare('SELECT mark FROM mark').pluck().get() as string
    return {
      rows: db.prepare('SELECT count(*) FROM rows').pluck().get() as number,
      commit: Number(mark.slice(MARK.length)),
      integrity: db.pragma('integrity_check', { simple: true }) as string,
    }
  } finally {
    db.close()
  }
}

/**
 * What stands at the end of every measurement: a restore, SQLite's integrity check, and the exact number of rows. Without
 * it there is no figure.
 */
export async function prove(shipper: Shipper, database: string, name: string, place: Place): Promise<void> {
  const target = `${database}.restored`
  rmSync(target, { force: true })
  await shipper.restore(database, name, place, target)
  const [source, copy] = [state(database), state(target)]
  for (const suffix of ['', '-wal', '-shm']) rmSync(target + suffix, { force: true })
  if (copy.integrity !== 'ok' || source.rows !== copy.rows || source.commit !== copy.commit) {
    throw new Error(`${shipper.name} restored ${JSON.stringify(copy)} where the source is ${JSON.stringify(source)}`)
  }
}
