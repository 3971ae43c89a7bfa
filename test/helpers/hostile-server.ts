/** A server that answers as no storage should: with what never ends, or with what is far too much. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { close, listen, originOf } from './loopback.js'

export type Hostility = (request: IncomingMessage, response: ServerResponse) => void

export class HostileServer {
  /** Bytes that clients have taken so far. */
  sent = 0
  answer: Hostility = (_request, response) => response.writeHead(404).end()
  readonly #server: Server

  private constructor() {
    this.#server = createServer((request, response) => {
      request.resume()
      request.on('error', () => undefined)
      response.on('error', () => undefined)
      this.answer(request, response)
    })
  }

  static async listen(): Promise<HostileServer> {
    const server = new HostileServer()
    await listen(server.#server)
    return server
  }

  get endpoint(): string {
    return originOf(this.#server)
  }

  async close(): Promise<void> {
    await close(this.#server)
  }

  /** An answer that begins as told and then goes on with the same text for as long as anybody listens. */
  endless(status: number, type: string, first: string, then: string): Hostility {
    const piece = Buffer.from(then.repeat(Math.ceil(65_536 / then.length)))
    return (_request, response) => {
      response.writeHead(status, { 'content-type': type })
      response.write(first)
      const go = () => {
        while (!response.destroyed) {
          this.sent += piece.length
          if (!response.write(piece)) return
        }
      }
      response.on('drain', go)
      go()
    }
  }
}
