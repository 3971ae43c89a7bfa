import { messageOf, WalrustError } from './errors.js'
import { type FailureKind, StoreError } from './object-store.js'

/** The store's own word on a failure, wherever in the chain of causes it is. */
export function storeErrorOf(error: unknown): StoreError | undefined {
  for (let cause = error; cause instanceof Error; cause = cause.cause) if (cause instanceof StoreError) return cause
  return undefined
}

/** What kind of failure something is; what no store has classified is taken as permanent, except time running out. */
export function failureKind(error: unknown): FailureKind {
  return storeErrorOf(error)?.kind ?? 'permanent'
}

/** Whether the same request may succeed later, without anybody mending anything. */
export function mayPass(error: unknown): boolean {
  const kind = failureKind(error)
  return kind === 'transient' || kind === 'throttled'
}

const CODES = {
  auth: 'E_STORAGE_AUTH',
  missing: 'E_STORAGE_MISSING',
  transient: 'E_STORAGE',
  throttled: 'E_STORAGE',
  permanent: 'E_STORAGE',
} as const

/** A failure of a store in our own words. What already has a code keeps it. */
export function storageFailure(error: unknown, url: string, doing: string): WalrustError {
  if (error instanceof WalrustError && error.code !== 'E_HOOK') return error
  const store = storeErrorOf(error)
  return new WalrustError(
    store?.advice.code ?? CODES[store?.kind ?? 'permanent'],
    `${doing} ${url}: ${(store ?? (error as Error)).message || messageOf(error)}`,
    {
      storage: url,
      hint: store?.advice.hint,
      cause: error,
    },
  )
}
