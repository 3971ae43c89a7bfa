import { checkReceived, gatherAnswer, type ObjectBody, StoreError } from '../../core/index.js'
import { authFailure, failureOf, serviceError } from './failure.js'
import type { GcsPlace } from './place.js'

/** Milliseconds until a request has to be answered, and bytes a millisecond of the slowest line that counts as moving. */
const ANSWER = 30_000
const SLOWEST = 20

export interface Call {
  method?: string
  headers?: Record<string, string>
  body?: Uint8Array | string
  signal?: AbortSignal
  /** Statuses besides 200 to 299 that are answers and not errors. */
  accept?: readonly number[]
}

/** Gets headers that prove who asks; they are renewed by themselves. */
type Authorize = (url: string) => Promise<Record<string, string>>

/**
 * Requests to the service. The SDK is used for what it knows best, credentials in all their forms; requests are made
 * here, each with its deadline, and none tried again: that is the business of the core.
 */
export class Client {
  readonly place: GcsPlace
  #authorize: Authorize | undefined

  constructor(place: GcsPlace) {
    this.place = place
  }

  /** The address of the bucket's objects, or of one of them. */
  objects(key?: string, parameters: Record<string, string | undefined> = {}, root = '/storage/v1'): string {
    const { endpoint, bucket } = this.place
    const url = new URL(`${endpoint}${root}/b/${encodeURIComponent(bucket)}/o`)
    if (key !== undefined) url.pathname += `/${encodeURIComponent(key)}`
    for (const [name, value] of Object.entries(parameters)) if (value !== undefined) url.searchParams.set(name, value)
    return url.href
  }

  async send(url: string, { accept = [], body, headers, method, signal }: Call = {}): Promise<Response> {
    signal?.throwIfAborted()
    const authorization = await this.#headers(url)
    const limit = Math.ceil(ANSWER + (body?.length ?? 0) / SLOWEST)
    const deadline = AbortSignal.timeout(limit)
    try {
      const answer = await fetch(url, {
        method,
        body: body as string | undefined,
        headers: { ...authorization, ...headers },
        redirect: 'manual',
        signal: signal ? AbortSignal.any([signal, deadline]) : deadline,
      })
      if (answer.ok || accept.includes(answer.status)) return answer
      throw await serviceError(answer)
    } catch (error) {
      signal?.throwIfAborted()
      if (deadline.aborted) throw new StoreError('transient', `no answer within ${Math.round(limit / 1000)} s`)
      throw failureOf(error, this.place)
    }
  }

  async json<T>(url: string, call?: Call): Promise<T> {
    const answer = await this.send(url, call)
    try {
      return JSON.parse((await gatherAnswer(answer.body ?? [])).toString('utf8')) as T
    } catch (error) {
      call?.signal?.throwIfAborted()
      if (error instanceof StoreError) throw error
      throw new StoreError('transient', `the answer broke off: ${(error as Error).message}`, undefined, error)
    }
  }

  /** The bytes of an answer. Errors unless there are exactly as many as announced; the connection is let go in any case. */
  async *body(answer: Response, size: number, signal: AbortSignal | undefined): ObjectBody {
    let seen = 0
    try {
      for await (const piece of answer.body ?? []) {
        signal?.throwIfAborted()
        seen += (piece as Uint8Array).length
        if (seen > size) break
        yield piece as Uint8Array
      }
    } catch (error) {
      signal?.throwIfAborted()
      throw failureOf(error, this.place)
    }
    checkReceived(seen, size)
  }

  async #headers(url: string): Promise<Record<string, string>> {
    if (this.place.anonymous) return {}
    try {
      this.#authorize ??= await this.#credentials()
      return await this.#authorize(url)
    } catch (error) {
      throw authFailure(error, this.place)
    }
  }

  async #credentials(): Promise<Authorize> {
    const { Storage } = await import('@google-cloud/storage')
    const { authClient } = new Storage({ keyFilename: this.place.keyFilename })
    return async (url) => {
      const headers: unknown = await authClient.getRequestHeaders(url)
      return headers instanceof Headers ? Object.fromEntries(headers) : (headers as Record<string, string>)
    }
  }
}
