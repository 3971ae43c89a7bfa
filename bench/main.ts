/** `npm run bench [-- CASE… --runs N --quick --no-peers --storage file|s3 --minutes N --json FILE]`: measures what bench/README.md describes. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { table } from '../cli/table.js'
import type { Bench, Case, Row } from './harness/case.js'
import { machine } from './harness/machine.js'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string', default: '3' },
    quick: { type: 'boolean', default: false },
    'no-peers': { type: 'boolean', default: false },
    json: { type: 'string' },
    storage: { type: 'string' },
    minutes: { type: 'string' },
    folder: { type: 'string', default: tmpdir() },
  },
})

const folder = fileURLToPath(new URL('./cases', import.meta.url))
const all = readdirSync(folder)
  .filter((name) => name.endsWith('.js'))
  .map((name) => name.slice(0, -3))
  .sort()
const unknown = positionals.filter((name) => !all.includes(name))
if (unknown.length > 0) {
  process.stderr.write(`no such case: ${unknown.join(', ')}. There are: ${all.join(', ')}\n`)
  process.exit(2)
}

const facts = machine()
const folders: string[] = []
const bench: Bench = {
  folder: () => {
    const made = mkdtempSync(join(values.folder, 'walrust-bench-'))
    folders.push(made)
    return made
  },
  runs: Number(values.runs),
  quick: values.quick,
  minutes: values.minutes === undefined ? undefined : Number(values.minutes),
  storage: values.storage === 'file' || values.storage === 's3' ? values.storage : undefined,
  peers: !values['no-peers'],
  machine: facts,
  say: (text) => void process.stderr.write(`  ${text}\n`),
}

const results: Record<string, { rows: Row[]; error?: string }> = {}
process.stdout.write(`${Object.entries(facts).map(([name, value]) => `${name}: ${value}`).join(' · ')}\n`) // prettier-ignore
for (const name of positionals.length > 0 ? positionals : all) {
  const { default: measured } = (await import(pathToFileURL(join(folder, `${name}.js`)).href)) as { default: Case }
  process.stdout.write(`\n## ${name}: ${measured.title}\n\n${measured.about}\n`)
  if (measured.goal !== undefined) process.stdout.write(`Goal: ${measured.goal}\n`)
  try {
    const rows = await measured.run(bench)
    results[name] = { rows }
    process.stdout.write(`\n${show(rows)}\n`)
  } catch (error) {
    results[name] = { rows: [], error: (error as Error).message }
    process.stdout.write(`\nno figure: ${(error as Error).message}\n`)
    process.exitCode = 1
  } finally {
    for (const made of folders.splice(0)) rmSync(made, { recursive: true, force: true })
  }
}
if (values.json !== undefined) {
  const run = { when: new Date().toISOString(), machine: facts, runs: bench.runs, quick: bench.quick, results }
  writeFileSync(values.json, `${JSON.stringify(run, null, 2)}\n`)
}

function show(rows: readonly Row[]): string {
  const names = [...new Set(rows.flatMap(({ figures }) => Object.keys(figures)))]
  return table(
    ['', '', ...names],
    rows.map(({ what, who, figures }) => [what, who, ...names.map((name) => figures[name] ?? '–')]),
  )
}
