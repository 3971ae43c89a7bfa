import {
  bodyOf,
  compareKeys,
  exactBody,
  type GetOptions,
  type ListOptions,
  type ObjectBody,
  type ObjectInfo,
  type ObjectMetadata,
  type ObjectStore,
  type Plugin,
  type PutOptions,
  refuseUndeclared,
  type StoreCapabilities,
  WalrustError,
} from '../../core/index.js'

interface Stored {
  bytes: Buffer
  info: ObjectInfo
}

/** Objects in the memory of this process: for tests and for trying things out. Nothing in it is durable. */
export class MemoryStore implements ObjectStore {
  readonly keyStyle = 'flat'
  readonly capabilities: StoreCapabilities = {
    createIfAbsent: true,
    replaceIfMatch: true,
    metadata: true,
    streamedMetadata: true,
    listMetadata: true,
    verifiesSha256: true,
  }
  readonly #objects = new Map<string, Stored>()
  #versions = 0

  constructor(readonly url = 'memory://') {}

  async put(key: string, body: () => ObjectBody, options: PutOptions = {}): Promise<ObjectInfo> {
    refuseUndeclared(this.capabilities, options)
    const parts: Buffer[] = []
    for await (const piece of exactBody(body(), options)) parts.push(Buffer.from(piece))
    const bytes = Buffer.concat(parts)
    const present = this.#objects.get(key)
    const refused = options.ifMatch === undefined ? options.ifAbsent && present : present?.info.etag !== options.ifMatch
    if (refused) throw new WalrustError('E_OBJECT_EXISTS', `${key} is in ${this.url} already`, { storage: this.url })
    const metadata: ObjectMetadata | undefined = options.metadata && { ...options.metadata }
    const etag = String(++this.#versions)
    const info = { key, size: bytes.length, timestamp: options.timestamp ?? Date.now(), etag, metadata }
    this.#objects.set(key, { bytes, info })
    return info
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- other stores have something to wait for
  async get(
    key: string,
    { range, signal }: GetOptions = {},
  ): Promise<{ info: ObjectInfo; body: ObjectBody } | undefined> {
    signal?.throwIfAborted()
    const stored = this.#objects.get(key)
    return stored && { info: stored.info, body: bodyOf(stored.bytes.subarray(range?.start, range?.end)) }
  }

  head(key: string): Promise<ObjectInfo | undefined> {
    return Promise.resolve(this.#objects.get(key)?.info)
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- other stores have something to wait for
  async *list({ prefix, after, signal }: ListOptions): AsyncIterable<ObjectInfo> {
    signal?.throwIfAborted()
    const keys = [...this.#objects.keys()].filter(
      (key) => key.startsWith(prefix) && (after === undefined || compareKeys(key, after) > 0),
    )
    for (const key of keys.sort(compareKeys)) {
      const stored = this.#objects.get(key)
      if (stored) yield stored.info
    }
  }

  delete(keys: readonly string[]): Promise<void> {
    for (const key of keys) this.#objects.delete(key)
    return Promise.resolve()
  }
}

/** Registers `memory:` URLs. Two mentions of one URL mean the same objects, as long as one plugin answers for both. */
export function storageMemory(): Plugin {
  const stores = new Map<string, MemoryStore>()
  return {
    name: 'walrust:storage-memory',
    apply(host) {
      host.registerStorage('memory', ({ url }) => {
        const store = stores.get(url) ?? new MemoryStore(url)
        stores.set(url, store)
        return store
      })
    },
  }
}
