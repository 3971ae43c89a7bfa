import type { Command } from 'commander'
import { open } from 'node:fs/promises'
import { messageOf, systemCode, WalrustError } from '../../core/errors.js'
import { print } from '../context.js'
import type { PragmaOutput } from '../generated/outputs.js'

/** What is recommended to the application, for each of its connections, and why. */
const PRAGMAS: ReadonlyArray<readonly [sql: string, why: string]> = [
  ['PRAGMA journal_mode = WAL;', 'Kept in the file: once is enough. walrust follows the WAL.'],
  ['PRAGMA busy_timeout = 5000;', 'Milliseconds. A writer waits for another, or for a checkpoint, instead of failing.'],
  [
    'PRAGMA synchronous = NORMAL;',
    'In WAL mode a power failure may take the last commits, never harm the file. FULL keeps them.',
  ],
  ['PRAGMA foreign_keys = ON;', 'SQLite does not check them by itself.'],
  ['PRAGMA wal_autocheckpoint = 1000;', 'The default. Never 0: should walrust stop, the WAL would grow without end.'],
]

interface PragmaOptions {
  output?: string
  comments: boolean
}

export function pragmaCommand(program: Command): void {
  program
    .command('pragma')
    .description('print the PRAGMAs that are recommended to the application, as SQL')
    .option('-o, --output <file>', 'write them to a file that is not there yet')
    .option('--no-comments', 'without the reasons')
    .action(async ({ output, comments }: PragmaOptions, command: Command) => {
      const { json = false } = command.optsWithGlobals<{ json?: boolean }>()
      const pragmas = PRAGMAS.map(([statement, why]) => ({ sql: statement, why }))
      if (output !== undefined) await write(output, recommended(comments))
      else print<PragmaOutput>({ json }, { pragmas }, () => recommended(comments))
    })
}

/** The statements, each with its reason above it unless nobody wants those. */
export function recommended(comments: boolean): string {
  return PRAGMAS.map(([sql, why]) => (comments ? `-- ${why}\n${sql}\n` : `${sql}\n`)).join('')
}

async function write(path: string, text: string): Promise<void> {
  try {
    const file = await open(path, 'wx')
    await file.writeFile(text)
    await file.close()
  } catch (error) {
    const exists = systemCode(error) === 'EEXIST'
    const message = exists ? `${path} is there already` : `cannot write ${path}: ${messageOf(error)}`
    throw new WalrustError('E_USAGE', message, { hint: 'Choose another file.', cause: error })
  }
}
