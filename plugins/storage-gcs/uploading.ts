import { createHash, randomBytes } from 'node:crypto'
import type { ObjectBody, ObjectMetadata } from '../../core/index.js'
import { StoreError } from '../../core/index.js'
import type { Client } from './client.js'

/** Bytes sent at a time: a multiple of 256 KiB, as the service wants it. */
export const CHUNK = 8 * 2 ** 20

/** What the service says of an object. */
export interface GcsObject {
  name: string
  size: string
  generation: string
  updated?: string
  metadata?: Record<string, string>
}

export interface Upload {
  client: Client
  key: string
  metadata: ObjectMetadata
  /** `0` for an object that must not be there, a generation for one that is to be replaced. */
  ifGenerationMatch: string | undefined
  signal: AbortSignal | undefined
}

/** Stores bytes that are in memory, with one request; the service checks their MD5. */
export async function uploadWhole(
  { client, key, metadata, ifGenerationMatch, signal }: Upload,
  bytes: Buffer,
): Promise<GcsObject> {
  const boundary = `walrust-${randomBytes(12).toString('hex')}`
  const md5Hash = createHash('md5').update(bytes).digest('base64')
  const about = JSON.stringify({ name: key, metadata, md5Hash })
  const body = Buffer.concat([
    Buffer.from(`--${boundary}\r\ncontent-type: application/json; charset=utf-8\r\n\r\n${about}\r\n`),
    Buffer.from(`--${boundary}\r\ncontent-type: application/octet-stream\r\n\r\n`),
    bytes,
    Buffer.from(`\r\n--${boundary}--\r\n`),
  ])
  const url = client.objects(undefined, { uploadType: 'multipart', ifGenerationMatch }, '/upload/storage/v1')
  const headers = { 'content-type': `multipart/related; boundary=${boundary}` }
  return await client.json<GcsObject>(url, { method: 'POST', headers, body, signal })
}

/** Stores a stream chunk by chunk, one of them in memory. Whatever goes wrong, what was sent so far is given up. */
export async function uploadStream(upload: Upload, body: ObjectBody): Promise<GcsObject> {
  const { client, key, metadata, ifGenerationMatch, signal } = upload
  const start = client.objects(undefined, { uploadType: 'resumable', ifGenerationMatch }, '/upload/storage/v1')
  const headers = { 'content-type': 'application/json; charset=utf-8' }
  const begun = await client.send(start, {
    method: 'POST',
    headers,
    body: JSON.stringify({ name: key, metadata }),
    signal,
  })
  await begun.body?.cancel()
  const session = begun.headers.get('location')
  if (!session) throw new StoreError('transient', 'the service began an upload without saying where')
  try {
    return await sendChunks(upload, session, body)
  } catch (error) {
    // 499 is the answer to a cancellation.
    await client.send(session, { method: 'DELETE', accept: [499, 404, 410] }).catch(() => undefined)
    throw error
  }
}

async function sendChunks({ client, signal }: Upload, session: string, body: ObjectBody): Promise<GcsObject> {
  const buffer = Buffer.allocUnsafeSlow(CHUNK)
  let used = 0
  let sent = 0
  for await (const piece of body) {
    for (let at = 0; at < piece.length;) {
      // Sent only when there is more: the last chunk has to say that it is the last.
      if (used === CHUNK) {
        await sendChunk(client, session, buffer, sent, signal)
        sent += CHUNK
        used = 0
      }
      const step = Math.min(CHUNK - used, piece.length - at)
      buffer.set(piece.subarray(at, at + step), used)
      used += step
      at += step
    }
  }
  const total = sent + used
  const range = used === 0 ? `bytes */${total}` : `bytes ${sent}-${total - 1}/${total}`
  const last = { method: 'PUT', headers: { 'content-range': range }, body: buffer.subarray(0, used), signal }
  return await client.json<GcsObject>(session, last)
}

async function sendChunk(
  client: Client,
  session: string,
  bytes: Buffer,
  sent: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const headers = { 'content-range': `bytes ${sent}-${sent + bytes.length - 1}/*` }
  const answer = await client.send(session, { method: 'PUT', headers, body: bytes, signal, accept: [308] })
  await answer.body?.cancel()
  if (answer.headers.get('range') !== `bytes=0-${sent + bytes.length - 1}`) {
    throw new StoreError('transient', 'the service did not keep the whole of a chunk')
  }
}
