import type { Command } from 'commander'
import { formatSize } from '../../core/config/units.js'
import { LEVEL_SNAPSHOT } from '../../core/object-keys.js'
import type { ObjectStore } from '../../core/object-store.js'
import { Remote } from '../../core/remote.js'
import { historyOf, summarizeAll } from '../../core/restore/summary.js'
import { type Context, createContext, openStorage, print } from '../context.js'
import { addStorageFlags } from '../flags.js'
import type { ListOutput } from '../generated/outputs.js'
import { table } from '../table.js'

export function listCommand(program: Command): void {
  const listing = program
    .command('list')
    .description('show the databases in a storage, or the history of one')
    .argument('[name]', 'database')
    .action(async (name: string | undefined, options: { bucket?: string }, command: Command) => {
      const context = createContext(command)
      const store = await openStorage(context, options.bucket)
      if (name === undefined) await listAll(context, store)
      else await listOne(context, new Remote(store, name, context.host.hooks))
      await context.host.stop()
    })
  addStorageFlags(listing, 'where to look')
}

async function listAll(context: Context, store: ObjectStore): Promise<void> {
  const databases = await summarizeAll(store, context.host.hooks)
  print<ListOutput>(context, { storage: store.url, databases }, () => {
    if (databases.length === 0) return `There are no backups in ${store.url}.`
    const rows = databases.map((db) => [
      db.name,
      db.txid,
      db.from ?? '–',
      db.to ?? '–',
      db.snapshots,
      db.files,
      formatSize(db.bytes),
    ])
    return table(['database', 'txid', 'from', 'to', 'snapshots', 'files', 'size'], rows)
  })
}

async function listOne(context: Context, remote: Remote): Promise<void> {
  const result = await historyOf(remote)
  print<ListOutput>(context, result, () => {
    const rows = result.history.map((file) => [
      file.level === LEVEL_SNAPSHOT ? 'snapshot' : `level ${file.level}`,
      file.minTxid === file.maxTxid ? file.maxTxid : `${file.minTxid}–${file.maxTxid}`,
      file.timestamp,
      formatSize(file.bytes),
      file.restorable ? 'yes' : 'no',
    ])
    return table(['what', 'transactions', 'time', 'size', 'restorable'], rows)
  })
}
