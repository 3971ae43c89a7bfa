import { messageOf, WalrustError } from '../errors.js'
import { EngineGone } from './engine-client.js'

/** What every call of the library rejects with: an error of walrust, whatever was the matter. */
export function asWalrustError(error: unknown): WalrustError {
  if (error instanceof WalrustError) return error
  if (error instanceof EngineGone) return new WalrustError('E_ABORTED', error.message, { cause: error })
  return new WalrustError('E_INTERNAL', messageOf(error), { cause: error })
}

/** Runs a call of the library. What the caller's own signal ends is `E_ABORTED` with the signal's reason as its cause. */
export async function asCall<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  try {
    signal?.throwIfAborted()
    return await work()
  } catch (error) {
    if (!signal?.aborted || (error instanceof WalrustError && error !== signal.reason)) throw asWalrustError(error)
    throw new WalrustError('E_ABORTED', 'the caller has ended it', { cause: signal.reason })
  }
}
