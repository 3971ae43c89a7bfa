import { type Command, Option } from 'commander'
import { readFile, writeFile } from 'node:fs/promises'
import { extname } from 'node:path'
import { discover } from '../../core/discover.js'
import { messageOf, systemCode, WalrustError } from '../../core/errors.js'
import { BUILT_IN } from '../built-in.js'
import { type CarriedOver, fromLitestream, fromToml } from '../carry-over.js'
import { createContext, print } from '../context.js'
import type { InitOutput } from '../generated/outputs.js'

const FILE = 'walrust.config.ts'

const PRESETS = Object.keys(BUILT_IN.presets).map((name) => name.replace('walrust:', ''))

export function initCommand(program: Command): void {
  program
    .command('init')
    .description('write a configuration to start from')
    .addOption(new Option('--preset <name>', 'what to start from').choices(PRESETS))
    .option('--from <file>', 'carry over a litestream.yml or walrust.toml')
    .action(async (options: { preset?: string; from?: string }, command: Command) => {
      const context = createContext(command)
      const preset = options.preset ?? (options.from === undefined ? 'local' : undefined)
      const carried = options.from === undefined ? undefined : await carryOver(options.from)
      const text = await configText(preset, carried)
      try {
        await writeFile(FILE, text, { flag: 'wx' })
      } catch (error) {
        if (systemCode(error) !== 'EEXIST') throw error
        throw new WalrustError('E_USAGE', `${FILE} is there already`, {
          hint: 'It is never overwritten. Move it away to have a new one written.',
        })
      }
      const lost = carried?.lost ?? []
      print<InitOutput>(context, { file: FILE, preset: preset ?? null, notCarriedOver: lost }, () =>
        [
          `${FILE} written.`,
          ...(lost.length > 0 ? ['Not carried over:', ...lost.map((what) => `  - ${what}`)] : []),
          'Next: npx walrust explain, then npx walrust watch',
        ].join('\n'),
      )
    })
}

async function carryOver(file: string): Promise<CarriedOver> {
  try {
    const text = await readFile(file, 'utf8')
    if (extname(file) === '.toml') return fromToml((await import('smol-toml')).parse(text))
    return fromLitestream((await import('yaml')).parse(text))
  } catch (error) {
    throw new WalrustError('E_USAGE', `${file} cannot be read: ${messageOf(error)}`, {
      hint: 'Name a litestream.yml or a walrust.toml.',
      cause: error,
    })
  }
}

async function configText(preset: string | undefined, carried: CarriedOver | undefined): Promise<string> {
  const { databases: carriedDatabases, ...settings } = carried?.config ?? {}
  const databases = carriedDatabases ?? (await databasesHere())
  const lines = [
    "import { defineConfig } from 'walrust'",
    '',
    '// Every key there is: docs/options.md. What is not said here is at its default.',
    'export default defineConfig({',
  ]
  if (preset !== undefined) lines.push(`  presets: ['walrust:${preset}'],`, '')
  lines.push('  // Paths, folders or patterns. Databases that are named on the command line take their place.')
  lines.push(`  databases: ${literal(databases)},`, '')
  if (!carried) lines.push(...(await startOf(preset)).map((line) => `  ${line}`))
  for (const [key, value] of Object.entries(settings)) lines.push(`  ${key}: ${literal(value)},`)
  lines.push('})', '')
  return lines.join('\n')
}

/** What a preset has to say about storage; a mix-in has nothing, and leaves it to the one for this machine. */
async function startOf(preset = 'local'): Promise<readonly string[]> {
  const { starts } = BUILT_IN
  const name = `walrust:${preset}`
  return await (Object.hasOwn(starts, name) ? starts[name] : starts['walrust:local'])()
}

async function databasesHere(): Promise<string[]> {
  const found = await discover([{ path: '*.{db,sqlite,sqlite3}', name: undefined }])
  return found.map(({ path }) => path.slice(process.cwd().length + 1))
}

/** A value as it is written in TypeScript. */
function literal(value: unknown): string {
  return JSON.stringify(value, undefined, 2)
    .replaceAll(/"([A-Za-z_]\w*)":/g, '$1:')
    .replaceAll(/"([^"'\\]*)"/g, "'$1'")
    .replaceAll('\n', '\n  ')
}
