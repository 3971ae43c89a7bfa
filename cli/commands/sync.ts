import type { Command } from 'commander'
import { WalrustError } from '../../core/errors.js'
import { timerDelay } from '../../core/timers.js'
import { createContext, print } from '../context.js'
import type { SyncOutput } from '../generated/outputs.js'
import { askWatcher } from '../running.js'
import { duration } from '../values.js'

interface SyncOptions {
  stateDir?: string
  timeout?: number
}

export function syncCommand(program: Command): void {
  program
    .command('sync')
    .description('wait until everything committed so far is durable in storage (asks the running watch)')
    .argument('<name>', 'name of the database, or its file')
    .option('--state-dir <folder>', 'where walrust keeps its state (default: beside the database)')
    .option('--timeout <duration>', 'give up after this long (default: wait on)', duration)
    .action(async (name: string, options: SyncOptions, command: Command) => {
      const context = createContext(command)
      const { timeout, stateDir } = options
      const signal = timeout === undefined ? undefined : AbortSignal.timeout(timerDelay(timeout))
      const answer = await askWatcher<SyncOutput>({
        ...{ command: 'sync', database: name, stateDir, signal },
      }).catch((error: unknown) => {
        if (!signal?.aborted) throw error
        throw new WalrustError('E_UNSHIPPED', `commits of ${name} are not in storage yet`, { database: name })
      })
      if (!answer) {
        throw new WalrustError('E_NOT_WATCHED', `no walrust process here watches ${name}`, {
          database: name,
          hint: 'Start `walrust watch`, or name the file of the database; `walrust watch --once` ships what is pending.',
        })
      }
      print<SyncOutput>(
        context,
        answer,
        () => `${answer.database}: everything is durable in ${answer.storages.join(' and ')}`,
      )
    })
}
