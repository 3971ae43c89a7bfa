/**
 * Runs random worlds until the time is over: `npm run campaign -- --minutes 10 --seed 1`. One seed alone, with what
 * happened: `npm run campaign -- --only 4711`.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type ProgrammeReport, runProgramme } from './programme.js'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    only: { type: 'string' },
    length: { type: 'string', default: '60' },
    sabotage: { type: 'string' },
    /** `yes` or `no`: whether what is over is deleted. The seed decides by default. */
    upkeep: { type: 'string' },
    /** `yes` or `no`: whether other machines take the database over. The seed decides by default. */
    takeovers: { type: 'string' },
    /** Transactions of several megabytes, too. */
    large: { type: 'boolean', default: false },
    /** Folder for everything that happened in worlds that failed. */
    traces: { type: 'string' },
    /** Runs the one seed so often, and says whether the same requests were made each time. */
    times: { type: 'string', default: '1' },
  },
})

const length = Number(values.length)
const choice = (value: string | undefined) => (value === undefined ? undefined : value === 'yes')
const upkeep = choice(values.upkeep)
const takeovers = choice(values.takeovers)
/** What repeats a seed. */
const flags = ['upkeep', 'takeovers'] as const
const again = flags.map((name) => (values[name] === undefined ? '' : ` --${name} ${values[name]}`)).join('')
const failed: number[] = []
/** Requests of each run. */
const runs = new Set<string>()
const sum = { seeds: 0, steps: 0, commits: 0, kills: 0, restores: 0, promises: 0, takeovers: 0, refusals: 0, looked: 0 }
const events = new Map<string, number>()

function count(report: ProgrammeReport): void {
  sum.seeds++
  sum.steps += report.steps
  sum.commits += report.commits
  sum.kills += report.kills
  sum.restores += report.restores
  sum.promises += report.promises
  sum.takeovers += report.takeovers
  sum.refusals += report.refusals
  sum.looked += report.looked
  for (const [event, times] of report.events) events.set(event, (events.get(event) ?? 0) + times)
}

async function run(seed: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'walrust-campaign-'))
  try {
    const report = await runProgramme({
      ...{ seed, folder, length, upkeep, takeovers },
      large: values.large,
      sabotage: values.sabotage,
    })
    count(report)
    runs.add(report.requests.join('\n'))
  } catch (error) {
    failed.push(seed)
    const { trace = [] } = error as { trace?: readonly string[] }
    const shown = values.only === undefined ? trace.slice(-25) : trace
    if (values.traces !== undefined) writeFileSync(join(values.traces, `${seed}.txt`), trace.join('\n'))
    process.stdout.write(`\nseed ${seed}: ${(error as Error).stack}\n${shown.join('\n')}\n`)
    process.stdout.write(
      `again: npm run campaign -- --only ${seed} --length ${length}${values.large ? ' --large' : ''}${again}\n`,
    )
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const start = performance.now()
const end = start + Number(values.minutes) * 60_000
if (values.only !== undefined) for (let i = 0; i < Number(values.times); i++) await run(Number(values.only))
else for (let seed = Number(values.seed); performance.now() < end; seed++) await run(seed)
if (Number(values.times) > 1) process.stdout.write(`${runs.size} different runs\n`)
const seconds = Math.round((performance.now() - start) / 1000)
process.stdout.write(
  `${JSON.stringify({ first: values.seed, seconds, ...sum, failed, events: Object.fromEntries(events) })}\n`,
)
process.exitCode = failed.length > 0 ? 1 : 0
