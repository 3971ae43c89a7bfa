import type { Command } from 'commander'
import { WalrustError } from '../../core/errors.js'
import { Service } from '../../core/service/service.js'
import { configure } from '../config.js'
import { type Context, createContext, openStorage, print, sayDefault } from '../context.js'
import { addFlags, addStorageFlags } from '../flags.js'
import type { SnapshotOutput } from '../generated/outputs.js'
import { askWatcher } from '../running.js'

interface SnapshotOptions {
  bucket?: string
  adopt?: boolean
}

export function snapshotCommand(program: Command): void {
  const taking = program
    .command('snapshot')
    .description('store the whole database now')
    .argument('<database>', 'file')
    .option('--adopt', 'go on with a backup that this machine did not write last')
    .action(async (path: string, options: SnapshotOptions, command: Command) => {
      const loaded = await configure(command, { databases: [path], giveUp: true, adopt: options.adopt })
      const context = createContext(command, loaded)
      const done = (await throughWatcher(path, options.bucket, context)) ?? (await ownSnapshot(context))
      print<SnapshotOutput>(context, done, () => `${done.database}: snapshot of transaction ${done.txid}`)
    })
  addStorageFlags(taking, 'where to')
  addFlags(taking, 'stateDir')
}

/** A running `watch` has the database to itself: it is asked. */
async function throughWatcher(
  path: string,
  bucket: string | undefined,
  context: Context,
): Promise<SnapshotOutput | undefined> {
  const { stateDir } = context.loaded?.resolved.databases[0]?.settings ?? {}
  const storages = bucket === undefined ? undefined : [(await openStorage(context, bucket)).url]
  return await askWatcher<SnapshotOutput>({ command: 'snapshot', database: path, stateDir, options: { storages } })
}

async function ownSnapshot(context: Context): Promise<SnapshotOutput> {
  const { host, log, loaded } = context
  if (!loaded) throw new WalrustError('E_INTERNAL', 'a snapshot needs a configuration')
  sayDefault(context)
  const service = new Service({ config: loaded.resolved, host, log })
  try {
    await service.start()
    const [database] = service.names
    const txid = await service.snapshot(database)
    return { database, storages: [...service.storagesOf(database)], txid }
  } finally {
    await service.close()
  }
}
