import { createHash } from 'node:crypto'
import { basename, dirname, join, resolve } from 'node:path'
import type { ObjectStore } from './object-store.js'
import type { DatabaseSettings } from './settings.js'

/** Folder for the state of a database: beside it, or under a given one, where its path tells it from others. */
export function stateFolder(path: string, under: string | undefined): string {
  const file = resolve(path)
  if (under === undefined) return join(dirname(file), `.${basename(file)}-walrust`)
  return join(resolve(under), `${basename(file)}-${createHash('sha256').update(file).digest('hex').slice(0, 12)}`)
}

/** Folder for what this machine remembers of a database in one storage: another storage starts afresh. */
export function shippingFolder(
  path: string,
  { spool, stateDir }: Pick<DatabaseSettings, 'spool' | 'stateDir'>,
  store: ObjectStore,
): string {
  return join(stateFolder(path, spool.dir ?? stateDir), storeFolder(store))
}

function storeFolder(store: ObjectStore): string {
  return createHash('sha256').update(store.url).digest('hex').slice(0, 12)
}
