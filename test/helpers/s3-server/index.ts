import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Fault, Faults } from './faults.js'
import { listObjects } from './listing.js'
import { Failure, Multipart } from './multipart.js'
import { Bucket, Intake, type StoredObject } from './objects.js'
import { BadBody, readBody } from './request-body.js'
import { checkSignature, type Credentials } from './signature.js'
import { Answer, Dropped, reset, send } from './wire.js'
import { document, element, escape, texts } from './xml.js'
import { close, listen, originOf } from '../loopback.js'

export interface S3ServerOptions {
  buckets?: readonly string[]
  region?: string
  credentials?: Credentials
  /** Objects on a page of a listing. */
  pageSize?: number
  /** Keep bytes? Without, only sizes and hashes: for objects larger than memory. */
  keep?: boolean
  seed?: number
  /** Milliseconds that the clock of the server is ahead. */
  clockOffset?: number
  /** Answers conditional writes as a service does that does not know them: it writes. */
  ignoreConditions?: boolean
  port?: number
  /** Milliseconds that storing an object takes. */
  delay?: number
}

/** What a request wants. */
interface Call {
  request: IncomingMessage
  bucket: Bucket
  key: string
  query: URLSearchParams
  drawn: ReadonlySet<Fault>
}

/** A request that is kept waiting. */
interface Hold {
  matches: RegExp
  /** Whether it is kept before it is done, or afterwards, before it is answered. */
  where: 'request' | 'answer'
  arrived: () => void
  released: Promise<void>
}

/** A small S3: real HTTP, real signatures, checksums, conditions, paging, multipart, and faults on demand. */
export class S3Server {
  readonly faults: Faults
  readonly buckets = new Map<string, Bucket>()
  readonly multipart = new Multipart()
  /** Every request: method, operation, key. */
  readonly log: Array<{ operation: string; key: string; status: number; headers: IncomingMessage['headers'] }> = []
  /** The most objects that were being stored at one time. */
  mostStoring = 0
  #storing = 0
  readonly credentials: Credentials
  readonly region: string
  readonly #options: S3ServerOptions
  readonly #holds: Hold[] = []
  #server: Server | undefined

  constructor(options: S3ServerOptions = {}) {
    this.#options = options
    this.region = options.region ?? 'us-east-1'
    this.credentials = options.credentials ?? { accessKeyId: 'AKIATEST', secretAccessKey: 'test/secret+key' }
    this.faults = new Faults(options.seed)
    for (const name of options.buckets ?? ['bucket']) this.buckets.set(name, new Bucket(name, options.keep ?? true))
  }

  get endpoint(): string {
    if (!this.#server) throw new Error('the server was not started')
    return originOf(this.#server)
  }

  /** What a client process needs in its environment to find this server. */
  get environment(): Record<string, string> {
    return {
      AWS_ENDPOINT_URL_S3: this.endpoint,
      AWS_REGION: this.region,
      AWS_ACCESS_KEY_ID: this.credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: this.credentials.secretAccessKey,
      AWS_EC2_METADATA_DISABLED: 'true',
    }
  }

  get bucket(): Bucket {
    return [...this.buckets.values()][0]
  }

  /** How many requests there were of each operation. */
  counts(): Record<string, number> {
    const counts: Record<string, number> = {}
    for (const { operation } of this.log) counts[operation] = (counts[operation] ?? 0) + 1
    return counts
  }

  async start(): Promise<this> {
    const server = createServer((request, response) => void this.#serve(request, response))
    await listen(server, this.#options.port)
    this.#server = server
    return this
  }

  async stop(): Promise<void> {
    if (this.#server) await close(this.#server)
  }

  /**
   * Keeps the next request whose "METHOD /path?query" matches, as a network or a busy service does: when all of it has
   * come and nothing is done yet, or when it is done and the answer is still to come.
   */
  hold(matches: RegExp, where: Hold['where'] = 'request'): { arrived: Promise<void>; release: () => void } {
    let release: () => void = () => undefined
    const released = new Promise<void>((resolve) => (release = resolve))
    const arrived = new Promise<void>((resolve) => this.#holds.push({ matches, where, arrived: resolve, released }))
    return { arrived, release }
  }

  async #held(request: IncomingMessage, where: Hold['where']): Promise<void> {
    const at = this.#holds.findIndex(
      (hold) => hold.where === where && hold.matches.test(`${request.method} ${request.url}`),
    )
    if (at < 0) return
    const [hold] = this.#holds.splice(at, 1)
    if (where === 'request') await allOf(request)
    hold.arrived()
    await hold.released
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    request.on('error', () => undefined)
    response.on('error', () => undefined)
    const drawn = this.faults.draw(`${request.method} ${request.url}`)
    const note = { operation: '', key: '', status: 0, headers: request.headers }
    this.log.push(note)
    let answer: Answer
    try {
      await this.#held(request, 'request')
      answer = await this.#answer(request, drawn, note)
      await this.#held(request, 'answer')
    } catch (error) {
      if (error instanceof Dropped) return
      if (error instanceof BadBody) answer = new Failure(400, error.code, error.message)
      else if (error instanceof Answer) answer = error
      // The client went away in the middle of its request.
      else if (request.destroyed && !request.complete) return
      else answer = new Failure(500, 'InternalError', String(error))
    }
    note.status = answer.status
    response.setHeader('date', new Date(this.#now()).toUTCString())
    await send(request, response, answer, drawn, this.faults)
  }

  async #answer(
    request: IncomingMessage,
    drawn: ReadonlySet<Fault>,
    note: { operation: string; key: string },
  ): Promise<Answer> {
    const url = new URL(request.url ?? '/', 'http://localhost')
    const [, bucketName, ...rest] = url.pathname.split('/')
    note.key = decodeURIComponent(rest.join('/'))
    note.operation = operationOf(request, note.key, url.searchParams)
    this.#fail(request, drawn)
    const fault = checkSignature(request, this.credentials, this.region, this.#now())
    if (fault?.code === 'AuthorizationHeaderMalformed') {
      const message = `The authorization header is malformed; the region is wrong; expecting '${this.region}'`
      const headers = { 'x-amz-bucket-region': this.region }
      throw new Failure(fault.status, fault.code, message, element('Region', this.region), headers)
    }
    if (fault) throw new Failure(fault.status, fault.code, 'The request is not signed as it should be.')
    const bucket = this.buckets.get(decodeURIComponent(bucketName))
    if (!bucket) throw new Failure(404, 'NoSuchBucket', 'The specified bucket does not exist')
    const answer = await this.#do(note.operation, { request, bucket, key: note.key, query: url.searchParams, drawn })
    if (drawn.has('lost-response')) {
      this.faults.happened('lost-response')
      reset(request)
    }
    return answer
  }

  /** Faults that strike before anything is done. */
  #fail(request: IncomingMessage, drawn: ReadonlySet<Fault>): void {
    const happens = (fault: Fault) => drawn.has(fault) && (this.faults.happened(fault), true)
    const conditional = request.headers['if-none-match'] !== undefined || request.headers['if-match'] !== undefined
    if (happens('reset')) reset(request)
    if (happens('hang')) throw new Dropped()
    if (happens('error')) throw new Failure(500, 'InternalError', 'We encountered an internal error.')
    if (happens('unavailable')) throw new Failure(503, 'ServiceUnavailable', 'Please reduce your request rate.')
    if (happens('throttle')) throw new Failure(503, 'SlowDown', 'Please slow down.', '', { 'retry-after': '1' })
    if (happens('expired')) throw new Failure(400, 'ExpiredToken', 'The provided token has expired.')
    if (happens('skew')) throw new Failure(403, 'RequestTimeTooSkewed', 'The difference is too large.')
    if (happens('no-bucket')) throw new Failure(404, 'NoSuchBucket', 'The specified bucket does not exist')
    if (conditional && happens('conflict')) throw new Failure(409, 'ConditionalRequestConflict', 'Try again.')
    if (conditional && happens('precondition'))
      throw new Failure(412, 'PreconditionFailed', 'A condition did not hold.')
  }

  async #do(operation: string, call: Call): Promise<Answer> {
    const { bucket, key, query, request } = call
    switch (operation) {
      case 'PutObject':
        this.mostStoring = Math.max(this.mostStoring, ++this.#storing)
        try {
          if (this.#options.delay !== undefined) await sleep(this.#options.delay)
          return await this.#put(call)
        } finally {
          this.#storing--
        }
      case 'GetObject':
      case 'HeadObject':
        return this.#get(call)
      case 'ListObjectsV2': {
        const stale = call.drawn.has('stale-list')
        if (stale) this.faults.happened('stale-list')
        return xml(listObjects(bucket, query, this.#options.pageSize ?? 1000, stale ? 3 : 0))
      }
      case 'HeadBucket':
        return new Answer(200, '', { 'x-amz-bucket-region': this.region })
      case 'DeleteObject':
        bucket.objects.delete(key)
        return new Answer(204)
      case 'DeleteObjects': {
        const keys = texts((await this.#take(call)).toString(), 'Key')
        for (const each of keys) bucket.objects.delete(each)
        return xml(document('DeleteResult', ''))
      }
      case 'CreateMultipartUpload':
        await this.#take(call)
        return xml(
          document(
            'InitiateMultipartUploadResult',
            element('Bucket', bucket.name) +
              element('Key', key) +
              element('UploadId', this.multipart.begin(key, metadataOf(request))),
          ),
        )
      case 'UploadPart':
        return await this.#putPart(call)
      case 'CompleteMultipartUpload': {
        const list = (await this.#take(call)).toString()
        const id = query.get('uploadId') ?? ''
        const made = this.multipart.complete(id, key, list)
        this.#checkConditions(call)
        this.multipart.uploads.delete(id)
        const { etag } = bucket.store(key, made)
        return xml(
          document(
            'CompleteMultipartUploadResult',
            element('Bucket', bucket.name) + element('Key', key) + element('ETag', etag),
          ),
        )
      }
      case 'AbortMultipartUpload':
        this.multipart.find(query.get('uploadId') ?? '', key)
        this.multipart.uploads.delete(query.get('uploadId') ?? '')
        return new Answer(204)
      case 'ListMultipartUploads': {
        const prefix = query.get('prefix') ?? ''
        const uploads = [...this.multipart.uploads].filter(([, upload]) => upload.key.startsWith(prefix))
        const items = uploads.map(
          ([id, upload]) =>
            `<Upload>${element('Key', upload.key)}${element('UploadId', id)}${element('Initiated', new Date(upload.began).toISOString())}</Upload>`,
        )
        return xml(
          document(
            'ListMultipartUploadsResult',
            `${element('Bucket', bucket.name)}<IsTruncated>false</IsTruncated>${items.join('')}`,
          ),
        )
      }
      default:
        throw new Failure(501, 'NotImplemented', escape(`${request.method} ${request.url}`))
    }
  }

  async #put(call: Call): Promise<Answer> {
    const { bucket, key, request } = call
    const intake = await this.#receive(call, bucket.keep)
    const { md5, ...made } = intake.end()
    this.#checkConditions(call)
    const etag = `"${md5.toString('hex')}"`
    bucket.store(key, { ...made, etag, metadata: metadataOf(request) })
    return new Answer(200, '', { etag, 'x-amz-checksum-sha256': Buffer.from(made.sha256, 'hex').toString('base64') })
  }

  async #putPart(call: Call): Promise<Answer> {
    const upload = this.multipart.find(call.query.get('uploadId') ?? '', call.key)
    const intake = await this.#receive(call, call.bucket.keep)
    const { bytes, size, md5 } = intake.end()
    upload.parts.set(Number(call.query.get('partNumber')), { bytes, size, md5 })
    return new Answer(200, '', { etag: `"${md5.toString('hex')}"` })
  }

  #get({ bucket, key, request }: Call): Answer {
    const object = bucket.objects.get(key)
    if (!object) throw new Failure(404, 'NoSuchKey', 'The specified key does not exist.')
    const headers = { ...headersOf(object), 'content-length': object.size }
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '')
    const bytes = object.bytes ?? Buffer.alloc(request.method === 'HEAD' ? 0 : object.size)
    if (!range || request.method === 'HEAD') return new Answer(200, bytes, headers)
    const start = Number(range[1])
    const end = range[2] ? Math.min(Number(range[2]) + 1, object.size) : object.size
    if (start >= object.size) {
      throw new Failure(
        416,
        'InvalidRange',
        'The requested range is not satisfiable',
        element('ActualObjectSize', object.size),
      )
    }
    const content = { 'content-range': `bytes ${start}-${end - 1}/${object.size}`, 'content-length': end - start }
    return new Answer(206, bytes.subarray(start, end), { ...headers, ...content })
  }

  /** Decides as the service does: when the whole body is there. */
  #checkConditions({ bucket, key, request }: Call): void {
    if (this.#options.ignoreConditions) return
    const present = bucket.objects.get(key)
    const wanted = request.headers['if-match']
    if (request.headers['if-none-match'] === '*' && present) {
      throw new Failure(412, 'PreconditionFailed', 'At least one of the pre-conditions you specified did not hold')
    }
    if (wanted === undefined) return
    if (!present) throw new Failure(404, 'NoSuchKey', 'The specified key does not exist.')
    if (wanted.replaceAll('"', '') !== present.etag.replaceAll('"', '')) {
      throw new Failure(412, 'PreconditionFailed', 'At least one of the pre-conditions you specified did not hold')
    }
  }

  async #take(call: Call): Promise<Buffer> {
    return (await this.#receive(call, true)).end().bytes ?? Buffer.alloc(0)
  }

  async #receive({ request, drawn }: Call, keep: boolean): Promise<Intake> {
    const intake = new Intake(keep)
    const cutAt = Number(request.headers['content-length'] ?? 0) / 2
    for await (const piece of readBody(request)) {
      intake.add(piece)
      if (drawn.has('cut-request') && intake.size >= cutAt) {
        this.faults.happened('cut-request')
        reset(request)
      }
    }
    return intake
  }

  #now(): number {
    return Date.now() + (this.#options.clockOffset ?? 0)
  }
}

/** Waits until a small body is here, all of it: its sender may be stopped any time after that. */
async function allOf(request: IncomingMessage): Promise<void> {
  const length = Number(request.headers['content-length'] ?? 0)
  while (request.readableLength < length) await once(request, 'readable')
}

function operationOf({ method, headers }: IncomingMessage, key: string, query: URLSearchParams): string {
  const has = (name: string) => query.has(name)
  if (key === '') {
    if (method === 'HEAD') return 'HeadBucket'
    if (method === 'POST' && has('delete')) return 'DeleteObjects'
    if (method === 'GET' && has('uploads')) return 'ListMultipartUploads'
    if (method === 'GET' && query.get('list-type') === '2') return 'ListObjectsV2'
  } else {
    if (method === 'PUT' && has('partNumber')) return 'UploadPart'
    if (method === 'PUT' && !headers['x-amz-copy-source']) return 'PutObject'
    if (method === 'GET') return 'GetObject'
    if (method === 'HEAD') return 'HeadObject'
    if (method === 'POST' && has('uploads')) return 'CreateMultipartUpload'
    if (method === 'POST' && has('uploadId')) return 'CompleteMultipartUpload'
    if (method === 'DELETE') return has('uploadId') ? 'AbortMultipartUpload' : 'DeleteObject'
  }
  return method ?? 'none'
}

function metadataOf({ headers }: IncomingMessage): Record<string, string> {
  const found: Array<[string, unknown]> = Object.entries(headers).filter(([name]) => name.startsWith('x-amz-meta-'))
  return Object.fromEntries(found.map(([name, value]) => [name.slice('x-amz-meta-'.length), String(value)]))
}

function headersOf({ etag, modified, metadata }: StoredObject): Record<string, string> {
  const meta = Object.entries(metadata).map(([name, value]): [string, string] => [`x-amz-meta-${name}`, value])
  return {
    etag,
    'last-modified': new Date(modified).toUTCString(),
    'content-type': 'application/octet-stream',
    'accept-ranges': 'bytes',
    ...Object.fromEntries(meta),
  }
}

function xml(text: string): Answer {
  return new Answer(200, text, { 'content-type': 'application/xml' })
}
