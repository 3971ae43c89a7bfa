import { type Command, InvalidArgumentError } from 'commander'
import { DEFAULT_PROCESS } from '../../core/config/settings-of.js'
import { WalrustError } from '../../core/errors.js'
import { Host } from '../../core/host.js'
import { Remote } from '../../core/remote.js'
import { Replica } from '../../core/replica/replica.js'
import { splitDatabaseUrl } from '../../core/storage-url.js'
import { type Context, createContext, openStorage, print } from '../context.js'
import { addStorageFlags } from '../flags.js'
import type { ReplicateOutput } from '../generated/outputs.js'
import { duration } from '../values.js'

interface ReplicateOptions {
  local: string
  bucket?: string
  interval: number
  once?: boolean
  metricsPort?: number
  metricsHost: string
}

export function replicateCommand(program: Command): void {
  const replicating = program
    .command('replicate')
    .description('keep a copy of a database that others can read while it follows the backup')
    .argument('<source>', 'URL that ends in the name of the database, or the name')
    .requiredOption('--local <file>', 'where the copy is')
    .option('--interval <duration>', 'time between two looks at the storage', duration, 5000)
    .option('--once', 'apply what is there, and end')
    .option('--metrics-port <port>', 'serve /metrics and /health there (default: not at all)', port)
    .option('--metrics-host <address>', 'address for them', '127.0.0.1')
    .action(async (source: string, options: ReplicateOptions, command: Command) => {
      const context = createContext(command)
      const { storage, name } = splitDatabaseUrl(source) ?? { storage: options.bucket, name: source }
      const remote = new Remote(await openStorage(context, storage), name, context.host.hooks)
      const signal = stopSignal()
      const { local: path, interval } = options
      const replica = await Replica.open({ remote, path, interval, log: context.log }, signal)
      const measures = options.metricsPort === undefined ? undefined : await measure(context, replica, options)
      try {
        if (options.once) await replica.catchUp(signal)
        else await replica.run(signal)
        const { status } = replica
        print<ReplicateOutput>(
          context,
          status,
          () => `${status.file} is at transaction ${status.txid} of ${name}, from ${status.timestamp}`,
        )
      } finally {
        await measures?.stop()
        await replica.close()
        await context.host.stop()
      }
    })
  addStorageFlags(replicating, 'where the backup is, if the source is a name')
}

/** Shows how the replica is. It is no watch: of the plugins of a configuration none is started for it. */
async function measure(
  { log, loaded }: Context,
  replica: Replica,
  { metricsPort, metricsHost }: ReplicateOptions,
): Promise<Host> {
  const { metrics } = await import('../../plugins/metrics/index.js')
  const host = new Host(log)
  const startedAt = Date.now()
  const { maxLag } = loaded?.resolved.health ?? DEFAULT_PROCESS.health
  host.use(metrics({ port: metricsPort, host: metricsHost }))
  host.observe(() => ({ startedAt, maxLag, databases: [], replicas: [replica.status] }))
  await host.start()
  return host
}

function port(text: string): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || value > 65_535) throw new InvalidArgumentError('Write a port: 0 to 65535, 0 for any.')
  return value
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
