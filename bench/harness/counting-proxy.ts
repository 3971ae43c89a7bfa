import { Agent, createServer, type IncomingMessage, request as httpRequest, type Server } from 'node:http'
import type { Place } from './shippers.js'
import { close, listen, originOf } from '../../test/helpers/loopback.js'

export type RequestKind = 'put' | 'get' | 'head' | 'list' | 'delete' | 'other'

/** What went through: requests by kind, and the bytes of their bodies. */
export interface Counted {
  requests: Record<RequestKind, number>
  sent: number
}

/**
 * Stands between a shipper and the S3 server and counts. Signatures stay right: the name of the host that was signed is
 * handed on as it is.
 */
export class CountingProxy {
  readonly #server: Server
  readonly #agent = new Agent({ keepAlive: true })
  readonly #target: URL
  #counted: Counted = empty()

  private constructor(target: string) {
    this.#target = new URL(target)
    this.#server = createServer((incoming, response) => {
      this.#counted.requests[kindOf(incoming)]++
      const { hostname, port } = this.#target
      const { method, url: path, headers } = incoming
      const outgoing = httpRequest({ hostname, port, method, path, headers, agent: this.#agent }, (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers)
        answer.pipe(response)
      })
      outgoing.on('error', () => response.destroy())
      incoming.on('error', () => outgoing.destroy())
      incoming.on('data', (piece: Buffer) => (this.#counted.sent += piece.length))
      incoming.pipe(outgoing)
    })
  }

  static async start(target: string): Promise<CountingProxy> {
    const proxy = new CountingProxy(target)
    await listen(proxy.#server)
    return proxy
  }

  /** What was counted since the last call. */
  take(): Counted {
    const counted = this.#counted
    this.#counted = empty()
    return counted
  }

  /** The same place behind this. */
  placeOf(place: Place): Place {
    if (!place.server) throw new Error('only what goes over HTTP can be counted')
    const endpoint = originOf(this.#server)
    const { server } = place
    return { ...place, server: { ...server, endpoint, env: { ...server.env, AWS_ENDPOINT_URL_S3: endpoint } } }
  }

  async stop(): Promise<void> {
    this.#agent.destroy()
    await close(this.#server)
  }
}

const empty = (): Counted => ({
  requests: { put: 0, get: 0, head: 0, list: 0, delete: 0, other: 0 },
  sent: 0,
})

function kindOf({ method = '', url = '' }: IncomingMessage): RequestKind {
  const [path, query = ''] = url.split('?')
  if (method === 'POST' && /(^|&)delete(=|&|$)/.test(query)) return 'delete'
  if (method === 'GET' && (/(^|&)(list-type|prefix)=/.test(query) || path.split('/').length < 3)) return 'list'
  if (method === 'PUT' || method === 'POST') return 'put'
  return method === 'GET' ? 'get' : method === 'HEAD' ? 'head' : method === 'DELETE' ? 'delete' : 'other'
}
