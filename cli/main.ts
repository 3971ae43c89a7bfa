#!/usr/bin/env node
import { Command, CommanderError, Option } from 'commander'
import { EXIT, messageOf, WalrustError } from '../core/errors.js'
import { VERSION } from '../core/version.js'
import { listCommand } from './commands/list.js'
import { restoreCommand } from './commands/restore.js'
import { snapshotCommand } from './commands/snapshot.js'
import { verifyCommand } from './commands/verify.js'
import { watchCommand } from './commands/watch.js'

const program = new Command('walrust')
  .description('ships every commit of your SQLite databases to object storage, and brings back any moment')
  .version(VERSION)
  .option('--json', 'print the result as one JSON document')
  .addOption(
    new Option('--log-level <level>', 'how much to say').choices(['debug', 'info', 'warn', 'error']).default('info'),
  )
  .addOption(new Option('--log-format <format>', 'how to say it').choices(['text', 'json']))
  .showHelpAfterError('(walrust --help shows what there is)')
  .exitOverride()

watchCommand(program)
snapshotCommand(program)
restoreCommand(program)
listCommand(program)
verifyCommand(program)
for (const command of program.commands) command.exitOverride()

try {
  await program.parseAsync()
} catch (error) {
  process.exitCode = report(error)
}

/** Says what went wrong and what to do about it. Returns the exit code. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
  if (error instanceof WalrustError) {
    const { code, hint, database, storage, plugin, hook } = error
    if (program.opts<{ json?: boolean }>().json) {
      process.stdout.write(
        `${JSON.stringify({ error: { code, message: error.message, hint, database, storage, plugin, hook } }, null, 2)}\n`,
      )
    }
    process.stderr.write(`walrust: ${error.message}\n         ${hint}\n`)
    return error.exitCode
  }
  process.stderr.write(`walrust: ${error instanceof Error ? (error.stack ?? error.message) : messageOf(error)}\n`)
  return EXIT.other
}
