import { redact } from './redact.js'
import { type ErrorCode, ERRORS, messageOf, systemCode, WalrustError } from './errors.js'

/** An error as plain values, for another process, without secrets. */
export interface PackedError {
  code?: string
  name: string
  message: string
  hint?: string
  database?: string
  storage?: string
  plugin?: string
  hook?: string
  cause?: PackedError
}

/** Causes that are handed on; a longer chain is a circle. */
const DEEPEST = 8

/** Takes an error apart, with what caused it. */
export function packError(error: unknown, depth = 0): PackedError {
  const cause = error instanceof Error && error.cause !== undefined && depth < DEEPEST ? error.cause : undefined
  const packed: PackedError = {
    name: error instanceof Error ? error.name : 'Error',
    message: redact(messageOf(error)),
    ...(systemCode(error) === undefined ? {} : { code: systemCode(error) }),
    ...(cause === undefined ? {} : { cause: packError(cause, depth + 1) }),
  }
  if (!(error instanceof WalrustError)) return packed
  const { code, hint, database, storage, plugin, hook } = error
  return { ...packed, code, hint: redact(hint), database, storage: storage && redact(storage), plugin, hook }
}

/** Puts an error together again: one of ours is a `WalrustError` again, another one keeps its name and code. */
export function unpackError(packed: PackedError): Error {
  const { code, name, message, hint, database, storage, plugin, hook } = packed
  const cause = packed.cause && unpackError(packed.cause)
  if (name === 'WalrustError' && isErrorCode(code)) {
    const error = new WalrustError(code, message, { hint, database, storage, cause })
    error.plugin = plugin
    error.hook = hook
    return error
  }
  const error = new Error(message, cause && { cause })
  error.name = name
  return code === undefined ? error : Object.assign(error, { code })
}

function isErrorCode(code: string | undefined): code is ErrorCode {
  return code !== undefined && Object.hasOwn(ERRORS, code)
}
