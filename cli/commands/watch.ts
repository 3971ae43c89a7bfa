import type { Command } from 'commander'
import { EXIT, messageOf, WalrustError } from '../../core/errors.js'
import { gravest, Service } from '../../core/service.js'
import { configure } from '../config.js'
import { createContext, sayDefault } from '../context.js'
import { addFlags, addStorageFlags } from '../flags.js'

interface WatchOptions {
  once?: boolean
  adopt?: boolean
}

/** The parts of the configuration that flags of `watch` can say. */
const SECTIONS = [
  ...['sync', 'snapshot', 'checkpoint', 'compaction', 'retention', 'validation', 'metrics', 'resilience', 'upload'],
  ...['shadowWal', 'spool', 'stateDir', 'shutdownTimeout'],
]

export function watchCommand(program: Command): void {
  const watching = program
    .command('watch')
    .description('follow databases and ship every commit')
    .argument('[databases...]', 'files, folders or quoted patterns')
    .option('--once', 'ship everything pending, wait until it is durable, and end')
    .option('--adopt', 'go on with a backup that this machine did not write last')
    .action(async (databases: string[], options: WatchOptions, command: Command) => {
      process.exitCode = await watch(databases, options, command)
    })
  addStorageFlags(watching, 'where to')
  addFlags(watching, ...SECTIONS)
}

/** One run of `walrust watch`. Returns the exit code. */
async function watch(databases: string[], options: WatchOptions, command: Command): Promise<number> {
  const loaded = await configure(command, { databases, giveUp: options.once, adopt: options.adopt })
  const context = createContext(command, loaded)
  const { host, log } = context
  sayDefault(context)
  const service = new Service({ config: loaded.resolved, host, log })
  const errors: WalrustError[] = []
  try {
    const stop = stopSignal()
    await service.start()
    const failed = options.once ? await flushOnce(service) : await service.run(stop)
    if (failed) errors.push(failed)
  } finally {
    errors.push(...(await service.close()))
  }
  for (const { message, code, hint } of errors) log.error(message, { code, hint })
  return gravest(errors)
}

async function flushOnce(service: Service): Promise<WalrustError | undefined> {
  try {
    await service.flush()
    return service.refused.at(0)
  } catch (error) {
    return error instanceof WalrustError ? error : new WalrustError('E_INTERNAL', messageOf(error), { cause: error })
  }
}

/** Aborted at the first signal to end. At the second the process ends at once. */
function stopSignal(): AbortSignal {
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (stop.signal.aborted) process.exit(EXIT.storage)
      stop.abort()
    })
  }
  return stop.signal
}
