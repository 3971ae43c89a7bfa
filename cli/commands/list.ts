import type { Command } from 'commander'
import { formatSize } from '../../core/config/units.js'
import { WalrustError } from '../../core/errors.js'
import type { Inventory } from '../../core/inventory.js'
import { LEVEL_SNAPSHOT, parseKey } from '../../core/object-keys.js'
import type { ObjectStore } from '../../core/object-store.js'
import { Remote } from '../../core/remote.js'
import { restorablePoints } from '../../core/restore/plan.js'
import { storageFailure } from '../../core/failures.js'
import { type Context, createContext, openStorage, print } from '../context.js'
import { table } from '../table.js'

interface Summary {
  name: string
  txid: number
  /** The range of moments that can be restored, ISO 8601. */
  from: string | null
  to: string | null
  snapshots: number
  files: number
  bytes: number
}

export function listCommand(program: Command): void {
  program
    .command('list')
    .description('show the databases in a storage, or the history of one')
    .argument('[name]', 'database')
    .option('-b, --bucket <url>', 'where to look')
    .action(async (name: string | undefined, options: { bucket?: string }, command: Command) => {
      const context = createContext(command)
      const store = await openStorage(context, options.bucket)
      if (name === undefined) await listAll(context, store)
      else await listOne(context, new Remote(store, name, context.host.hooks))
      await context.host.stop()
    })
}

async function listAll(context: Context, store: ObjectStore): Promise<void> {
  const names = new Set<string>()
  try {
    for await (const { key } of store.list({ prefix: '' })) {
      const found = parseKey(store.keyStyle, key)
      if (found) names.add(found.name)
    }
  } catch (error) {
    throw storageFailure(error, store.url, 'listing')
  }
  const databases: Summary[] = []
  for (const name of [...names].sort()) {
    databases.push(await summarize(new Remote(store, name, context.host.hooks)))
  }
  print(context, { storage: store.url, databases }, () => {
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

async function summarize(remote: Remote, inventory?: Inventory): Promise<Summary> {
  const all = inventory ?? (await remote.inventory())
  const points = restorablePoints(all)
  const time = async (point: number | undefined) => {
    const file = [...all.files()].find(({ maxTxid }) => maxTxid === point)
    return file ? new Date((await remote.facts(file)).timestamp ?? file.timestamp).toISOString() : null
  }
  return {
    name: remote.name,
    txid: points.at(-1) ?? 0,
    from: await time(points[0]),
    to: await time(points.at(-1)),
    snapshots: all.level(LEVEL_SNAPSHOT).length,
    files: all.size,
    bytes: all.bytes,
  }
}

async function listOne(context: Context, remote: Remote): Promise<void> {
  const inventory = await remote.inventory()
  if (inventory.size === 0) {
    throw new WalrustError('E_NO_BACKUP', `there is no backup of ${remote.name} in ${remote.store.url}`, {
      database: remote.name,
    })
  }
  const summary = await summarize(remote, inventory)
  const points = new Set(restorablePoints(inventory))
  const files = [...inventory.files()].map(({ level, minTxid, maxTxid, size, timestamp, key }) => ({
    level,
    minTxid,
    maxTxid,
    bytes: size,
    timestamp: new Date(timestamp).toISOString(),
    restorable: points.has(maxTxid),
    key,
  }))
  print(context, { storage: remote.store.url, ...summary, history: files }, () => {
    const rows = files.map((file) => [
      file.level === LEVEL_SNAPSHOT ? 'snapshot' : `level ${file.level}`,
      file.minTxid === file.maxTxid ? file.maxTxid : `${file.minTxid}–${file.maxTxid}`,
      file.timestamp,
      formatSize(file.bytes),
      file.restorable ? 'yes' : 'no',
    ])
    return table(['what', 'transactions', 'time', 'size', 'restorable'], rows)
  })
}
