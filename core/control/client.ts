import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { unpackError } from '../error-transfer.js'
import { systemCode, WalrustError } from '../errors.js'
import type { ControlAnswer, ControlRequest } from './protocol.js'
import { SOCKET, withShortPath } from './socket.js'

/** Nobody listens there: the process has ended, or never was. */
const NOBODY = new Set(['ENOENT', 'ECONNREFUSED', 'ENOTDIR', 'ENOTSOCK'])

/**
 * Asks the walrust process that watches the database of a state directory.
 *
 * @returns its answer; `undefined` if there is no such process. Errors: what the process answers with, the signal's
 * reason, `E_STATE` if the socket may not be used
 */
export async function askRunning(
  stateFolder: string,
  request: ControlRequest,
  signal?: AbortSignal,
): Promise<{ result: unknown } | undefined> {
  const path = join(stateFolder, SOCKET)
  signal?.throwIfAborted()
  let connection: Socket
  try {
    connection = await connected(path)
  } catch (error) {
    if (NOBODY.has(systemCode(error) ?? '')) return undefined
    throw new WalrustError('E_STATE', `cannot ask the running walrust at ${path}: ${(error as Error).message}`, {
      cause: error,
      hint: 'The socket belongs to the user who runs `walrust watch`: run this command as the same user.',
    })
  }
  const end = () => connection.destroy()
  signal?.addEventListener('abort', end, { once: true })
  try {
    connection.write(`${JSON.stringify(request)}\n`)
    let text = ''
    connection.setEncoding('utf8')
    for await (const piece of connection) text += String(piece)
    signal?.throwIfAborted()
    return understand(text)
  } catch (error) {
    signal?.throwIfAborted()
    if (error instanceof WalrustError || systemCode(error) === undefined) throw error
    throw interrupted(error)
  } finally {
    signal?.removeEventListener('abort', end)
    connection.destroy()
  }
}

function understand(text: string): { result: unknown } {
  if (!text.endsWith('\n')) throw interrupted(undefined)
  const answer = JSON.parse(text) as ControlAnswer
  if ('error' in answer) throw unpackError(answer.error)
  return answer
}

function interrupted(cause: unknown): WalrustError {
  return new WalrustError('E_ABORTED', 'the running walrust ended before it was done', { cause })
}

async function connected(path: string): Promise<Socket> {
  return await new Promise((resolve, reject) => {
    const socket = withShortPath(path, (short) => connect(short))
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.off('error', reject)
      resolve(socket)
    })
  })
}
