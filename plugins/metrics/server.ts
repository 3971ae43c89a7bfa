import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { isIP } from 'node:net'

/** An answer to a GET. */
export interface Page {
  status?: number
  type: string
  body: string
  headers?: Readonly<Record<string, string>>
}

export type Routes = Readonly<Record<string, () => Page | Promise<Page>>>

/** Nothing but what we send ourselves may run, load or be framed. */
const HEADERS = {
  'content-security-policy':
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store',
  'cross-origin-resource-policy': 'same-origin',
}

/**
 * Answers GETs. Nothing can be changed through it.
 *
 * On a loopback address only requests that name a loopback host are answered: a web page that somebody opens in a browser
 * on this machine cannot read it by letting its own name point here.
 */
export async function serve(routes: Routes, host: string, port: number): Promise<Server> {
  const { createServer } = await import('node:http')
  const server = createServer((request, response) => {
    answer(routes, isLoopback(host), request).then(
      (page) => send(request, response, page),
      () => send(request, response, text(500, 'something went wrong; the log says what')),
    )
  })
  server.keepAliveTimeout = 5000
  server.requestTimeout = 10_000
  server.maxConnections = 64
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve()
    })
  })
  return server
}

async function answer(routes: Routes, local: boolean, { method, url, headers }: IncomingMessage): Promise<Page> {
  if (method !== 'GET' && method !== 'HEAD') return { ...text(405, 'only GET'), headers: { allow: 'GET, HEAD' } }
  if (local && !isLoopback(hostName(headers.host))) return text(421, 'this is not the host that was asked for')
  const path = (url ?? '/').split('?')[0]
  return Object.hasOwn(routes, path) ? await routes[path]() : text(404, 'there is nothing here')
}

function send(
  { method }: IncomingMessage,
  response: ServerResponse,
  { status = 200, type, body, headers }: Page,
): void {
  const length = Buffer.byteLength(body)
  response.writeHead(status, { ...HEADERS, 'content-type': type, 'content-length': length, ...headers })
  response.end(method === 'HEAD' ? undefined : body)
}

const text = (status: number, body: string): Page => ({ status, type: 'text/plain; charset=utf-8', body: `${body}\n` })

/** The host in a Host header, without its port. */
function hostName(header = ''): string {
  return header.replace(/:\d+$/, '').replace(/^\[|\]$/g, '')
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}
