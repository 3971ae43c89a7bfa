import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Fault, Faults } from './faults.js'

/** An answer that ends a request. */
export class Answer extends Error {
  constructor(
    readonly status: number,
    readonly body: string | Buffer = '',
    readonly headers: Readonly<Record<string, string | number>> = {},
  ) {
    super(`answer ${status}`)
  }
}

/** The request was given up by the server. */
export class Dropped extends Error {}

/** Sends an answer, with whatever is to go wrong on the way. */
export async function send(
  request: IncomingMessage,
  response: ServerResponse,
  answer: Answer,
  drawn: ReadonlySet<Fault>,
  faults: Faults,
): Promise<void> {
  let body = typeof answer.body === 'string' ? Buffer.from(answer.body) : answer.body
  const hasBody = request.method !== 'HEAD' && body.length > 0
  const length = answer.headers['content-length'] ?? body.length
  if (hasBody && drawn.has('wrong-bytes') && answer.status < 300 && typeof answer.body !== 'string') {
    faults.happened('wrong-bytes')
    body = Buffer.from(body)
    body[Math.floor(faults.random() * body.length)] ^= 1 << Math.floor(faults.random() * 8)
  }
  // A request whose body was not read to its end cannot be followed by another on the same connection.
  if (!request.complete) response.setHeader('connection', 'close')
  response.writeHead(answer.status, {
    ...answer.headers,
    ...(answer.status === 204 ? {} : { 'content-length': length }),
  })
  if (!hasBody) {
    response.end()
    return
  }
  if (drawn.has('cut-response')) {
    faults.happened('cut-response')
    await new Promise((resolve) => response.write(body.subarray(0, body.length >> 1), resolve))
    response.destroy()
    return
  }
  if (drawn.has('slow')) {
    faults.happened('slow')
    const step = Math.max(1, Math.ceil(body.length / 5))
    for (let at = 0; at < body.length; at += step) {
      response.write(body.subarray(at, at + step))
      await sleep(10)
    }
    response.end()
    return
  }
  response.end(body)
}

/** Resets the connection. */
export function reset(request: IncomingMessage): never {
  request.socket.resetAndDestroy()
  throw new Dropped()
}
