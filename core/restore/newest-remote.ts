import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { isError, WalrustError } from '../errors.js'
import { storageFailure } from '../failures.js'
import type { Hooks } from '../hooks.js'
import type { Inventory } from '../inventory.js'
import type { Log } from '../log.js'
import type { ObjectStore } from '../object-store.js'
import { Remote } from '../remote.js'
import { headFile } from '../ship/reconcile.js'

/** A database in a storage, and what was just listed of it there. */
export interface Listed {
  readonly remote: Remote
  readonly inventory: Inventory
}

/**
 * What each storage has of a database, the one with the newest state first. A storage that cannot be listed whole is an
 * error: it might hold what is newer.
 */
export async function listRemotes(
  stores: readonly ObjectStore[],
  name: string,
  hooks: Hooks,
  signal?: AbortSignal,
): Promise<Listed[]> {
  const found: Array<Listed & { timestamp: number }> = []
  for (const store of stores) {
    const remote = new Remote(store, name, hooks)
    try {
      const inventory = await remote.inventory(signal)
      // Alone it is the newest, whatever its time is.
      const timestamp = stores.length === 1 ? 0 : await newestTimestamp({ remote, inventory }, signal)
      found.push({ remote, inventory, timestamp })
    } catch (error) {
      signal?.throwIfAborted()
      throw stores.length === 1 ? error : notAsked(error, store, stores)
    }
  }
  return found.sort((a, b) => b.timestamp - a.timestamp)
}

/**
 * Before it is concluded that there is no backup: a folder that is not there, in a folder that is not there either, is no
 * empty storage but a path that was mistyped or a disk that is not mounted. Errors: `E_STORAGE_MISSING`.
 */
export function checkPlaces(stores: readonly ObjectStore[]): void {
  for (const { folder, url } of stores) {
    if (folder === undefined || existsSync(dirname(folder))) continue
    throw new WalrustError('E_STORAGE_MISSING', `${dirname(folder)} is not there, where the backup would lie`, {
      storage: url,
      hint: 'Check the path, and whether its disk is mounted. If there is to be no backup yet, make that folder.',
    })
  }
}

/** What is wrong with a backup in one storage, and may be right in another. */
const ITS_OWN = ['E_OBJECT_DAMAGED', 'E_CHAIN_BROKEN', 'E_CHECKSUM', 'E_POINT_UNAVAILABLE', 'E_NO_BACKUP'] as const

/**
 * Does something with the first storage where it can be done: what is damaged or missing in one may be whole in the
 * next.
 *
 * @param passedOver told of every storage that could not be used while there is another
 * Errors: what `work` throws; if no storage can be used, what it threw for the first
 */
export async function firstThatCan<T>(
  listed: readonly Listed[],
  work: (from: Listed) => Promise<T>,
  passedOver: (from: Listed, error: WalrustError) => void,
): Promise<T> {
  let first: WalrustError | undefined
  for (const [i, from] of listed.entries()) {
    try {
      return await work(from)
    } catch (error) {
      if (!isError(error, ...ITS_OWN)) throw error
      first ??= error
      const more = listed.slice(i + 1).some(({ inventory }) => inventory.size > 0)
      if (!more) break
      passedOver(from, error)
    }
  }
  throw first ?? new RangeError('there is no storage to look in')
}

/** Says loudly of each storage that it was passed over: what was taken instead may be older. */
export function tellPassedOver(log: Log): (from: Listed, error: WalrustError) => void {
  return ({ remote }, { message, code }) => {
    const fields = { database: remote.name, storage: remote.store.url, error: message, code }
    log.error('this storage cannot give what is wanted: another one is asked', fields)
  }
}

/**
 * When the newest state was observed, milliseconds since the epoch. The times of a listing do not tell: what was merged
 * yesterday of last week's is one of yesterday's objects.
 */
async function newestTimestamp({ remote, inventory }: Listed, signal: AbortSignal | undefined): Promise<number> {
  if (inventory.size === 0) return -Infinity
  const file = headFile(inventory, inventory.newest)
  try {
    return (await remote.times(file, signal)).timestamp ?? file.timestamp
  } catch (error) {
    // It was merged away meanwhile, or is damaged: whoever reads it will see.
    if (isError(error, 'E_CHAIN_BROKEN', 'E_OBJECT_DAMAGED')) return file.timestamp
    throw error
  }
}

function notAsked(error: unknown, store: ObjectStore, stores: readonly ObjectStore[]): WalrustError {
  const failure = storageFailure(error, store.url, 'listing')
  const others = stores.filter((other) => other !== store).map(({ url }) => url)
  return new WalrustError(failure.code, failure.message, {
    storage: store.url,
    hint: `It may hold what is newer. To restore without knowing, name another: ${others.map((url) => `-b ${url}`).join(' or ')}. ${failure.hint}`,
    cause: error,
  })
}
