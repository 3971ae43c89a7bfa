/**
 * What is said over the control socket: one request in a line of JSON, one answer in a line of JSON, then the
 * connection ends. Whoever hangs up before the answer has given up the request.
 */
import type { PackedError } from '../error-transfer.js'

export interface ControlRequest {
  /** One of the names in {@link ControlCommands}. */
  command: string
  /** Name of the database it concerns, or the absolute path of its file. */
  database: string
  /** What else the command is to know. */
  options?: Readonly<Record<string, unknown>>
}

export type ControlAnswer = { result: unknown } | { error: PackedError }

/** Does what a request asks for. `signal` is aborted when nobody waits for the answer any more. */
export type ControlCommand = (request: ControlRequest, signal: AbortSignal) => Promise<unknown>

/** What a running walrust can be asked to do, by name. */
export type ControlCommands = Readonly<Record<string, ControlCommand>>

/** Bytes; a request is a few hundred. */
export const MAX_REQUEST = 64 * 1024

/** Takes a request apart; `undefined` for anything that is none. */
export function parseRequest(text: string): ControlRequest | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  const { command, database, options } = (value ?? {}) as Record<string, unknown>
  if (typeof command !== 'string' || typeof database !== 'string') return undefined
  const isObject = typeof options === 'object' && options !== null
  return { command, database, ...(isObject ? { options: options as Record<string, unknown> } : {}) }
}
