#!/usr/bin/env node
import { setFlagsFromString } from 'node:v8'
import { Command, CommanderError } from 'commander'
import { ERRORS, EXIT, messageOf, systemCode, WalrustError } from '../core/errors.js'
import { redact } from '../core/redact.js'
import { VERSION } from '../core/version.js'
import { addFlags } from './flags.js'
import { keepHeapSmall } from './small-heap.js'
import type { ErrorOutput } from './generated/outputs.js'

// New objects get a megabyte and are collected when it is full, instead of getting ever more room while there is work:
// measured, seven megabytes less in a process that runs for months.
setFlagsFromString('--semi-space-growth-factor=1')

/** Each command in a module of its own, loaded when it is called: `watch` runs for months and should carry only itself. */
const COMMANDS: Readonly<Record<string, () => Promise<(program: Command) => void>>> = {
  init: async () => (await import('./commands/init.js')).initCommand,
  explain: async () => (await import('./commands/explain.js')).explainCommand,
  watch: async () => (await import('./commands/watch.js')).watchCommand,
  sync: async () => (await import('./commands/sync.js')).syncCommand,
  snapshot: async () => (await import('./commands/snapshot.js')).snapshotCommand,
  restore: async () => (await import('./commands/restore.js')).restoreCommand,
  list: async () => (await import('./commands/list.js')).listCommand,
  replicate: async () => (await import('./commands/replicate.js')).replicateCommand,
  completion: async () => (await import('./commands/completion.js')).completionCommand,
  pragma: async () => (await import('./commands/pragma.js')).pragmaCommand,
  compact: async () => (await import('./commands/compact.js')).compactCommand,
  prune: async () => (await import('./commands/compact.js')).compactCommand,
  verify: async () => (await import('./commands/verify.js')).verifyCommand,
}

const program = new Command('walrust')
  .description('ships every commit of your SQLite databases to object storage, and brings back any moment')
  .version(VERSION)
  .option('--config <path>', 'the configuration to use (default: walrust.config.* in this folder)')
  .option('--json', 'print the result as one JSON document')
  .showHelpAfterError('(walrust --help shows what there is)')
  .exitOverride()

addFlags(program, 'log')
// `walrust list | head`: a reader who has seen enough is no error.
process.stdout.on('error', (error) => {
  if (systemCode(error) !== 'EPIPE') throw error
})

const called = process.argv.slice(2).filter((argument) => Object.hasOwn(COMMANDS, argument))
if (called.includes('watch')) keepHeapSmall()
// Completion knows all of them.
const wanted = called.length > 0 && !called.includes('completion') ? new Set(called) : Object.keys(COMMANDS)
for (const add of new Set(await Promise.all([...wanted].map((name) => COMMANDS[name]())))) add(program)
for (const command of program.commands) command.exitOverride()

try {
  await program.parseAsync()
} catch (error) {
  process.exitCode = report(error)
}

/** Says what went wrong and what to do about it. Returns the exit code. */
function report(error: unknown): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return EXIT.ok
    // What was wrong with the command line has been said; not to those who read JSON.
    printError({ code: 'E_USAGE', message: error.message.replace(/^error: /, ''), hint: ERRORS.E_USAGE.hint })
    return EXIT.usage
  }
  if (error instanceof WalrustError) {
    const { code, message, hint, database, storage, plugin, hook } = error
    const { findings } = error as WalrustError & { findings?: ErrorOutput['error']['findings'] }
    printError({ code, message, hint, database, storage, plugin, hook, findings })
    process.stderr.write(redact(`walrust: ${message}\n         ${hint}\n`))
    return error.exitCode
  }
  printError({ code: 'E_INTERNAL', message: messageOf(error), hint: ERRORS.E_INTERNAL.hint })
  process.stderr.write(
    redact(`walrust: ${error instanceof Error ? (error.stack ?? error.message) : messageOf(error)}\n`),
  )
  return EXIT.other
}

function printError(error: ErrorOutput['error']): void {
  if (!program.opts<{ json?: boolean }>().json) return
  process.stdout.write(redact(`${JSON.stringify({ error }, null, 2)}\n`))
}
