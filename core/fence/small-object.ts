import type { ObjectStore, PutOptions } from '../object-store.js'
import { collect } from '../storage/collect.js'
import { Watchdog } from '../storage/watchdog.js'
import { bodyOf } from '../store-rules.js'

/** More than a heartbeat, a claim or a list of files to be removed can have. */
const LIMIT = 256 * 1024

/** At the end, and for what does no harm if it stays, nobody waits longer than this for the storage, in milliseconds. */
export const RELEASE = 2000

/** Stores a small JSON object. */
export async function putJson(store: ObjectStore, key: string, value: object, options: PutOptions): Promise<void> {
  const bytes = Buffer.from(`${JSON.stringify(value)}\n`)
  await store.put(key, () => bodyOf(bytes), { ...options, size: bytes.length })
}

/** The text of a small object; `undefined` if there is none. */
export async function getText(store: ObjectStore, key: string, signal: AbortSignal): Promise<string | undefined> {
  const answer = await store.get(key, { signal })
  return answer && Buffer.from(await collect(answer.body, LIMIT)).toString('utf8')
}

/** The fields of a JSON text; none if it is no JSON object. */
export function fieldsOf(text: string | undefined): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text ?? '')
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

/**
 * Ends work on small objects that takes too long, by a timer of this process, whether the store listens to that or not.
 * Errors: those of the work, `StoreError`.
 */
export async function within<T>(milliseconds: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const dog = new Watchdog(milliseconds, undefined)
  try {
    return await dog.within(work(dog.signal))
  } finally {
    dog.end()
  }
}

/** Deletes what does no harm if it stays. Resolves with what kept it from that, if anything did. */
export async function letGo(store: ObjectStore, keys: readonly string[]): Promise<unknown> {
  return await within(RELEASE, (signal) => store.delete(keys, { signal })).catch((error: unknown) => error)
}
