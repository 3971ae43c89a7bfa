import type { DatabaseSource, ResolvedConfig } from '../config/resolved.js'
import { WalrustError } from '../errors.js'
import type { Host } from '../host.js'
import type { ObjectStore } from '../object-store.js'

/** The stores that each database of a configuration is shipped to. */
export type StoresOf = ReadonlyMap<DatabaseSource, readonly ObjectStore[]>

/** Opens the stores of a configuration. Errors: `E_CONFIG`, and what plugins say of their storages. */
export async function openStores(host: Host, config: ResolvedConfig): Promise<StoresOf> {
  const stores = new Map<DatabaseSource, readonly ObjectStore[]>()
  for (const source of config.databases) {
    checkDistinct(source)
    stores.set(source, await host.storesOf(source.storages))
  }
  return stores
}

/** Each store once. */
export function everyStore(stores: StoresOf): Set<ObjectStore> {
  return new Set([...stores.values()].flat())
}

/** Folders on this machine where backups lie. */
export function foldersOf(stores: StoresOf): string[] {
  return [...new Set([...everyStore(stores)].flatMap(({ folder }) => folder ?? []))]
}

/** A storage is known by its URL on this machine: state of two with the same one would lie in one folder. */
function checkDistinct({ path, storages }: DatabaseSource): void {
  const urls = storages.map(({ url }) => url)
  const twice = urls.find((url, i) => urls.indexOf(url) < i)
  if (twice === undefined) return
  const hint = 'Give each a bucket or a prefix of its own.'
  throw new WalrustError('E_CONFIG', `${path} would be shipped to ${twice} twice`, { database: path, hint })
}
