import type { Command } from 'commander'
import type { ResolvedConfig } from '../../core/config/resolved.js'
import { messageOf, WalrustError } from '../../core/errors.js'
import type { Log } from '../../core/log.js'
import { gravest, Service } from '../../core/service/service.js'
import { configure } from '../config.js'
import { createContext, sayDefault } from '../context.js'
import { addFlags, addStorageFlags } from '../flags.js'
import { StopSignals } from '../signals.js'
import { validateApart } from '../validate.js'

interface WatchOptions {
  once?: boolean
  adopt?: boolean
  exec?: string
  restoreIfDbNotExists?: boolean
}

/** The parts of the configuration that flags of `watch` can say. */
const SECTIONS = [
  ...['sync', 'snapshot', 'checkpoint', 'compaction', 'retention', 'validation', 'metrics', 'resilience', 'upload'],
  ...['shadowWal', 'spool', 'stateDir', 'shutdownTimeout'],
]

/** How long whoever reads the log has for the rest of it when everything is done, in milliseconds. */
const LAST_WORDS = 5000

export function watchCommand(program: Command): void {
  const watching = program
    .command('watch')
    .description('follow databases and ship every commit')
    .argument('[databases...]', 'files, folders or quoted patterns')
    .option('--once', 'ship everything pending, wait until it is durable, and end')
    .option('--exec <command>', 'run the application as a child, ship until it ends, and exit with its code')
    .option('--restore-if-db-not-exists', 'bring databases back that are not there, before anything else')
    .option('--adopt', 'go on with a backup that this machine did not write last')
    .action(async (databases: string[], options: WatchOptions, command: Command) => {
      process.exitCode = await watch(databases, options, command)
    })
  addStorageFlags(watching, 'where to')
  addFlags(watching, ...SECTIONS)
}

/** One run of `walrust watch`. Returns the exit code. */
async function watch(databases: string[], options: WatchOptions, command: Command): Promise<number> {
  const { once = false, adopt, exec } = options
  if (once && exec !== undefined) throw new WalrustError('E_USAGE', '--once and --exec exclude each other')
  const load = () => configure(command, { databases, giveUp: once, adopt })
  const loaded = await load()
  const context = createContext(command, loaded)
  const { host, log } = context
  sayDefault(context)
  const config = loaded.resolved
  const { file } = loaded
  const validate = validateApart({ cwd: process.cwd(), file })
  const service = new Service({ config, host, log, validate })
  const signals = new StopSignals()
  const errors: WalrustError[] = []
  let code = 0
  try {
    if (options.restoreIfDbNotExists) await service.restoreMissing(signals.stop)
    await service.start({ patient: exec !== undefined })
    signals.onReload(() => void reload(service, async () => (await load()).resolved, log))
    if (exec !== undefined) {
      code = await runApplication(exec, service, signals, config.shutdownTimeout)
      errors.push(...service.refused)
    } else errors.push(...(await (once ? flushOnce(service, signals.stop) : service.run(signals.stop))))
  } finally {
    errors.push(...(await service.close()))
  }
  for (const { message, code, hint } of errors) log.error(message, { code, hint })
  // Everything is closed. A log that nobody reads to its end keeps no process, nor what a plugin has not let go of.
  setTimeout(() => process.exit(), LAST_WORDS).unref()
  return code || gravest(errors)
}

async function flushOnce(service: Service, signal: AbortSignal): Promise<readonly WalrustError[]> {
  try {
    await service.flush(signal)
    return service.refused
  } catch (error) {
    // What is not shipped by then is told of at the end.
    if (signal.aborted) return []
    return [error instanceof WalrustError ? error : new WalrustError('E_INTERNAL', messageOf(error), { cause: error })]
  }
}

async function runApplication(
  command: string,
  service: Service,
  signals: StopSignals,
  timeout: number,
): Promise<number> {
  // Loaded for those only who use it.
  const { runWith } = await import('../exec.js')
  return await runWith(command, service, signals, timeout)
}

async function reload(service: Service, load: () => Promise<ResolvedConfig>, log: Log): Promise<void> {
  try {
    await service.reload(await load())
  } catch (error) {
    const { message, hint } = error as WalrustError
    log.error('the configuration was not taken up: everything goes on as before', { error: message, hint })
  }
}
