import { createHash } from 'node:crypto'
import { type ObjectBody, type ObjectMetadata, StoreError } from '../../core/index.js'
import type { Client } from './client.js'

/** Bytes of a part: the smallest that services take. */
export const PART_SIZE = 5 * 2 ** 20
/** A service takes 10,000 parts; from here on they are larger, for objects of up to 330 GiB. */
const LARGER_FROM = 5000
const LARGER = 12
/** Parts on their way at a time: with the one being filled, three buffers. */
const AT_ONCE = 2

interface Part {
  PartNumber: number
  ETag: string | undefined
  ChecksumSHA256: string
}

export interface Upload {
  client: Client
  key: string
  metadata: ObjectMetadata
  conditions: { IfNoneMatch?: '*'; IfMatch?: string }
  signal: AbortSignal | undefined
}

/**
 * Stores a stream in parts, with as many bytes in memory as three parts have. Whatever goes wrong, the parts sent so
 * far are given up, so that nobody pays for them.
 *
 * @returns etag and bytes of the object
 */
export async function uploadInParts(
  upload: Upload,
  body: ObjectBody,
): Promise<{ etag: string | undefined; size: number }> {
  const { client, key, metadata, signal } = upload
  const target = { Bucket: client.place.bucket, Key: key }
  const created = await client.send(
    (sdk) =>
      new sdk.CreateMultipartUploadCommand({ ...target, Metadata: { ...metadata }, ChecksumAlgorithm: 'SHA256' }),
    { signal },
  )
  const id = { ...target, UploadId: created.UploadId }
  try {
    const { parts, size } = await sendParts(upload, id, body)
    return { etag: await complete(upload, id, parts, size), size }
  } catch (error) {
    await client.send((sdk) => new sdk.AbortMultipartUploadCommand(id)).catch(() => undefined)
    throw error
  }
}

interface UploadId {
  Bucket: string
  Key: string
  UploadId: string | undefined
}

/**
 * Has the service put the parts together. If its answer is lost, the object is looked at: sending the whole snapshot
 * again would take as long as the first time, and find it there.
 */
async function complete(
  { client, conditions, signal }: Upload,
  id: UploadId,
  parts: readonly Part[],
  size: number,
): Promise<string | undefined> {
  const input = { ...id, ...conditions, MultipartUpload: { Parts: [...parts] } }
  try {
    // Putting the parts together may take the service a while.
    const done = await client.send((sdk) => new sdk.CompleteMultipartUploadCommand(input), { signal, bytes: size })
    return done.ETag
  } catch (error) {
    if (!(error instanceof StoreError) || error.kind !== 'transient') throw error
    const { Bucket, Key } = id
    const there = await client
      .send((sdk) => new sdk.HeadObjectCommand({ Bucket, Key }), { signal })
      .catch(() => undefined)
    if (there?.ETag === undefined || there.ETag.replaceAll('"', '') !== etagOf(parts)) throw error
    return there.ETag
  }
}

/** The etag of an object made of these parts, as far as the service makes it as most do: nothing else equals it. */
function etagOf(parts: readonly Part[]): string | undefined {
  const md5 = createHash('md5')
  for (const { ETag = '' } of parts) {
    const hex = ETag.replaceAll('"', '')
    if (!/^[0-9a-f]{32}$/.test(hex)) return undefined
    md5.update(Buffer.from(hex, 'hex'))
  }
  return `${md5.digest('hex')}-${parts.length}`
}

async function sendParts(
  { client, signal }: Upload,
  id: UploadId,
  body: ObjectBody,
): Promise<{ parts: Part[]; size: number }> {
  const parts: Part[] = []
  const buffers = new PartBuffers()
  const sending = new Set<Promise<void>>()
  let failed: { error: unknown } | undefined
  let size = 0

  const send = (number: number, buffer: Buffer, used: number) => {
    const bytes = buffer.subarray(0, used)
    const hash = createHash('sha256').update(bytes).digest()
    const part: Part = { PartNumber: number, ETag: undefined, ChecksumSHA256: hash.toString('base64') }
    parts.push(part)
    const input = { ...id, PartNumber: number, Body: bytes, ContentLength: used, ChecksumSHA256: part.ChecksumSHA256 }
    const work = client
      .send((sdk) => new sdk.UploadPartCommand(input), { signal, bytes: used, sha256: hash.toString('hex') })
      .then(({ ETag }) => void (part.ETag = ETag))
      .catch((error: unknown) => void (failed ??= { error }))
      .finally(() => {
        sending.delete(work)
        buffers.give(buffer)
      })
    sending.add(work)
  }
  const raise = () => {
    if (failed) throw failed.error
  }

  try {
    let number = 1
    let buffer = buffers.take(number)
    let used = 0
    for await (const piece of body) {
      raise()
      for (let at = 0; at < piece.length;) {
        if (used === buffer.length) {
          send(number++, buffer, used)
          while (sending.size >= AT_ONCE) await Promise.race(sending)
          raise()
          buffer = buffers.take(number)
          used = 0
        }
        const step = Math.min(buffer.length - used, piece.length - at)
        buffer.set(piece.subarray(at, at + step), used)
        used += step
        at += step
      }
      size += piece.length
    }
    if (used > 0 || number === 1) send(number, buffer, used)
  } finally {
    await Promise.all(sending)
  }
  raise()
  return { parts, size }
}

/** Buffers for parts, used again: allocated anew for each they would wait for the collector, and add up. */
class PartBuffers {
  #free: Buffer[] = []

  take(number: number): Buffer {
    const size = number < LARGER_FROM ? PART_SIZE : PART_SIZE * LARGER
    const free = this.#free.pop()
    return free?.length === size ? free : Buffer.allocUnsafeSlow(size)
  }

  give(buffer: Buffer): void {
    this.#free.push(buffer)
  }
}
