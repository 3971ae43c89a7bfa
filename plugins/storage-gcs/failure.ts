import { type FailureKind, gatherAnswer, StoreError, WalrustError } from '../../core/index.js'
import type { GcsPlace } from './place.js'

const CREDENTIALS =
  'Check GOOGLE_APPLICATION_CREDENTIALS (or keyFilename of the storage), and that the account may read, create and delete objects of the bucket.'

/** An answer that is an error. */
export class ServiceError extends Error {
  constructor(
    readonly status: number,
    readonly reason: string,
    message: string,
    readonly retryAfter: number | undefined,
  ) {
    super(message)
  }
}

/** Reads the error out of an answer. */
export async function serviceError(answer: Response): Promise<ServiceError> {
  const text = await gatherAnswer(answer.body ?? []).then(String, () => '')
  let reason = ''
  let message = text.slice(0, 200)
  try {
    const { error } = JSON.parse(text) as { error?: { message?: string; errors?: Array<{ reason?: string }> } }
    reason = error?.errors?.[0]?.reason ?? ''
    message = error?.message ?? message
  } catch {
    // Not every answer on the way is of the service.
  }
  const wait = Number(answer.headers.get('retry-after') ?? NaN) * 1000
  return new ServiceError(answer.status, reason, message, Number.isFinite(wait) ? wait : undefined)
}

/** An error in the words of the contract. */
export function failureOf(error: unknown, place: GcsPlace): Error {
  if (error instanceof WalrustError || error instanceof StoreError) return error
  if (!(error instanceof ServiceError)) return networkFailure(error, place)
  const { status, reason, message, retryAfter } = error
  const { kind, hint } = verdict(status, reason, place)
  return new StoreError(kind, `${message} (${[reason, status].filter(Boolean).join(', ')})`, retryAfter, error, {
    hint,
  })
}

function verdict(status: number, reason: string, { bucket }: GcsPlace): { kind: FailureKind; hint?: string } {
  if (status === 429 || status === 503 || /rateLimitExceeded/i.test(reason)) return { kind: 'throttled' }
  if (status === 401 || status === 403) return { kind: 'auth', hint: CREDENTIALS }
  if (status === 404) return { kind: 'missing', hint: `Create the bucket ${bucket}, or correct it in the URL.` }
  if (status === 408 || status === 409 || status === 410 || status >= 500) return { kind: 'transient' }
  return { kind: 'permanent' }
}

function networkFailure(error: unknown, { endpoint }: GcsPlace): StoreError {
  const { message, cause } = error as { message?: string; cause?: { code?: string; message?: string } }
  const what = [cause?.message ?? message, cause?.code].filter(Boolean).join(', ')
  const hint = `Check the endpoint ${endpoint} (STORAGE_EMULATOR_HOST, or endpoint of the storage) and the network.`
  return new StoreError('transient', what, undefined, error, { hint })
}

/** No credentials, or none that the service takes. */
export function authFailure(error: unknown, place: GcsPlace): Error {
  const { code, response } = error as { code?: unknown; response?: { data?: { error?: string } } }
  if (typeof code === 'string' && /^E[A-Z]+$/.test(code) && code !== 'ENOENT') return networkFailure(error, place)
  const clock = response?.data?.error === 'invalid_grant'
  const hint = clock ? `The key was refused, or the clock of this machine is wrong. ${CREDENTIALS}` : CREDENTIALS
  return new StoreError('auth', (error as Error).message, undefined, error, { hint })
}
