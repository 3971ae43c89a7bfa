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
import { ServiceError } from './failure.js'
import type { GcsPlace } from './place.js'
import { CHUNK, type GcsObject, uploadStream, uploadWhole } from './uploading.js'

/** An object of ours that stays: that it can be written, or is there already, proves the credentials. */
const PROBE = '.walrust-probe'
const DELETES_AT_ONCE = 8
const FIELDS = 'name,size,generation,updated,metadata'

/** Objects in a bucket of Google Cloud Storage, below a prefix. Versions are told apart by their generation. */
export class GcsStore implements ObjectStore {
  readonly url: string
  readonly keyStyle = 'nested'
  readonly capabilities: StoreCapabilities = {
    createIfAbsent: true,
    replaceIfMatch: true,
    metadata: true,
    streamedMetadata: true,
    listMetadata: true,
    verifiesSha256: true,
  }
  readonly #place: GcsPlace
  readonly #client: Client

  constructor(place: GcsPlace) {
    this.url = place.url
    this.#place = place
    this.#client = new Client(place)
  }

  async check({ signal }: { signal?: AbortSignal } = {}): Promise<void> {
    await this.#page({ prefix: this.#place.prefix, maxResults: '1' }, signal)
    const text = Buffer.from('walrust looks here whether it may write.\n')
    try {
      await uploadWhole(this.#upload(PROBE, { ifAbsent: true, signal }), text)
    } catch (error) {
      if (statusOf(error) !== 412) throw error
    }
  }

  async put(key: string, body: () => ObjectBody, options: PutOptions = {}): Promise<ObjectInfo> {
    refuseUndeclared(this.capabilities, options)
    const upload = this.#upload(key, options)
    const exact = exactBody(body(), options)
    try {
      const { size } = options
      const small = size !== undefined && size <= CHUNK
      return this.#info(
        small ? await uploadWhole(upload, await gatherBody(exact, size)) : await uploadStream(upload, exact),
      )
    } catch (error) {
      const status = statusOf(error)
      const unmet = options.ifMatch !== undefined ? status === 412 || status === 404 : status === 412
      if (!unmet) throw error
      if (status === 404) await this.#page({ prefix: this.#place.prefix, maxResults: '1' }, options.signal)
      throw new WalrustError('E_OBJECT_EXISTS', `${key} is in ${this.url} already`, { storage: this.url, cause: error })
    }
  }

  async get(
    key: string,
    { range, signal }: GetOptions = {},
  ): Promise<{ info: ObjectInfo; body: ObjectBody } | undefined> {
    const info = await this.head(key, { signal })
    if (!info) return undefined
    const start = range?.start ?? 0
    const end = Math.min(range?.end ?? info.size, info.size)
    if (start >= end) return { info, body: emptyBody() }
    const url = this.#client.objects(this.#place.prefix + key, { alt: 'media', generation: info.etag })
    const headers: Record<string, string> = range ? { range: `bytes=${start}-${end - 1}` } : {}
    const answer = await this.#client.send(url, { headers, signal })
    return { info, body: this.#client.body(answer, end - start, signal) }
  }

  async head(key: string, { signal }: { signal?: AbortSignal } = {}): Promise<ObjectInfo | undefined> {
    try {
      const url = this.#client.objects(this.#place.prefix + key, { fields: FIELDS })
      return this.#info(await this.#client.json<GcsObject>(url, { signal }))
    } catch (error) {
      if (statusOf(error) !== 404) throw error
    }
    // The same answer is given for a bucket that is missing; a listing of it fails then.
    await this.#page({ prefix: this.#place.prefix, maxResults: '1' }, signal)
    return undefined
  }

  async *list({ prefix, after, signal }: ListOptions): AsyncIterable<ObjectInfo> {
    const top = this.#place.prefix
    const first = after === undefined ? undefined : top + after
    const pages = new ListingPages()
    let pageToken: string | undefined
    do {
      const page = await this.#page({ prefix: top + prefix, startOffset: first, pageToken }, signal)
      // The offset itself belongs to what is listed.
      for (const object of page.items ?? []) if (object.name !== first) yield this.#info(object)
      pageToken = page.nextPageToken === '' ? undefined : page.nextPageToken
      pages.next(page.items?.length ?? 0, pageToken)
    } while (pageToken !== undefined)
  }

  async delete(keys: readonly string[], { signal }: { signal?: AbortSignal } = {}): Promise<void> {
    for (let at = 0; at < keys.length; at += DELETES_AT_ONCE) {
      const some = keys.slice(at, at + DELETES_AT_ONCE)
      const remove = async (key: string) => {
        const url = this.#client.objects(this.#place.prefix + key)
        await (await this.#client.send(url, { method: 'DELETE', signal, accept: [404] })).body?.cancel()
      }
      await Promise.all(some.map(remove))
    }
  }

  #upload(key: string, { ifAbsent, ifMatch, metadata = {}, signal }: PutOptions) {
    const ifGenerationMatch = ifMatch ?? (ifAbsent ? '0' : undefined)
    return { client: this.#client, key: this.#place.prefix + key, metadata, ifGenerationMatch, signal }
  }

  async #page(parameters: Record<string, string | undefined>, signal: AbortSignal | undefined) {
    const url = this.#client.objects(undefined, { ...parameters, fields: `items(${FIELDS}),nextPageToken` })
    return await this.#client.json<{ items?: GcsObject[]; nextPageToken?: string }>(url, { signal })
  }

  #info({ name, size, generation, updated, metadata }: GcsObject): ObjectInfo {
    const top = this.#place.prefix
    if (!name.startsWith(top)) throw new StoreError('transient', `the service answered with another object: ${name}`)
    const timestamp = Date.parse(updated ?? '') || Date.now()
    return { key: name.slice(top.length), size: Number(size), timestamp, etag: generation, metadata }
  }
}

function statusOf(error: unknown): number | undefined {
  const cause = error instanceof StoreError ? error.cause : undefined
  return cause instanceof ServiceError ? cause.status : undefined
}
