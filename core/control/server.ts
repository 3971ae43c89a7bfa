import { randomBytes } from 'node:crypto'
import { chmodSync, renameSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import { packError } from '../error-transfer.js'
import { messageOf, WalrustError } from '../errors.js'
import type { Log } from '../log.js'
import { type ControlAnswer, type ControlCommands, MAX_REQUEST, parseRequest } from './protocol.js'
import { SOCKET, withShortPath } from './socket.js'

/** Whoever connects has so long to say what for, in milliseconds. */
const PATIENCE = 10_000

/**
 * Listens on a socket in the state directory of each watched database. One process has as many sockets as databases,
 * so that whoever knows a database finds the process, and none depends on the folder of another.
 */
export class ControlServer {
  readonly #commands: ControlCommands
  readonly #log: Log
  readonly #servers = new Map<string, Server>()
  readonly #connections = new Set<Socket>()

  constructor(commands: ControlCommands, log: Log) {
    this.#commands = commands
    this.#log = log
  }

  /**
   * Listens in a folder whose machine lock this process has: what lies there of an earlier process is replaced. Where
   * that cannot be done the databases are followed all the same.
   */
  async listen(folder: string): Promise<void> {
    const path = join(folder, SOCKET)
    // Bound under another name and renamed: nobody can connect before the mode is set.
    const temporary = join(folder, `.${randomBytes(6).toString('hex')}`)
    const server = createServer((connection) => void this.#serve(connection))
    try {
      withShortPath(temporary, (short) => server.listen(short))
      await once(server, 'listening')
      chmodSync(temporary, 0o600)
      renameSync(temporary, path)
      server.on('error', (error) => this.#log.warn('the control socket failed', { path, error: messageOf(error) }))
      server.unref()
      this.#servers.set(folder, server)
    } catch (error) {
      server.close()
      this.#log.warn('there is no control socket', { path, error: messageOf(error) })
    }
  }

  /** Takes the socket of a folder away. */
  close(folder: string): void {
    const server = this.#servers.get(folder)
    if (!server) return
    this.#servers.delete(folder)
    server.close()
    rmSync(join(folder, SOCKET), { force: true })
  }

  /** Takes all sockets away and hangs up on whoever still waits. */
  closeAll(): void {
    for (const folder of [...this.#servers.keys()]) this.close(folder)
    for (const connection of this.#connections) connection.destroy()
  }

  async #serve(connection: Socket): Promise<void> {
    this.#connections.add(connection)
    const gone = new AbortController()
    connection.on('error', () => undefined)
    connection.once('close', () => {
      this.#connections.delete(connection)
      gone.abort(new WalrustError('E_ABORTED', 'nobody waits for the answer any more'))
    })
    const answer = await this.#answer(connection, gone.signal)
    if (!gone.signal.aborted) connection.end(`${JSON.stringify(answer)}\n`)
  }

  async #answer(connection: Socket, signal: AbortSignal): Promise<ControlAnswer> {
    try {
      const request = parseRequest(await readLine(connection))
      const command = request && Object.hasOwn(this.#commands, request.command) && this.#commands[request.command]
      if (!request || !command) throw new WalrustError('E_USAGE', 'the running walrust does not understand the request')
      return { result: await command(request, signal) }
    } catch (error) {
      return { error: packError(error) }
    }
  }
}

/** The first line that comes in. */
async function readLine(connection: Socket): Promise<string> {
  connection.setTimeout(PATIENCE, () => connection.destroy())
  let text = ''
  return await new Promise((resolve, reject) => {
    connection.setEncoding('utf8')
    connection.once('close', () => reject(new WalrustError('E_ABORTED', 'the connection ended before a request came')))
    connection.on('data', (piece: string) => {
      text += piece
      const end = text.indexOf('\n')
      if (end < 0 && text.length < MAX_REQUEST) return
      connection.setTimeout(0)
      resolve(text.slice(0, Math.max(0, end)))
    })
  })
}
