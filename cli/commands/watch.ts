import type { Command } from 'commander'
import { EXIT, messageOf, WalrustError } from '../../core/errors.js'
import { gravest, Service } from '../../core/service.js'
import { configFromFlags, type Flags } from '../config.js'
import { createContext, DEFAULT_STORAGE } from '../context.js'
import { count, duration, size } from '../values.js'

interface WatchOptions extends Flags {
  once?: boolean
}

export function watchCommand(program: Command): void {
  program
    .command('watch')
    .description('follow databases and ship every commit')
    .argument('[databases...]', 'files, folders or quoted patterns')
    .option('-b, --bucket <url>', 'where to: file:///folder, s3://bucket/prefix, gs://bucket/prefix')
    .option('--once', 'ship everything pending, wait until it is durable, and end')
    .option('--sync-interval <duration>', 'time between two files under continuous writes (default: 1s)', duration)
    .option('--snapshot-interval <duration>', 'time between snapshots (default: 1h)', duration)
    .option('--on-startup', 'take a snapshot at start')
    .option('--checkpoint-interval <duration>', 'time between checkpoints (default: 60s)', duration)
    .option('--min-checkpoint-pages <count>', 'pages in the WAL before a checkpoint (default: 1000)', count)
    .option('--wal-truncate-threshold <count>', 'pages in the WAL that are too many (default: 121359)', count)
    .option('--max-retries <count>', 'attempts before a failure is reported (default: 5)', count)
    .option('--base-delay <duration>', 'first wait between attempts (default: 100ms)', duration)
    .option('--max-delay <duration>', 'longest wait between attempts (default: 30s)', duration)
    .option('--upload-concurrency <count>', 'uploads at a time (default: 4)', count)
    .option('--shadow-wal', 'copy frames to the state directory before the WAL is restarted (default)')
    .option('--no-shadow-wal', 'keep the WAL until its frames are in the spool')
    .option('--spool-dir <folder>', 'where files wait for their upload (default: in the state directory)')
    .option('--spool-max-size <size>', 'how much may wait on this machine (default: 5GiB)', size)
    .option('--cache-retention <duration>', 'how long shipped files stay here (default: 24h)', duration)
    .option('--cache-max-size <size>', 'how much of shipped files stays here (default: 1GiB)', size)
    .option('--state-dir <folder>', 'where walrust keeps its state (default: beside each database)')
    .option('--shutdown-timeout <duration>', 'how long to go on shipping at the end (default: 10s)', duration)
    .option('--adopt', 'go on with a backup that this machine did not write last')
    .action(async (databases: string[], options: WatchOptions, command: Command) => {
      process.exitCode = await watch(databases, options, command)
    })
}

/** One run of `walrust watch`. Returns the exit code. */
async function watch(databases: string[], options: WatchOptions, command: Command): Promise<number> {
  const config = configFromFlags(databases, options, options.once ?? false)
  const { host, log } = createContext(command, config)
  if (options.bucket === undefined) log.info('no storage was given', { using: DEFAULT_STORAGE })
  const service = new Service({ config, host, log })
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
