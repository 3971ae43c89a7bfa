import { storageFailure } from './failures.js'
import { parseClaimKey, parseFencePostKey } from './fence/keys.js'
import { Inventory } from './inventory.js'
import { parseKey, parseSidecarKey } from './object-keys.js'
import { type ObjectStore, StoreError } from './object-store.js'
import { listOn } from './storage/resuming.js'

/** Objects in one listing. Each takes some hundred bytes here; a listing without end must not take all there are. */
const MOST_LISTED = 5_000_000

export interface ListingOptions {
  signal?: AbortSignal
  /** More objects than that are an error. */
  most?: number
  /** Told of every key that is not one of the database's files. */
  others?: (key: string) => void
}

/** Lists everything there is of a database in a storage. Errors: `E_STORAGE`…, also if the listing ends early. */
export async function listInventory(
  store: ObjectStore,
  name: string,
  { signal, most = MOST_LISTED, others }: ListingOptions,
): Promise<Inventory> {
  const inventory = new Inventory()
  let listed = 0
  try {
    const skip = others ? undefined : (key: string) => parseSidecarKey(name, key) !== undefined
    for await (const info of listOn(store, { prefix: `${name}/`, skip, signal })) {
      if (++listed > most) throw new StoreError('permanent', `more than ${most} objects`)
      const id = parseKey(store.keyStyle, info.key)
      if (id?.name !== name) {
        noteFencing(inventory, name, info.key)
        others?.(info.key)
        continue
      }
      const { level, minTxid, maxTxid } = id
      inventory.add({ level, minTxid, maxTxid, key: info.key, size: info.size, timestamp: info.timestamp })
    }
  } catch (error) {
    throw storageFailure(error, store.url, 'listing')
  }
  return inventory
}

/** What writers leave for each other beside the files. */
function noteFencing(inventory: Inventory, name: string, key: string): void {
  inventory.epoch = Math.max(inventory.epoch, parseClaimKey(name, key) ?? 0)
  const post = parseFencePostKey(name, key)
  if (post !== undefined) inventory.fencePosts.add(post)
}
