import { once } from 'node:events'
import type { Server as HttpServer } from 'node:http'
import { type AddressInfo, createServer, type Server } from 'node:net'

/** Has a server listen on the loopback interface, by default at a port that is free. */
export async function listen(server: Server, port = 0): Promise<void> {
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
}

/** Where a server listens. */
export function originOf(server: Server): string {
  return `http://127.0.0.1:${portOf(server)}`
}

/** Ends a server and whatever is connected to it. */
export async function close(server: HttpServer): Promise<void> {
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
}

/** A port that nobody listens on. */
export async function freePort(): Promise<number> {
  const probe = createServer()
  await listen(probe)
  const port = portOf(probe)
  probe.close()
  await once(probe, 'close')
  return port
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port
}
