/**
 * `npm run faults -- --syncs 10000`: ships through a storage that fails in every way it can; see docs/proof.md. Rates
 * are in percent of all requests.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { faultProgramme } from './programme.js'

const { values } = parseArgs({
  options: {
    syncs: { type: 'string', default: '10000' },
    seed: { type: 'string', default: '1' },
    passing: { type: 'string', default: '5' },
    stopping: { type: 'string', default: '0.1' },
    hanging: { type: 'string', default: '0.02' },
    rate: { type: 'string', default: '200' },
  },
})
const percent = (text: string) => Number(text) / 100
const folder = mkdtempSync(join(tmpdir(), 'walrust-faults-'))
try {
  const report = await faultProgramme({
    folder,
    syncs: Number(values.syncs),
    seed: Number(values.seed),
    passing: percent(values.passing),
    stopping: percent(values.stopping),
    hanging: percent(values.hanging),
    rate: Number(values.rate),
    points: 20,
    say: (text) => void process.stderr.write(`${text}\n`),
  })
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
