import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Case, round } from '../harness/case.js'
import { Measured } from '../harness/process.js'
import { medians } from '../harness/run.js'
import { filePlace, firstFile, prove } from '../harness/scene.js'
import { CLI, walrust, walrustUrl } from '../harness/shippers.js'
import { prepare } from '../harness/writer.js'

export default {
  title: 'memory of a configuration',
  about:
    'Resident memory (MiB) of `watch` on a database of 1 MB, 20 s after its first file: with flags alone, and with a `.ts` configuration that starts from the preset `local`.',
  goal: 'with the configuration at most 5 more than with flags',
  async run(bench) {
    const folder = bench.folder()
    const place = filePlace(folder, 'backups')
    const config = join(folder, 'walrust.config.ts')
    const ways: Readonly<Record<string, (path: string) => string[]>> = {
      'flags alone': (path) => ['watch', path, '-b', walrustUrl(place), '--compact-after-snapshot'],
      'a .ts configuration': (path) => {
        const settings = `presets: ['walrust:local'], databases: ['${path}'], storage: '${walrustUrl(place)}'`
        writeFileSync(config, `import { defineConfig } from 'walrust'\nexport default defineConfig({ ${settings} })\n`)
        return ['--config', config, 'watch']
      },
    }
    const rows = []
    for (const [index, [what, argumentsFor]] of Object.entries(ways).entries()) {
      let run = 0
      const figures = await medians(bench.runs, async () => {
        const name = `db${index}x${run++}`
        const path = join(folder, `${name}.db`)
        prepare(path, 1e6)
        const watching = new Measured(process.execPath, [CLI, '--log-level', 'warn', ...argumentsFor(path)])
        await firstFile(join(place.path, name), watching)
        await sleep(bench.quick ? 3000 : 20_000)
        const { residentMiB, peakMiB } = watching.usage
        await watching.stop()
        await prove(walrust, path, name, place)
        bench.say(`${what}: ${residentMiB.toFixed(1)} MiB`)
        return { 'resident MiB': round(residentMiB), 'peak MiB': round(peakMiB) }
      })
      rows.push({ what, who: walrust.name, figures })
    }
    return rows
  },
} satisfies Case
