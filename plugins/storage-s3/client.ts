import { gatherAnswer, StoreError } from '../../core/index.js'
import { failureOf } from './failure.js'
import type { S3Place } from './place.js'
import { loadSdk, type S3Client, type S3Sdk } from './sdk.js'

/** Milliseconds until a connection has to stand, and until a request without a body of note has to be answered. */
const CONNECT = 10_000
const ANSWER = 30_000
/** Bytes a millisecond: the slowest line on which a body counts as moving. */
const SLOWEST = 20
/** Connections at a time. Uploads are bounded by the core, parts by the upload. */
const SOCKETS = 32

/** What goes with a request besides the input of its command. */
export interface Extra {
  signal?: AbortSignal
  /** Bytes of the body that is sent: larger ones have more time. */
  bytes?: number
  /** Headers that the command has no field for. */
  headers?: Readonly<Record<string, string>>
  /** Headers that depend on the body as the SDK has written it. */
  bodyHeaders?: (body: string) => Readonly<Record<string, string>>
  /** SHA-256 of the body, hex: signed with the request, so that every service checks it. */
  sha256?: string
}

interface Request {
  headers: Record<string, string>
  body?: unknown
}

type Middleware = (
  next: (args: { request?: unknown }) => Promise<unknown>,
) => (args: { request?: unknown }) => Promise<unknown>

/** What commands of the SDK have in common. */
interface Command<Output> {
  middlewareStack: { add(middleware: never, options: { step: 'build'; name: string }): void }
  resolveMiddleware(...args: never[]): (args: never) => Promise<{ output: Output }>
}

/** One service: commands with deadlines, errors in the words of the contract, no retries of its own. */
export class Client {
  readonly place: S3Place
  #sdk: S3Sdk | undefined
  #client: S3Client | undefined

  constructor(place: S3Place) {
    this.place = place
  }

  /** Sends a command. `make` gets the SDK, which is loaded by the first one. */
  async send<Output>(make: (sdk: S3Sdk) => Command<Output>, extra: Extra = {}): Promise<Output> {
    extra.signal?.throwIfAborted()
    const sdk = (this.#sdk ??= await loadSdk())
    const client = (this.#client ??= this.#open(sdk))
    const command = make(sdk)
    this.#addHeaders(command, extra)
    const deadline = new Deadline(ANSWER + (extra.bytes ?? 0) / SLOWEST, extra.signal)
    try {
      return (await client.send(command as never, { abortSignal: deadline.signal })) as Output
    } catch (error) {
      extra.signal?.throwIfAborted()
      throw failureOf(deadline.expired ?? error, this.place)
    } finally {
      deadline.clear()
    }
  }

  close(): void {
    this.#client?.destroy()
    this.#client = undefined
  }

  #open(sdk: S3Sdk): S3Client {
    const { endpoint, region, forcePathStyle, accessKeyId, secretAccessKey, sessionToken } = this.place
    const credentials =
      accessKeyId === undefined || secretAccessKey === undefined
        ? undefined
        : { accessKeyId, secretAccessKey, sessionToken }
    const agent = { keepAlive: true, maxSockets: SOCKETS, scheduling: 'lifo' as const }
    return new sdk.S3Client({
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(region === undefined ? {} : { region }),
      ...(credentials === undefined ? {} : { credentials }),
      forcePathStyle,
      maxAttempts: 1,
      followRegionRedirects: false,
      // The core hashes what it sends and checks what it reads; anything more would be done twice.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      // What the SDK reads as a whole: pages of listings and errors, never the bytes of an object.
      streamCollector: (body: AsyncIterable<Uint8Array>) => gatherAnswer(body),
      requestHandler: { connectionTimeout: CONNECT, httpAgent: agent, httpsAgent: agent },
    })
  }

  #addHeaders(command: Command<unknown>, { headers, bodyHeaders, sha256 }: Extra): void {
    const more: Record<string, string> = { ...this.place.headers, ...headers }
    if (sha256 !== undefined) more['x-amz-content-sha256'] = sha256
    if (Object.keys(more).length === 0 && !bodyHeaders) return
    const middleware: Middleware = (next) => (args) => {
      const request = args.request as Request
      Object.assign(request.headers, more, bodyHeaders?.(String(request.body)))
      return next(args)
    }
    command.middlewareStack.add(middleware as never, { step: 'build', name: 'walrustHeaders' })
  }
}

/** Ends a request that takes too long, or that nobody wants any more. */
export class Deadline {
  readonly #controller = new AbortController()
  readonly #outer: AbortSignal | undefined
  readonly #timer: NodeJS.Timeout
  readonly #onAbort = () => this.#controller.abort()
  /** The failure to report, if time ran out. */
  expired: StoreError | undefined

  constructor(milliseconds: number, outer?: AbortSignal) {
    this.#outer = outer
    outer?.addEventListener('abort', this.#onAbort)
    this.#timer = setTimeout(() => {
      this.expired = new StoreError('transient', `no answer within ${Math.round(milliseconds / 1000)} s`)
      this.#controller.abort()
    }, milliseconds)
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  clear(): void {
    clearTimeout(this.#timer)
    this.#outer?.removeEventListener('abort', this.#onAbort)
  }
}
