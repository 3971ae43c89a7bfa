import { isError } from '../errors.js'
import { failureKind } from '../failures.js'
import type { KeyStyle } from '../object-keys.js'
import {
  type FailureKind,
  type GetOptions,
  type ListOptions,
  type ObjectBody,
  type ObjectInfo,
  type ObjectStore,
  type PutOptions,
  type StoreCapabilities,
} from '../object-store.js'
import { Watchdog } from './watchdog.js'

/** So many objects a listing brings with one request. */
const PAGE = 1000

/** So many keys are deleted with one request. */
const BATCH = 1000

/**
 * A request that does not move for this long has failed, whatever the store thinks of it. Milliseconds. Stores know
 * better and give up sooner; this is for those that do not. A store may take a large piece and send it over a slow line
 * before it asks for more, so that a body on its way there has longer.
 */
const DEADLINES = { put: 600_000, other: 180_000 }

export type RequestKind = 'put' | 'get' | 'list' | 'head' | 'delete'

/** What was asked of one storage since the process started. */
export interface Traffic {
  readonly requests: Record<RequestKind, number>
  /** Requests that failed, by what kind of failure it was; an object that was there already is none. */
  readonly failures: Record<FailureKind, number>
  /** Bytes of bodies. */
  sent: number
  received: number
}

/**
 * Stands before every store, so that requests are counted and cannot hang, whoever wrote the store and whoever asks.
 *
 * A request fails as `transient` if nothing moves for too long: no piece of a body, no answer. Large bodies may
 * take as long as they need. What a store asks its server beneath one call (the parts of a large upload) is not seen
 * from here.
 */
export class MeteredStore implements ObjectStore {
  readonly traffic: Traffic = {
    requests: { put: 0, get: 0, list: 0, head: 0, delete: 0 },
    failures: { transient: 0, throttled: 0, auth: 0, missing: 0, permanent: 0 },
    sent: 0,
    received: 0,
  }
  readonly #store: ObjectStore
  readonly #deadlines: { put: number; other: number }

  /** @param deadlines milliseconds without movement after which a request has failed */
  constructor(store: ObjectStore, deadlines = DEADLINES) {
    this.#store = store
    this.#deadlines = deadlines
  }

  get url(): string {
    return this.#store.url
  }

  get keyStyle(): KeyStyle {
    return this.#store.keyStyle
  }

  get folder(): string | undefined {
    return this.#store.folder
  }

  get capabilities(): StoreCapabilities {
    return this.#store.capabilities
  }

  async put(key: string, body: () => ObjectBody, options: PutOptions = {}): Promise<ObjectInfo> {
    return await this.#request('put', options.signal, (dog) =>
      this.#store.put(key, () => this.#sent(body(), dog), { ...options, signal: dog.signal }),
    )
  }

  async get(key: string, options: GetOptions = {}): Promise<{ info: ObjectInfo; body: ObjectBody } | undefined> {
    this.traffic.requests.get++
    // The signal outlives the call: it ends the body as well.
    const dog = new Watchdog(this.#deadlines.other, options.signal)
    try {
      const answer = await dog.within(this.#store.get(key, { ...options, signal: dog.signal }))
      if (answer) return { info: answer.info, body: this.#received(answer.body, dog) }
    } catch (error) {
      dog.end()
      throw this.#failed(error)
    }
    dog.end()
    return undefined
  }

  async head(key: string, options: { signal?: AbortSignal } = {}): Promise<ObjectInfo | undefined> {
    return await this.#request('head', options.signal, ({ signal }) => this.#store.head(key, { signal }))
  }

  async *list(options: ListOptions): AsyncIterable<ObjectInfo> {
    const { requests } = this.traffic
    requests.list++
    const dog = new Watchdog(this.#deadlines.other, options.signal)
    let count = 0
    for await (const info of this.#steps(this.#store.list({ ...options, signal: dog.signal }), dog)) {
      if (++count % PAGE === 0) requests.list++
      yield info
    }
  }

  async delete(keys: readonly string[], options: { signal?: AbortSignal } = {}): Promise<void> {
    this.traffic.requests.delete += Math.max(0, Math.ceil(keys.length / BATCH) - 1)
    await this.#request('delete', options.signal, ({ signal }) => this.#store.delete(keys, { signal }))
  }

  async check(options: { signal?: AbortSignal } = {}): Promise<void> {
    if (!this.#store.check) return
    await this.#request('head', options.signal, async ({ signal }) => this.#store.check?.({ signal }))
  }

  async close(): Promise<void> {
    await this.#store.close?.()
  }

  async #request<T>(
    kind: RequestKind,
    signal: AbortSignal | undefined,
    work: (dog: Watchdog) => Promise<T>,
  ): Promise<T> {
    this.traffic.requests[kind]++
    const dog = new Watchdog(kind === 'put' ? this.#deadlines.put : this.#deadlines.other, signal)
    try {
      return await dog.within(work(dog))
    } catch (error) {
      throw this.#failed(error)
    } finally {
      dog.end()
    }
  }

  async *#sent(body: ObjectBody, dog: Watchdog): ObjectBody {
    for await (const piece of body) {
      // A store that was given up may still read on, beside the next attempt.
      dog.signal.throwIfAborted()
      this.traffic.sent += piece.length
      dog.moved()
      yield piece
    }
  }

  async *#received(body: ObjectBody, dog: Watchdog): ObjectBody {
    for await (const piece of this.#steps(body, dog)) {
      this.traffic.received += piece.length
      yield piece
    }
  }

  /** What comes piece by piece: none may take too long. */
  async *#steps<T>(source: AsyncIterable<T>, dog: Watchdog): AsyncGenerator<T> {
    const steps = source[Symbol.asyncIterator]()
    let done = false
    try {
      while (!done) {
        const next = await dog.within(steps.next())
        if (next.done) done = true
        else yield next.value
      }
    } catch (error) {
      // It does not answer: asking it to clean up would wait for that answer, too.
      done = true
      throw this.#failed(error)
    } finally {
      if (!done) await steps.return?.()
      dog.end()
    }
  }

  #failed(error: unknown): Error {
    if (!isError(error, 'E_OBJECT_EXISTS')) this.traffic.failures[failureKind(error)]++
    return error as Error
  }
}
