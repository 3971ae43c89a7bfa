import { createHmac, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { WalrustEvent } from '../../core/events.js'
import { close, listen, originOf } from './loopback.js'

/** What a receiver does with a request: answer it, or whatever else a server may do. */
export type Behaviour = (request: IncomingMessage, response: ServerResponse) => void

export interface Received {
  method: string
  path: string
  headers: IncomingMessage['headers']
  /** The bytes as they came. */
  body: Buffer
  event: WalrustEvent
}

export const answer =
  (status: number, headers: Record<string, string> = {}): Behaviour =>
  (_request, response) =>
    response.writeHead(status, headers).end('thank you')

/** A real HTTP server that takes webhooks. */
export class Receiver {
  readonly received: Received[] = []
  /** Behaviours for the next requests; after them it answers 200. */
  next: Behaviour[] = []
  #changed: Array<() => void> = []
  readonly #server: Server

  private constructor() {
    this.#server = createServer((request, response) => void this.#take(request, response))
  }

  static async listen(): Promise<Receiver> {
    const receiver = new Receiver()
    await listen(receiver.#server)
    return receiver
  }

  get origin(): string {
    return originOf(this.#server)
  }

  /** Resolves when so many requests have come. */
  async requests(count: number): Promise<Received[]> {
    while (this.received.length < count) await new Promise<void>((resolve) => this.#changed.push(resolve))
    return this.received
  }

  async close(): Promise<void> {
    await close(this.#server)
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const pieces: Buffer[] = []
    for await (const piece of request) pieces.push(piece as Buffer)
    const body = Buffer.concat(pieces)
    const event = (body.length > 0 ? JSON.parse(body.toString()) : {}) as WalrustEvent
    const { method = '', url = '', headers } = request
    this.received.push({ method, path: url, headers, body, event })
    for (const resolve of this.#changed.splice(0)) resolve()
    ;(this.next.shift() ?? answer(200))(request, response)
  }
}

/** Checks a signature as the documentation tells receivers to: over the bytes as they came, in constant time. */
export function isSigned({ headers, body }: Received, secret: string): boolean {
  const given = Buffer.from(String(headers['x-walrust-signature']))
  const expected = Buffer.from(`sha256=${createHmac('sha256', secret).update(body).digest('hex')}`)
  return given.length === expected.length && timingSafeEqual(given, expected)
}
