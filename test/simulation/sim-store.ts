import { dirname, join } from 'node:path'
import {
  type GetOptions,
  type ListOptions,
  type ObjectBody,
  type ObjectInfo,
  type ObjectStore,
  type Plugin,
  type PutOptions,
  type StoreCapabilities,
  StoreError,
  WalrustError,
} from '../../core/index.js'
import { realFs } from './real-fs.js'
import type { Effect } from './rivals.js'
import { bodyOf } from '../../core/store-rules.js'

/**
 * What becomes of one request.
 * - `go`: it is done · `fail`: nothing is done · `lost`: it is done, and the answer is lost
 * - `throttle`: refused for now · `hold`: it waits until it is let go on
 * - `die-before`, `die-after`: the client is killed before or after it was done, without an answer
 * - `late`: it arrives, whether the client still waits or not; the answer comes when the client is awake
 */
export type Answer = 'go' | 'fail' | 'lost' | 'throttle' | 'hold' | 'die-before' | 'die-after' | 'late'

/** Decides about requests, in the order in which they come. */
export interface Network {
  /** Resolves when the request may go on, and with what becomes of it. */
  request(operation: string, key: string): Promise<Answer>
  /** Resolves when the answer to a request that was `late` reaches the client. */
  answer?(): Promise<void>
  /** Told what a request has changed. */
  changed?(folder: string, effect: Effect): void
  die(): never
}

/** Everything goes, at once. */
export const QUIET_NETWORK: Network = {
  request: () => Promise.resolve('go'),
  die: () => {
    throw new Error('nobody asked for that')
  },
}

// What the store does is not a step of its client.
const { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } = realFs

/** The folder for what was deleted from a storage. */
export const graveyard = (folder: string) => `${folder}.gone`

/** Objects in a folder, each in one file with its metadata before it, behind a network that does what it is told. */
export class SimStore implements ObjectStore {
  readonly keyStyle = 'flat'
  readonly url: string
  readonly capabilities: StoreCapabilities

  constructor(
    readonly folder: string,
    readonly network: Network,
    metadata: boolean,
  ) {
    this.url = `sim://${folder}`
    this.capabilities = {
      createIfAbsent: true,
      replaceIfMatch: true,
      metadata,
      streamedMetadata: false,
      listMetadata: false,
      verifiesSha256: false,
    }
  }

  async put(key: string, body: () => ObjectBody, options: PutOptions = {}): Promise<ObjectInfo> {
    const parts: Buffer[] = []
    for await (const piece of body()) parts.push(Buffer.from(piece))
    return await this.#request('put', key, options.signal, () => {
      const present = this.#read(key)
      const refused =
        options.ifMatch === undefined ? options.ifAbsent && present : present?.info.etag !== options.ifMatch
      if (refused) throw new WalrustError('E_OBJECT_EXISTS', `${key} is in ${this.url} already`, { storage: this.url })
      const bytes = Buffer.concat(parts)
      this.network.changed?.(this.folder, { operation: 'put', key, before: this.#before(key, bytes) })
      const info: ObjectInfo = {
        key,
        size: bytes.length,
        timestamp: options.timestamp ?? Date.now(),
        etag: String(Number(present?.info.etag ?? 0) + 1),
        metadata: this.capabilities.metadata ? options.metadata : undefined,
      }
      const path = join(this.folder, encodeURIComponent(key))
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(`${path}.tmp`, Buffer.concat([Buffer.from(`${JSON.stringify(info)}\n`), bytes]))
      renameSync(`${path}.tmp`, path)
      return info
    })
  }

  async get(
    key: string,
    { range, signal }: GetOptions = {},
  ): Promise<{ info: ObjectInfo; body: ObjectBody } | undefined> {
    return await this.#request('get', key, signal, () => {
      const found = this.#read(key)
      return found && { info: found.info, body: bodyOf(found.bytes.subarray(range?.start, range?.end)) }
    })
  }

  async head(key: string, { signal }: { signal?: AbortSignal } = {}): Promise<ObjectInfo | undefined> {
    return await this.#request('head', key, signal, () => this.#read(key)?.info)
  }

  async *list({ prefix, after, signal }: ListOptions): AsyncIterable<ObjectInfo> {
    const broken = { off: false }
    const listed = () => this.keys(prefix, after).flatMap((key) => this.#read(key)?.info ?? [])
    const found = await this.#request('list', prefix, signal, listed).catch((error: unknown) => {
      if (!(error instanceof StoreError)) throw error
      // A listing that fails has got half way.
      broken.off = true
      return listed()
    })
    yield* broken.off ? found.slice(0, found.length >> 1) : found
    if (broken.off) throw new StoreError('transient', 'the listing broke off')
  }

  async delete(keys: readonly string[], { signal }: { signal?: AbortSignal } = {}): Promise<void> {
    for (const key of keys) {
      await this.#request('delete', key, signal, () => this.#bury(key))
    }
  }

  /** Keys that begin with a prefix, in their order. */
  keys(prefix: string, after = ''): string[] {
    if (!existsSync(this.folder)) return []
    const keys = readdirSync(this.folder).filter((name) => !name.endsWith('.tmp'))
    return keys
      .map((name) => decodeURIComponent(name))
      .filter((key) => key.startsWith(prefix) && key > after)
      .sort()
  }

  /** What is deleted is out of reach, and kept for the oracle. */
  #bury(key: string): void {
    const file = encodeURIComponent(key)
    if (!existsSync(join(this.folder, file))) return
    this.network.changed?.(this.folder, { operation: 'delete', key, before: 'same' })
    mkdirSync(graveyard(this.folder), { recursive: true })
    renameSync(join(this.folder, file), join(graveyard(this.folder), file))
  }

  /** What lies or lay under the name of something that is put. */
  #before(key: string, bytes: Buffer): Effect['before'] {
    const present = this.#read(key)
    if (present) return present.bytes.equals(bytes) ? 'same' : 'other'
    const gone = this.#read(key, graveyard(this.folder))
    if (!gone) return 'none'
    return gone.bytes.equals(bytes) ? 'gone-same' : 'gone-other'
  }

  #read(key: string, folder = this.folder): { info: ObjectInfo; bytes: Buffer } | undefined {
    const path = join(folder, encodeURIComponent(key))
    if (!existsSync(path)) return undefined
    const content = readFileSync(path)
    const end = content.indexOf(0x0a)
    return { info: JSON.parse(content.toString('utf8', 0, end)) as ObjectInfo, bytes: content.subarray(end + 1) }
  }

  async #request<T>(operation: string, key: string, signal: AbortSignal | undefined, work: () => T): Promise<T> {
    const request = this.network.request(operation, key)
    const answer = await Promise.race([request, aborted(signal)]).catch((error: unknown) => {
      // Nobody waits for it any more, and it is on its way.
      void request.then((answer) => answer === 'late' && attempt(work))
      throw error
    })
    if (answer === 'die-before') this.network.die()
    if (answer === 'fail') throw new StoreError('transient', `${operation} ${key}: connection refused`)
    if (answer === 'throttle') throw new StoreError('throttled', `${operation} ${key}: slow down`, 500)
    if (answer === 'late') {
      const outcome = attempt(work)
      await Promise.race([this.network.answer?.(), aborted(signal)])
      return outcome()
    }
    const result = work()
    if (answer === 'die-after') this.network.die()
    if (answer === 'lost') throw new StoreError('transient', `${operation} ${key}: connection reset`)
    return result
  }
}

/** Does work, and gives what came of it when it is asked for. */
function attempt<T>(work: () => T): () => T {
  try {
    const result = work()
    return () => result
  } catch (error) {
    return () => {
      throw error
    }
  }
}

function aborted(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_resolve, reject) => {
    const fail = () => reject(signal?.reason as Error)
    if (signal?.aborted) fail()
    else signal?.addEventListener('abort', fail, { once: true })
  })
}

/** Registers `sim:` URLs. */
export function simStorage(network: Network, metadata: boolean): Plugin {
  return {
    name: 'sim-storage',
    apply: (host) => host.registerStorage('sim', ({ url }) => new SimStore(new URL(url).pathname, network, metadata)),
  }
}
