import { createHash } from 'node:crypto'
import { StoreError, WalrustError } from '../../core/index.js'
import type { Client } from './client.js'
import { codeOf, statusOf } from './failure.js'

/** An object of ours that stays: whether it can be written again tells what the service does about conditions. */
const PROBE = '.walrust-probe'
const TEXT = Buffer.from('walrust looks here whether this storage honours conditional writes.\n')
/** No version has this etag. */
const NO_ETAG = '"00000000000000000000000000000000"'

/** An upload in parts that began so long ago belongs to a process that was killed. */
const ABANDONED = 24 * 3600 * 1000

/**
 * Tries once what the service does about conditions, because services differ and some ignore what they do not know:
 * two writers would then both own a transaction. Proves at the same time that place and credentials are right.
 */
export class Probe {
  createIfAbsent = true
  replaceIfMatch = true
  readonly #client: Client
  #running: Promise<void> | undefined

  constructor(client: Client) {
    this.#client = client
  }

  /** Resolves when the service has been tried; a failure is forgotten, so that the next call tries again. */
  async done(signal: AbortSignal | undefined): Promise<void> {
    this.#running ??= this.run(signal).catch((error: unknown) => {
      this.#running = undefined
      throw error
    })
    await this.#running
  }

  /** Errors: `E_STORAGE` if the service ignores `If-None-Match`; and whatever place or credentials lack. */
  async run(signal: AbortSignal | undefined): Promise<void> {
    const { bucket, prefix, url } = this.#client.place
    // A listing is answered with a reason if it fails, which a look at the bucket by HEAD is not.
    const look = { Bucket: bucket, Prefix: prefix, MaxKeys: 1 }
    await this.#client.send((sdk) => new sdk.ListObjectsV2Command(look), { signal })
    const absent = { IfNoneMatch: '*' as const }
    if ((await this.#write(absent, signal)) && (await this.#write(absent, signal))) {
      this.createIfAbsent = false
      throw new WalrustError('E_STORAGE', `the service behind ${url} ignores If-None-Match`, {
        storage: url,
        hint: 'Use a storage with conditional writes: without them two writers could overwrite each other.',
      })
    }
    this.replaceIfMatch = !(await this.#write({ IfMatch: NO_ETAG }, signal).catch(() => true))
    this.#running = Promise.resolve()
  }

  /** Whether the object was written; not, if the condition was looked at and did not hold. */
  async #write(conditions: { IfNoneMatch?: '*'; IfMatch?: string }, signal: AbortSignal | undefined): Promise<boolean> {
    const { bucket, prefix } = this.#client.place
    const hash = createHash('sha256').update(TEXT).digest('hex')
    const input = { Bucket: bucket, Key: prefix + PROBE, Body: TEXT, ContentLength: TEXT.length, ...conditions }
    try {
      await this.#client.send((sdk) => new sdk.PutObjectCommand(input), { signal, sha256: hash })
      return true
    } catch (error) {
      const cause = error instanceof StoreError ? (error.cause ?? {}) : {}
      const status = statusOf(cause)
      // Two at once, each being told to try again, is an answer too.
      if (status === 412 || status === 409) return false
      if (status === 404 && conditions.IfMatch !== undefined && codeOf(cause) === 'NoSuchKey') return false
      throw error
    }
  }
}

/** Gives up uploads in parts that a process left behind when it was killed: they cost money and nobody sees them. */
export async function abandonOldUploads(client: Client, signal: AbortSignal | undefined): Promise<void> {
  const { bucket, prefix } = client.place
  try {
    const input = { Bucket: bucket, Prefix: prefix }
    const { Uploads = [] } = await client.send((sdk) => new sdk.ListMultipartUploadsCommand(input), { signal })
    for (const { Key, UploadId, Initiated } of Uploads) {
      if (!Key || !Initiated || Date.now() - Initiated.getTime() < ABANDONED) continue
      await client.send((sdk) => new sdk.AbortMultipartUploadCommand({ Bucket: bucket, Key, UploadId }), { signal })
    }
  } catch (error) {
    signal?.throwIfAborted()
    // Not every service has this, and not all credentials may do it; a rule of the bucket can clean up instead.
    if (!(error instanceof StoreError)) throw error
  }
}
