/**
 * The contract between walrust and a place where objects lie. A storage plugin hands the core one of these; restore,
 * retention and verification read back through the same object.
 *
 * Keys are relative to the store's prefix and use `/`. A store keeps no state that matters: everything it says comes
 * from the place itself. Failures are `WalrustError` with `E_STORAGE`, `E_STORAGE_AUTH` or `E_STORAGE_MISSING`, or a
 * `StoreError` that says of what kind they are; a missing object is an answer, not an error, where the method says so.
 */
import type { ErrorCode } from './errors.js'
import type { KeyStyle } from './object-keys.js'

/** The bytes of an object, in pieces. A piece is valid until the next one is asked for. */
export type ObjectBody = AsyncIterable<Uint8Array>

/** Short strings kept with an object: ASCII, keys lowercase with dashes. */
export type ObjectMetadata = Readonly<Record<string, string>>

export interface ObjectInfo {
  key: string
  /** Bytes. */
  size: number
  /** Milliseconds since the epoch: the timestamp given to `put`, or when the object was stored if it keeps none. */
  timestamp: number
  /** Names this version of the object for conditional writes, where the store has that. */
  etag?: string
  /**
   * MD5 of the bytes, hex, in listings that tell it for nothing. Only equality says something: services that encrypt give
   * something else that looks like one.
   */
  md5?: string
  /** In answers of `head` and `get`; in listings only with the capability `listMetadata`. */
  metadata?: ObjectMetadata
}

/** What a store can do. An undeclared ability is never used; one that safety needs is an error when it is missing. */
export interface StoreCapabilities {
  /** `put` with `ifAbsent` is atomic: of two at once, exactly one succeeds. Needed. */
  createIfAbsent: boolean
  /** `put` with `ifMatch` replaces exactly the version named. */
  replaceIfMatch: boolean
  /** Metadata can be kept with an object whose bytes are known beforehand. */
  metadata: boolean
  /** Metadata can be kept with an object whose bytes are not: it is fixed when the upload begins. */
  streamedMetadata: boolean
  /** Listings carry metadata. */
  listMetadata: boolean
  /** The store checks the SHA-256 that it is given. */
  verifiesSha256: boolean
}

export interface PutOptions {
  /** Fail with `E_OBJECT_EXISTS` if there is an object already. Without a condition, `put` replaces. */
  ifAbsent?: boolean
  /** Fail with `E_OBJECT_EXISTS` unless the present version has this etag. */
  ifMatch?: string
  metadata?: ObjectMetadata
  /** SHA-256 of the bytes, hex, if they are known beforehand. */
  sha256?: string
  /** Bytes, if known beforehand; a stream of unknown size has none. */
  size?: number
  /** Kept as the object's own time where the store can. Milliseconds since the epoch. */
  timestamp?: number
  signal?: AbortSignal
}

export interface GetOptions {
  /** First byte wanted, and the one behind the last; to the end without `end`. */
  range?: { start: number; end?: number }
  signal?: AbortSignal
}

export interface ListOptions {
  /** Only keys that start with this. */
  prefix: string
  /** Only keys behind this one, in the order of their bytes. */
  after?: string
  /**
   * Says of which keys nobody wants to know. A store to which each object is a request, or a call, of its own may leave
   * those out; where a page of them comes with one, it is of no use.
   */
  skip?: (key: string) => boolean
  signal?: AbortSignal
}

export interface ObjectStore {
  /** Where it is, for messages: without secrets. */
  readonly url: string
  readonly keyStyle: KeyStyle
  readonly capabilities: StoreCapabilities
  /** The folder on this machine where the objects lie, if they do: databases are not looked for in it. */
  readonly folder?: string

  /**
   * Stores an object, whole or not at all: nobody ever sees a part of it, and once the promise is fulfilled it survives
   * a power failure of the machine it lies on. `body` may be asked for more than once, for another attempt.
   *
   * @returns what is stored. Errors: `E_OBJECT_EXISTS` for an unmet condition
   */
  put(key: string, body: () => ObjectBody, options?: PutOptions): Promise<ObjectInfo>

  /** Reads an object or a range of it; `undefined` if there is none. */
  get(key: string, options?: GetOptions): Promise<{ info: ObjectInfo; body: ObjectBody } | undefined>

  /** What `get` would say of an object, without its bytes; `undefined` if there is none. */
  head(key: string, options?: { signal?: AbortSignal }): Promise<ObjectInfo | undefined>

  /**
   * Lists objects in the order of their keys' bytes. Complete or an error: a listing that ends early throws, because
   * whoever takes a part for the whole deletes or overwrites what it did not see.
   */
  list(options: ListOptions): AsyncIterable<ObjectInfo>

  /** Deletes objects. Those that are not there count as deleted. */
  delete(keys: readonly string[], options?: { signal?: AbortSignal }): Promise<void>

  /** Throws unless the place exists and the credentials may write to it. Called once before anything is shipped. */
  check?(options?: { signal?: AbortSignal }): Promise<void>

  /** Closes connections. */
  close?(): Promise<void>
}

/** What kind of failure a store met: decides whether it is tried again, and how loudly. */
export type FailureKind = 'transient' | 'throttled' | 'auth' | 'missing' | 'permanent'

/** A failure of a store, classified by the store itself from codes, never from the text of messages. */
export class StoreError extends Error {
  override readonly name = 'StoreError'

  /**
   * @param retryAfter milliseconds the service asks to wait
   * @param advice what the user can do, and the code to report it under, where those of the kind are not the best ones
   */
  constructor(
    readonly kind: FailureKind,
    message: string,
    readonly retryAfter?: number,
    cause?: unknown,
    readonly advice: { readonly hint?: string; readonly code?: ErrorCode } = {},
  ) {
    super(message, cause === undefined ? undefined : { cause })
  }
}
