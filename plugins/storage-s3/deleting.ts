import { createHash } from 'node:crypto'
import { StoreError } from '../../core/index.js'
import type { Client } from './client.js'
import { codeOf, statusOf } from './failure.js'

/** As many as the service takes in one request. */
const BATCH = 1000
/** Requests at a time where each key needs its own. */
const AT_ONCE = 8

/** Deletes objects by their whole keys. Those that are not there count as deleted. */
export async function deleteKeys(
  client: Client,
  keys: readonly string[],
  signal: AbortSignal | undefined,
): Promise<void> {
  if (keys.length === 1) {
    await deleteSingly(client, keys, signal)
    return
  }
  for (let at = 0; at < keys.length; at += BATCH) {
    const batch = keys.slice(at, at + BATCH)
    try {
      await deleteBatch(client, batch, signal)
    } catch (error) {
      const cause = error instanceof StoreError ? (error.cause ?? {}) : {}
      if (statusOf(cause) !== 501 && codeOf(cause) !== 'NotImplemented') throw error
      await deleteSingly(client, batch, signal)
    }
  }
}

async function deleteBatch(client: Client, keys: readonly string[], signal: AbortSignal | undefined): Promise<void> {
  const Delete = { Objects: keys.map((Key) => ({ Key })), Quiet: true }
  const input = { Bucket: client.place.bucket, Delete, ChecksumAlgorithm: 'SHA256' as const }
  // Some services check this one and know no other.
  const md5 = (body: string) => ({ 'content-md5': createHash('md5').update(body).digest('base64') })
  const answer = await client.send((sdk) => new sdk.DeleteObjectsCommand(input), { signal, bodyHeaders: md5 })
  const failed = answer.Errors?.filter(({ Code }) => Code !== 'NoSuchKey') ?? []
  if (failed.length === 0) return
  const [{ Key, Code, Message }] = failed
  const kind =
    Code === 'AccessDenied' ? 'auth' : Code === 'InternalError' || Code === 'SlowDown' ? 'transient' : 'permanent'
  throw new StoreError(kind, `${failed.length} objects were not deleted, the first is ${Key}: ${Message} (${Code})`)
}

async function deleteSingly(client: Client, keys: readonly string[], signal: AbortSignal | undefined): Promise<void> {
  const Bucket = client.place.bucket
  for (let at = 0; at < keys.length; at += AT_ONCE) {
    const some = keys.slice(at, at + AT_ONCE)
    await Promise.all(some.map((Key) => client.send((sdk) => new sdk.DeleteObjectCommand({ Bucket, Key }), { signal })))
  }
}
