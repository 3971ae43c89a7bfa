import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  emptyBody,
  exactBody,
  gatherBody,
  type GetOptions,
  ListingPages,
  type ListOptions,
  type ObjectBody,
  type ObjectInfo,
  type ObjectStore,
  type PutOptions,
  refuseUndeclared,
  type StoreCapabilities,
  StoreError,
  WalrustError,
} from '../../core/index.js'
import { Client } from './client.js'
import { deleteKeys } from './deleting.js'
import { codeOf, statusOf } from './failure.js'
import { PART_SIZE, uploadInParts } from './multipart.js'
import type { S3Place } from './place.js'
import { abandonOldUploads, Probe } from './probe.js'
import { readBody } from './reading.js'

/** Objects up to this size are sent whole, from memory: most files are a few kilobytes. */
const WHOLE = PART_SIZE
/** Two conditional writes at once may both be told to try again. Milliseconds between the attempts. */
const CONFLICT_WAITS = [20, 100, 500]

/** Objects in a bucket, below a prefix. */
export class S3Store implements ObjectStore {
  readonly url: string
  readonly keyStyle = 'flat'
  readonly #place: S3Place
  readonly #client: Client
  readonly #probe: Probe

  constructor(place: S3Place) {
    this.url = place.url
    this.#place = place
    this.#client = new Client(place)
    this.#probe = new Probe(this.#client)
  }

  /** As declared until the service has been tried: conditions are sent in any case, never left out. */
  get capabilities(): StoreCapabilities {
    return {
      createIfAbsent: this.#probe.createIfAbsent,
      replaceIfMatch: this.#probe.replaceIfMatch,
      metadata: true,
      streamedMetadata: true,
      listMetadata: false,
      verifiesSha256: true,
    }
  }

  async check({ signal }: { signal?: AbortSignal } = {}): Promise<void> {
    await this.#probe.run(signal)
    await abandonOldUploads(this.#client, signal)
  }

  async put(key: string, body: () => ObjectBody, options: PutOptions = {}): Promise<ObjectInfo> {
    await this.#probe.done(options.signal)
    refuseUndeclared(this.capabilities, options)
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#put(key, body, options)
      } catch (error) {
        options.signal?.throwIfAborted()
        const cause = error instanceof Error ? error.cause : undefined
        const status = statusOf(cause ?? {})
        if (isUnmet(cause, status, options)) {
          throw new WalrustError('E_OBJECT_EXISTS', `${key} is in ${this.url} already`, { storage: this.url, cause })
        }
        if (status !== 409 || attempt >= CONFLICT_WAITS.length) throw error
        await sleep(CONFLICT_WAITS[attempt], undefined, { signal: options.signal })
      }
    }
  }

  async #put(key: string, body: () => ObjectBody, options: PutOptions): Promise<ObjectInfo> {
    const { ifAbsent, ifMatch, metadata = {}, signal } = options
    const conditions = {
      ...(ifAbsent ? { IfNoneMatch: '*' as const } : {}),
      ...(ifMatch === undefined ? {} : { IfMatch: ifMatch }),
    }
    const exact = exactBody(body(), options)
    const timestamp = options.timestamp ?? Date.now()
    if (options.size !== undefined && options.size <= WHOLE) {
      const bytes = await gatherBody(exact, options.size)
      const hash = options.sha256 ?? createHash('sha256').update(bytes).digest('hex')
      const input = {
        ...this.#target(key),
        ...conditions,
        Body: bytes,
        ContentLength: bytes.length,
        ChecksumSHA256: Buffer.from(hash, 'hex').toString('base64'),
        Metadata: { ...metadata },
      }
      const extra = { signal, bytes: bytes.length, sha256: hash }
      const { ETag } = await this.#client.send((sdk) => new sdk.PutObjectCommand(input), extra)
      return { key, size: bytes.length, timestamp, etag: ETag, metadata }
    }
    const upload = { client: this.#client, key: this.#place.prefix + key, metadata, conditions, signal }
    const { etag, size } = await uploadInParts(upload, exact)
    return { key, size, timestamp, etag, metadata }
  }

  async get(
    key: string,
    { range, signal }: GetOptions = {},
  ): Promise<{ info: ObjectInfo; body: ObjectBody } | undefined> {
    const Range = range && `bytes=${range.start}-${range.end === undefined ? '' : range.end - 1}`
    if (range?.end !== undefined && range.end <= range.start) return await this.#nothingOf(key, signal)
    try {
      const answer = await this.#client.send((sdk) => new sdk.GetObjectCommand({ ...this.#target(key), Range }), {
        signal,
      })
      const stream = answer.Body as (NodeJS.ReadableStream & { destroy(): void }) | undefined
      if (!stream) throw new StoreError('transient', `the answer for ${key} has no body`)
      const length = answer.ContentLength ?? 0
      const whole = Number(/\/(\d+)$/.exec(answer.ContentRange ?? '')?.[1] ?? length)
      return { info: infoOf(key, whole, answer), body: readBody(stream, length, this.#place, signal) }
    } catch (error) {
      if (isMissing(error)) return undefined
      if (codeOf(causeOf(error)) === 'InvalidRange') return await this.#nothingOf(key, signal)
      throw error
    }
  }

  /** An object of which nothing is wanted. */
  async #nothingOf(key: string, signal: AbortSignal | undefined) {
    const info = await this.head(key, { signal })
    return info && { info, body: emptyBody() }
  }

  async head(key: string, { signal }: { signal?: AbortSignal } = {}): Promise<ObjectInfo | undefined> {
    try {
      const answer = await this.#client.send((sdk) => new sdk.HeadObjectCommand(this.#target(key)), { signal })
      return infoOf(key, answer.ContentLength ?? 0, answer)
    } catch (error) {
      if (statusOf(causeOf(error)) !== 404) throw await this.#explained(key, error, signal)
    }
    // An answer to HEAD has no body, so it does not tell a missing object from a missing bucket. One to GET does.
    const answer = await this.get(key, { signal })
    if (!answer) return undefined
    await answer.body[Symbol.asyncIterator]().return?.()
    return answer.info
  }

  async *list({ prefix, after, signal }: ListOptions): AsyncIterable<ObjectInfo> {
    const { bucket, prefix: top } = this.#place
    const pages = new ListingPages()
    let token: string | undefined
    do {
      const input = {
        Bucket: bucket,
        Prefix: top + prefix,
        StartAfter: after === undefined ? undefined : top + after,
        ContinuationToken: token,
      }
      const page = await this.#client.send((sdk) => new sdk.ListObjectsV2Command(input), { signal })
      for (const { Key, Size, LastModified, ETag } of page.Contents ?? []) {
        if (Key === undefined || Size === undefined || !LastModified || !Key.startsWith(top)) {
          throw new StoreError('transient', 'the listing has an entry without key, size or time')
        }
        // Of what was not sent in parts, the etag is the hash; of anything else it has another form or matches nothing.
        const md5 = /^"?([0-9a-f]{32})"?$/.exec(ETag ?? '')?.[1]
        yield { key: Key.slice(top.length), size: Size, timestamp: LastModified.getTime(), etag: ETag, md5 }
      }
      token = page.NextContinuationToken
      if (page.IsTruncated === undefined || (page.IsTruncated && !token)) {
        throw new StoreError('transient', 'the listing ended early: the service did not say how it goes on')
      }
      if (!page.IsTruncated) token = undefined
      pages.next(page.Contents?.length ?? 0, token)
    } while (token !== undefined)
  }

  async delete(keys: readonly string[], { signal }: { signal?: AbortSignal } = {}): Promise<void> {
    await deleteKeys(
      this.#client,
      keys.map((key) => this.#place.prefix + key),
      signal,
    )
  }

  close(): Promise<void> {
    this.#client.close()
    return Promise.resolve()
  }

  #target(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.#place.bucket, Key: this.#place.prefix + key }
  }

  /** The same failure with the reason that an answer to HEAD lacks, if GET tells it. */
  async #explained(key: string, error: unknown, signal: AbortSignal | undefined): Promise<unknown> {
    const status = statusOf(causeOf(error))
    if (status === undefined || status >= 500) return error
    try {
      const answer = await this.get(key, { signal })
      await answer?.body[Symbol.asyncIterator]().return?.()
      return error
    } catch (better) {
      return better
    }
  }
}

interface Described {
  LastModified?: Date
  ETag?: string
  Metadata?: Record<string, string>
}

function infoOf(key: string, size: number, { LastModified, ETag, Metadata }: Described): ObjectInfo {
  return { key, size, timestamp: LastModified?.getTime() ?? Date.now(), etag: ETag, metadata: Metadata }
}

function causeOf(error: unknown): unknown {
  return (error instanceof StoreError ? error.cause : undefined) ?? {}
}

function isMissing(error: unknown): boolean {
  const cause = causeOf(error)
  return codeOf(cause) === 'NoSuchKey' || (statusOf(cause) === 404 && codeOf(cause) === 'NotFound')
}

/** Whether a condition did not hold. A version that is to be replaced and is gone is one that does not match. */
function isUnmet(cause: unknown, status: number | undefined, { ifAbsent, ifMatch }: PutOptions): boolean {
  if (!ifAbsent && ifMatch === undefined) return false
  return status === 412 || (ifMatch !== undefined && status === 404 && codeOf(cause) === 'NoSuchKey')
}
