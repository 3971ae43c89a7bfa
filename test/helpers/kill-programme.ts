import { setTimeout as sleep } from 'node:timers/promises'
import { checksum, createDatabase, integrity } from './databases.js'
import { HelperProcess, WalrustProcess } from './processes.js'
import type { RestorerOptions, RestorerReport } from './restorer.js'
import { restoreFrom, stored, type Stored } from './storage.js'
import type { TruncatorOptions } from './truncator.js'
import type { WriterOptions, WriterReport } from './writer.js'

export interface KillProgramme {
  folder: string
  seconds: number
  /** Commits a second. */
  rate: number
  kills: number
  /** Whether a third process runs TRUNCATE checkpoints. */
  truncate: boolean
  seed?: number
  args?: readonly string[]
}

export interface KillReport {
  kills: number
  commits: number
  /** Times that what was reported as shipped could not be restored at a kill. */
  lost: string[]
  writer: WriterReport
  /** Locks held by walrust, in milliseconds. */
  locks: number[]
  healed: number
  stored: Stored
  /** From the first start of the shipper to its end, in seconds. */
  watched: number
  /** Source and restored database at the end. */
  source: { checksum: string; integrity: string }
  restored: { checksum: string; integrity: string; txid: number }
}

/**
 * A writer that commits all the time, a process that runs TRUNCATE checkpoints, and a shipper that is killed at random
 * moments and started again. After each kill what had been reported as shipped is restored; at the end, after a drain,
 * the newest state.
 */
export async function killProgramme(programme: KillProgramme): Promise<KillReport> {
  const { folder, seconds, rate, kills, truncate } = programme
  const path = `${folder}/app.db`
  const backups = `${folder}/backups`
  const random = generator(programme.seed ?? Math.floor(Math.random() * 2 ** 31))
  createDatabase(path, { bytes: 200_000 })
  const args = ['watch', path, '-b', `file://${backups}`, '--log-level', 'debug', ...(programme.args ?? [])]
  const first = performance.now()
  let shipper = new WalrustProcess(args)
  await shipper.line('shipped')

  const writer = new HelperProcess<WriterReport>('writer', { path, rate, seconds } satisfies WriterOptions)
  const truncator = truncate
    ? new HelperProcess('truncator', { path, seconds, every: 50, busyTimeout: 5000 } satisfies TruncatorOptions)
    : undefined
  const lost: string[] = []
  const locks: number[] = []
  let [healed, killed] = [0, 0]
  const collect = () => {
    for (const line of shipper.lines) {
      if (line.message === 'checkpoint' && Number(line.locked) > 0) locks.push(Number(line.locked))
      if (line.message.startsWith('commits that could not be followed')) healed++
    }
  }
  const start = Date.now()
  while (killed < kills) {
    const at = start + ((killed + random()) / kills) * seconds * 1000
    await sleep(Math.max(0, at - Date.now()))
    await shipper.kill('SIGKILL')
    killed++
    collect()
    const last = shipper.shipped.at(-1)
    const died = shipper
    shipper = new WalrustProcess(args)
    if (last) {
      const target = `${folder}/at-kill.db`
      const asked = { folder: backups, name: 'app', target, txid: last.txid } satisfies RestorerOptions
      const result = await new HelperProcess<RestorerReport>('restorer', asked).report()
      if ('error' in result) lost.push(`transaction ${last.txid}: ${result.error}\n${died.tail(3)}`)
      else if (result.checksum !== last.checksum) lost.push(`transaction ${last.txid} restored to another state`)
    }
  }
  const report = await writer.report()
  await truncator?.report()
  // A signal that comes before the process can handle it ends it as any other program.
  await shipper.line('watching')
  const code = await shipper.kill('SIGTERM')
  const watched = (performance.now() - first) / 1000
  collect()
  if (code !== 0) lost.push(`the last shipper ended with ${code}:\n${shipper.tail()}`)
  const restored = await restoreFrom(backups, 'app', `${folder}/restored.db`)
  return {
    kills: killed,
    commits: report.commits,
    lost,
    writer: report,
    locks,
    healed,
    stored: stored(backups),
    watched,
    source: { checksum: checksum(path), integrity: integrity(path) },
    restored: {
      checksum: checksum(`${folder}/restored.db`),
      integrity: integrity(`${folder}/restored.db`),
      txid: restored.txid,
    },
  }
}

/** A small seeded generator of numbers in [0, 1), so that a programme can be run again as it was. */
export function generator(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}
