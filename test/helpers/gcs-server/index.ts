import { randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { Faults } from '../s3-server/faults.js'
import { Bucket, Intake, type StoredObject } from '../s3-server/objects.js'
import { Answer, Dropped, reset, send } from '../s3-server/wire.js'
import { close, listen, originOf } from '../loopback.js'

interface Session {
  name: string
  metadata: Record<string, string>
  condition: string | null
  intake: Intake
}

/** What a client says of an object it stores. */
interface About {
  name: string
  metadata?: Record<string, string>
  md5Hash?: string
}

/** A small Google Cloud Storage (JSON API): generations, preconditions, checksums, resumable uploads, paging, faults. */
export class GcsServer {
  readonly faults: Faults
  readonly bucket = new Bucket('bucket')
  readonly sessions = new Map<string, Session>()
  readonly #pageSize: number
  #server: Server | undefined

  constructor({ pageSize = 1000, seed = 1 }: { pageSize?: number; seed?: number } = {}) {
    this.#pageSize = pageSize
    this.faults = new Faults(seed)
  }

  get endpoint(): string {
    if (!this.#server) throw new Error('the server was not started')
    return originOf(this.#server)
  }

  get environment(): Record<string, string> {
    return { STORAGE_EMULATOR_HOST: this.endpoint }
  }

  async start(): Promise<this> {
    this.#server = createServer((request, response) => void this.#serve(request, response))
    await listen(this.#server)
    return this
  }

  async stop(): Promise<void> {
    if (this.#server) await close(this.#server)
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    request.on('error', () => undefined)
    const drawn = this.faults.draw(`${request.method} ${request.url}`)
    let answer: Answer
    try {
      if (drawn.has('reset')) {
        this.faults.happened('reset')
        reset(request)
      }
      for (const [fault, status, reason] of STATUS_FAULTS) {
        if (!drawn.has(fault)) continue
        this.faults.happened(fault)
        throw failure(status, reason, `the fault ${fault}`, fault === 'throttle' ? { 'retry-after': '1' } : {})
      }
      answer = await this.#answer(request)
      if (drawn.has('lost-response')) {
        this.faults.happened('lost-response')
        reset(request)
      }
    } catch (error) {
      if (error instanceof Dropped || (request.destroyed && !request.complete)) return
      answer = error instanceof Answer ? error : failure(500, 'backendError', String(error))
    }
    await send(request, response, answer, drawn, this.faults)
  }

  async #answer(request: IncomingMessage): Promise<Answer> {
    const url = new URL(request.url ?? '/', 'http://localhost')
    const match = /^(\/upload)?\/storage\/v1\/b\/([^/]+)\/o(?:\/(.+))?$/.exec(url.pathname)
    if (!match) throw failure(404, 'notFound', 'no such method')
    const [, upload, bucket, encoded] = match as Array<string | undefined>
    if (bucket !== this.bucket.name) throw failure(404, 'notFound', 'The specified bucket does not exist.')
    const key = encoded === undefined ? undefined : decodeURIComponent(encoded)
    const query = url.searchParams
    if (upload !== undefined) return await this.#upload(request, query)
    if (key === undefined) return this.#list(query)
    const object = this.bucket.objects.get(key)
    if (!object) throw failure(404, 'notFound', `No such object: ${bucket}/${key}`)
    if (request.method === 'DELETE') {
      this.bucket.objects.delete(key)
      return new Answer(204)
    }
    if (query.get('alt') !== 'media') return json(describe(key, object))
    const generation = query.get('generation')
    if (generation !== null && generation !== String(object.generation))
      throw failure(404, 'notFound', 'no such version')
    const bytes = object.bytes ?? Buffer.alloc(0)
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '')
    if (!range) return new Answer(200, bytes)
    return new Answer(206, bytes.subarray(Number(range[1]), Number(range[2]) + 1))
  }

  async #upload(request: IncomingMessage, query: URLSearchParams): Promise<Answer> {
    const condition = query.get('ifGenerationMatch')
    const id = query.get('upload_id')
    if (id !== null) return await this.#chunk(request, id)
    const body = await whole(request)
    if (query.get('uploadType') === 'resumable') {
      const { name, metadata = {} } = JSON.parse(body.toString()) as About
      const session = randomBytes(8).toString('hex')
      this.sessions.set(session, { name, metadata, condition, intake: new Intake(true) })
      const location = `${this.endpoint}${request.url?.split('?')[0]}?uploadType=resumable&upload_id=${session}`
      return new Answer(200, '', { location })
    }
    const boundary = /boundary=(.+)$/.exec(request.headers['content-type'] ?? '')?.[1] ?? ''
    const [about, bytes] = parts(body, boundary)
    const { name, metadata = {}, md5Hash } = JSON.parse(about.toString()) as About
    const intake = new Intake(true)
    intake.add(bytes)
    return this.#store(name, metadata, condition, intake, md5Hash)
  }

  async #chunk(request: IncomingMessage, id: string): Promise<Answer> {
    const session = this.sessions.get(id)
    if (!session) throw failure(404, 'notFound', 'no such upload')
    if (request.method === 'DELETE') {
      this.sessions.delete(id)
      return new Answer(499)
    }
    const range = /^bytes (?:(\d+)-\d+|\*)\/(\d+|\*)$/.exec(request.headers['content-range'] ?? '')
    const bytes = await whole(request)
    if (!range || (range.at(1) !== undefined && Number(range[1]) !== session.intake.size)) {
      throw failure(400, 'invalid', 'Content-Range')
    }
    if (range[2] === '*' && bytes.length % 262_144 !== 0) throw failure(400, 'invalid', 'chunks are of 256 KiB')
    session.intake.add(bytes)
    if (range[2] === '*') return new Answer(308, '', { range: `bytes=0-${session.intake.size - 1}` })
    if (Number(range[2]) !== session.intake.size) throw failure(400, 'invalid', 'the size is another')
    this.sessions.delete(id)
    return this.#store(session.name, session.metadata, session.condition, session.intake)
  }

  #store(
    name: string,
    metadata: Record<string, string>,
    condition: string | null,
    intake: Intake,
    md5Hash?: string,
  ): Answer {
    const { md5, ...made } = intake.end()
    if (md5Hash !== undefined && md5Hash !== md5.toString('base64')) throw failure(400, 'invalid', 'md5Hash differs')
    if (condition !== null && condition !== String(this.bucket.objects.get(name)?.generation ?? 0)) {
      throw failure(412, 'conditionNotMet', 'At least one of the pre-conditions you specified did not hold.')
    }
    const object = this.bucket.store(name, { ...made, etag: '', metadata })
    return json(describe(name, object))
  }

  #list(query: URLSearchParams): Answer {
    const start = query.get('pageToken') ?? query.get('startOffset') ?? ''
    const from = Buffer.from(start)
    const found = this.bucket
      .keys(query.get('prefix') ?? '')
      .filter((key) => Buffer.compare(Buffer.from(key), from) >= 0)
    const limit = Math.min(this.#pageSize, Number(query.get('maxResults') ?? 1000))
    const items = found.slice(0, limit).map((key) => describe(key, this.bucket.objects.get(key)!))
    return json({ items: items.length > 0 ? items : undefined, nextPageToken: found.at(limit) })
  }
}

const STATUS_FAULTS = [
  ['error', 500, 'backendError'],
  ['unavailable', 503, 'backendError'],
  ['throttle', 429, 'rateLimitExceeded'],
  ['expired', 401, 'authError'],
  ['no-bucket', 404, 'notFound'],
] as const

function describe(name: string, { size, generation, modified, metadata }: StoredObject) {
  const updated = new Date(modified).toISOString()
  return { name, size: String(size), generation: String(generation), updated, metadata }
}

function json(value: unknown): Answer {
  return new Answer(200, JSON.stringify(value), { 'content-type': 'application/json' })
}

function failure(code: number, reason: string, message: string, headers: Record<string, string> = {}): Answer {
  return new Answer(code, JSON.stringify({ error: { code, message, errors: [{ reason, message }] } }), headers)
}

async function whole(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const piece of request as AsyncIterable<Buffer>) parts.push(piece)
  return Buffer.concat(parts)
}

/** The two parts of a multipart/related body. */
function parts(body: Buffer, boundary: string): [Buffer, Buffer] {
  const mark = Buffer.from(`--${boundary}`)
  const second = body.indexOf(mark, mark.length)
  const end = body.lastIndexOf(mark)
  const content = (from: number, to: number) => body.subarray(body.indexOf('\r\n\r\n', from) + 4, to - 2)
  return [content(0, second), content(second, end)]
}
