/**
 * Real writers, real kills, real disks that are full: `npm run kills -- --kills 200 --seed 1`. Ends with 1 if anything
 * that was reported as shipped could not be restored, ever.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { runWorld, type WorldReport } from './world.js'

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '200' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    /** Worlds at a time. */
    worlds: { type: 'string', default: '2' },
  },
})

/** Kills in one world: its history stays short enough to be restored after each. */
const PER_WORLD = 25

const wanted = Number(values.kills)
let begun = 0
let seed = Number(values.seed)
const sum = { kills: 0, restores: 0, transactions: 0, deeds: {} as Record<string, number> }
const lost: string[] = []

function count(report: WorldReport): void {
  sum.kills += report.kills
  sum.restores += report.restores
  sum.transactions += report.commits
  for (const [deed, times] of Object.entries(report.deeds)) sum.deeds[deed] = (sum.deeds[deed] ?? 0) + times
  lost.push(...report.lost.map((what) => `seed ${report.seed}: ${what}`))
}

async function worlds(): Promise<void> {
  while (begun < wanted) {
    const kills = Math.min(PER_WORLD, wanted - begun)
    begun += kills
    const own = seed++
    const folder = mkdtempSync(join(tmpdir(), 'walrust-kills-'))
    try {
      count(await runWorld(own, kills, folder))
    } catch (error) {
      lost.push(`seed ${own}: ${(error as Error).stack}`)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  }
}

const start = performance.now()
await Promise.all(Array.from({ length: Number(values.worlds) }, worlds))
for (const what of lost) process.stdout.write(`${what}\n`)
const seconds = Math.round((performance.now() - start) / 1000)
process.stdout.write(`${JSON.stringify({ seed: Number(values.seed), seconds, ...sum, lost: lost.length })}\n`)
process.exitCode = lost.length > 0 ? 1 : 0
