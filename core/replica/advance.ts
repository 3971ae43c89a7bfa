import type { Inventory, StoredFile } from '../inventory.js'
import { type FileId, fileKey, LEVEL_SHIPPED, LEVEL_SNAPSHOT, levelPrefix, parseKey } from '../object-keys.js'
import { storageFailure } from '../failures.js'
import type { Remote } from '../remote.js'

/** Files looked at in one listing; what comes after them is found by the next. */
const MOST_LISTED = 1000

/** Files planned in one go: after them there is a new plan. */
const MOST_PLANNED = 64

/** Files of level 0 around a transaction. */
export interface Newer {
  /** The file of the transaction itself is there. */
  own: boolean
  /** Files behind it, ascending. */
  newer: StoredFile[]
}

/** Lists level 0 from a transaction on: one request, however long the history. Errors: `E_STORAGE`…. */
export async function listFrom(remote: Remote, txid: number, signal: AbortSignal): Promise<Newer> {
  const before = { minTxid: txid - 1, maxTxid: txid - 1 }
  const files = await listBehind(remote, LEVEL_SHIPPED, txid > 1 ? before : undefined, signal)
  return { own: files.some(({ maxTxid }) => maxTxid === txid), newer: files.filter(({ maxTxid }) => maxTxid > txid) }
}

/** Lists snapshots of newer transactions, ascending: one request. */
export async function listSnapshots(remote: Remote, txid: number, signal: AbortSignal): Promise<StoredFile[]> {
  return await listBehind(remote, LEVEL_SNAPSHOT, { minTxid: 1, maxTxid: txid }, signal)
}

async function listBehind(
  remote: Remote,
  level: number,
  ids: Pick<FileId, 'minTxid' | 'maxTxid'> | undefined,
  signal: AbortSignal,
): Promise<StoredFile[]> {
  const { store, name } = remote
  const files: StoredFile[] = []
  try {
    const prefix = levelPrefix(store.keyStyle, name, level)
    const after = ids && fileKey(store.keyStyle, name, { level, ...ids })
    for await (const info of store.list({ prefix, after, signal })) {
      const id = parseKey(store.keyStyle, info.key)
      if (id?.name !== name || id.level !== level) continue
      const { minTxid, maxTxid } = id
      files.push({ level, minTxid, maxTxid, key: info.key, size: info.size, timestamp: info.timestamp })
      if (files.length >= MOST_LISTED) break
    }
  } catch (error) {
    throw storageFailure(error, store.url, 'listing')
  }
  return files
}

/** Files that lead on from a transaction without a gap, as far as they do. */
export function contiguous(files: readonly StoredFile[], txid: number): StoredFile[] {
  const chain: StoredFile[] = []
  let at = txid
  for (const file of files) {
    if (file.minTxid > at + 1) break
    if (file.maxTxid <= at) continue
    chain.push(file)
    at = file.maxTxid
  }
  return chain
}

/**
 * The way from a transaction to the newest that can be reached: always the file that goes on from where we are and
 * reaches furthest, and where there is none, the newest snapshot beyond. Empty if nothing leads on.
 */
export function planAdvance(inventory: Inventory, txid: number, usable: (file: StoredFile) => boolean): StoredFile[] {
  const files = [...inventory.files()].filter((file) => file.maxTxid > txid && usable(file))
  let plan: StoredFile[] = []
  let at = txid
  while (plan.length < MOST_PLANNED) {
    const changes = files.filter((file) => file.level < LEVEL_SNAPSHOT && file.minTxid <= at + 1 && file.minTxid > 1)
    let next = furthest(changes, at)
    if (next) {
      plan.push(next)
    } else {
      next = furthest(
        files.filter((file) => file.minTxid === 1),
        at,
      )
      if (!next) return plan
      plan = [next]
    }
    at = next.maxTxid
  }
  return plan
}

function furthest(files: readonly StoredFile[], at: number): StoredFile | undefined {
  let best: StoredFile | undefined
  for (const file of files) if (file.maxTxid > (best?.maxTxid ?? at)) best = file
  return best
}
