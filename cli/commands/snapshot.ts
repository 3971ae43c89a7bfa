import type { Command } from 'commander'
import type { ResolvedConfig } from '../../core/config/resolved.js'
import type { Host } from '../../core/host.js'
import { Service } from '../../core/service.js'
import { configFromFlags, type Flags } from '../config.js'
import { asUrl, type Context, createContext, DEFAULT_STORAGE, print } from '../context.js'
import { askWatcher } from '../running.js'

export function snapshotCommand(program: Command): void {
  program
    .command('snapshot')
    .description('store the whole database now')
    .argument('<database>', 'file')
    .option('-b, --bucket <url>', 'where to')
    .option('--state-dir <folder>', 'where walrust keeps its state (default: beside the database)')
    .option('--adopt', 'go on with a backup that this machine did not write last')
    .action(async (path: string, options: Flags, command: Command) => {
      const config = configFromFlags([path], options, true)
      const context = createContext(command, config)
      const done = (await throughWatcher(path, options, context.host)) ?? (await ownSnapshot(config, context, options))
      print(context, done, () => `${done.database}: snapshot of transaction ${done.txid}`)
    })
}

interface Done {
  database: string
  storages: readonly string[]
  txid: number
}

/** A running `watch` has the database to itself: it is asked. */
async function throughWatcher(database: string, { bucket, stateDir }: Flags, host: Host): Promise<Done | undefined> {
  const storages = bucket === undefined ? undefined : [(await host.store(asUrl(bucket))).url]
  return await askWatcher<Done>({ command: 'snapshot', database, stateDir, options: { storages } })
}

async function ownSnapshot(config: ResolvedConfig, { host, log }: Context, { bucket }: Flags): Promise<Done> {
  if (bucket === undefined) log.info('no storage was given', { using: DEFAULT_STORAGE })
  const service = new Service({ config, host, log })
  try {
    await service.start()
    const [database] = service.names
    const txid = await service.snapshot(database)
    return { database, storages: service.storagesOf(database), txid }
  } finally {
    await service.close()
  }
}
