import type { LoadedConfig } from '../core/config/load.js'
import type { DatabaseSource, StorageSource } from '../core/config/resolved.js'
import { settingsOf } from '../core/config/settings-of.js'
import { discover, type FoundDatabase } from '../core/discover.js'
import { WalrustError } from '../core/errors.js'
import { splitDatabaseUrl } from '../core/storage-url.js'
import { configure } from './config.js'
import { type Context, createContext, sayDefault } from './context.js'
import type { DatabaseSettings } from '../core/settings.js'
import type { Command } from 'commander'

/** A database by its name in storage. */
export interface StoredDatabase {
  readonly name: string
  /** Where it lies on this machine, if the configuration says so. */
  readonly path: string | undefined
  readonly storages: readonly StorageSource[]
  /** How it is treated; if no configuration knows it, as all are. */
  readonly settings: DatabaseSettings
}

/** Everything that a command about one stored database, or all of them, starts from. */
export interface Stored {
  readonly context: Context
  readonly databases: readonly StoredDatabase[]
}

/**
 * Finds out which database is meant: by its name, as the configuration has it or as it lies in storage, or by a URL that
 * ends in its name.
 *
 * Errors: `E_USAGE` for a URL beside `-b`, and everything that is wrong with the configuration
 */
export async function findStored(
  command: Command,
  nameOrUrl: string,
  options: { bucket?: string },
): Promise<{ context: Context; database: StoredDatabase }> {
  const split = splitDatabaseUrl(nameOrUrl)
  if (split && options.bucket !== undefined) {
    throw new WalrustError('E_USAGE', `${nameOrUrl} says where the backup is, and --bucket does too`)
  }
  const loaded = await configure(command, { bucket: split?.storage })
  const context = createContext(command, loaded)
  const name = split?.name ?? nameOrUrl
  const found = (await discover(loaded.resolved.databases)).find((database) => database.name === name)
  const unknown = { name, path: undefined, storages: loaded.storage.value, settings: settingsOf(loaded.values) }
  const database = found ? asStored(found) : unknown
  if (database.storages === loaded.storage.value) sayDefault(context)
  return { context, database }
}

/** Every database that is configured. Errors: `E_NO_DATABASES` if none is. */
export async function allStored(command: Command): Promise<Stored> {
  const loaded = await configure(command)
  const context = createContext(command, loaded)
  const databases = (await discover(loaded.resolved.databases)).map(asStored)
  if (databases.length === 0) {
    throw new WalrustError('E_NO_DATABASES', 'no database is configured, or none is where the configuration says', {
      hint: 'Name them in `databases` of the configuration, each by its path.',
    })
  }
  if (databases.some(({ storages }) => storages === loaded.storage.value)) sayDefault(context)
  return { context, databases }
}

/** Patterns and folders of the configuration: what is missing on this machine cannot be found by them. */
export async function patternsOf(loaded: LoadedConfig): Promise<string[]> {
  const named = (await discover(loaded.resolved.databases)).filter(({ found }) => !found).map(({ place }) => place)
  return loaded.resolved.databases.filter((place) => !named.includes(place)).map(({ path }) => path)
}

function asStored({ name, path, place }: FoundDatabase<DatabaseSource>): StoredDatabase {
  return { name, path, storages: place.storages, settings: place.settings }
}
