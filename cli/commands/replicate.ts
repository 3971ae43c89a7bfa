import type { Command } from 'commander'
import { WalrustError } from '../../core/errors.js'
import { Remote } from '../../core/remote.js'
import { Replica } from '../../core/replica/replica.js'
import { splitDatabaseUrl } from '../../core/storage-url.js'
import { createContext, openStorage, print } from '../context.js'
import { addStorageFlags } from '../flags.js'
import { duration } from '../values.js'

interface ReplicateOptions {
  local: string
  bucket?: string
  interval: number
  once?: boolean
}

export function replicateCommand(program: Command): void {
  const replicating = program
    .command('replicate')
    .description('keep a copy of a database that others can read while it follows the backup')
    .argument('<source>', 'URL that ends in the name of the database, or the name')
    .requiredOption('--local <file>', 'where the copy is')
    .option('--interval <duration>', 'time between two looks at the storage', duration, 5000)
    .option('--once', 'apply what is there, and end')
    .action(async (source: string, options: ReplicateOptions, command: Command) => {
      const context = createContext(command)
      const { storage, name } = splitDatabaseUrl(source) ?? { storage: options.bucket, name: source }
      const remote = new Remote(await openStorage(context, storage), name, context.host.hooks)
      const signal = stopSignal()
      const { local: path, interval } = options
      const replica = await Replica.open({ remote, path, interval, log: context.log }, signal)
      try {
        if (options.once) await replica.catchUp(signal)
        else await replica.run(signal)
        const { status } = replica
        print(
          context,
          status,
          () => `${status.file} is at transaction ${status.txid} of ${name}, from ${status.timestamp}`,
        )
      } finally {
        await replica.close()
        await context.host.stop()
      }
    })
  addStorageFlags(replicating, 'where the backup is, if the source is a name')
}

/** A signal for the work, given at the first SIGINT or SIGTERM. At the second the process ends as it is, which is safe. */
function stopSignal(): AbortSignal {
  const controller = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () =>
      controller.abort(new WalrustError('E_ABORTED', 'the replica was stopped before it was made')),
    )
  }
  return controller.signal
}
