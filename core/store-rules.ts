/** What every store does alike, for authors of stores. */
import { createHash } from 'node:crypto'
import { type ObjectBody, type PutOptions, type StoreCapabilities, StoreError } from './object-store.js'

/** Throws for what `put` is asked to do and the store has not declared: ignored it would be believed. */
export function refuseUndeclared(capabilities: StoreCapabilities, options: PutOptions): void {
  const { ifAbsent, ifMatch, metadata, size } = options
  const refuse = (ability: keyof StoreCapabilities) => {
    throw new StoreError('permanent', `the store cannot do what was asked of it (${ability})`)
  }
  if (ifAbsent && !capabilities.createIfAbsent) refuse('createIfAbsent')
  if (ifMatch !== undefined && !capabilities.replaceIfMatch) refuse('replaceIfMatch')
  if (!metadata || Object.keys(metadata).length === 0) return
  if (size === undefined && !capabilities.streamedMetadata) refuse('streamedMetadata')
  if (size !== undefined && !capabilities.metadata) refuse('metadata')
}

/**
 * Hands a body through and ends it with an error, before its last piece has been acknowledged, if it is not what `put`
 * was told: another size, another hash, or not wanted any more.
 */
export async function* exactBody(
  body: ObjectBody,
  { size, sha256, signal }: Pick<PutOptions, 'size' | 'sha256' | 'signal'>,
): ObjectBody {
  const hash = sha256 === undefined ? undefined : createHash('sha256')
  let seen = 0
  signal?.throwIfAborted()
  for await (const piece of body) {
    signal?.throwIfAborted()
    seen += piece.length
    if (size !== undefined && seen > size) break
    hash?.update(piece)
    yield piece
  }
  signal?.throwIfAborted()
  if (size !== undefined && seen !== size) {
    const what = seen > size ? `more than the ${size} bytes` : `${seen} bytes instead of the ${size}`
    throw new StoreError('permanent', `the body has ${what} that were announced`)
  }
  if (hash && hash.digest('hex') !== sha256) {
    throw new StoreError('permanent', 'the bytes are not those that were announced')
  }
}

/** Throws unless the body of an answer had as many bytes as were announced. Another try may bring all of it. */
export function checkReceived(seen: number, size: number): void {
  if (seen === size) return
  throw new StoreError('transient', `the answer has ${seen > size ? 'more than' : `${seen} of`} ${size} bytes`)
}

/** Takes a body of a known size into memory. */
export async function gatherBody(body: ObjectBody, size: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(size)
  let at = 0
  for await (const piece of body) {
    bytes.set(piece, at)
    at += piece.length
  }
  return bytes
}

/**
 * Most bytes of an answer that has to be read as a whole: a page of a listing, an error. A thousand keys of 1,024 bytes,
 * each byte of them escaped, take six megabytes.
 */
const MOST_ANSWER = 16 * 2 ** 20

/** Reads an answer that is no object into memory. Errors: a `StoreError` as soon as it is longer than any can be. */
export async function gatherAnswer(
  body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  most = MOST_ANSWER,
): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  let size = 0
  for await (const piece of body) {
    size += piece.length
    if (size > most) throw new StoreError('transient', `the service answers with more than ${most} bytes`)
    pieces.push(piece)
  }
  return Buffer.concat(pieces, size)
}

/** Pages of a listing without an entry that may follow one another: services may have some between deleted objects. */
const MOST_EMPTY_PAGES = 100

/** Sees to it that a listing gets on: a service that always says that there is more must not be listened to for ever. */
export class ListingPages {
  #last: string | undefined
  #empty = 0

  /** Takes note of a page. Errors: a `StoreError` if the listing turns in a circle. */
  next(entries: number, token: string | undefined): void {
    this.#empty = entries > 0 ? 0 : this.#empty + 1
    if (token !== undefined && (token === this.#last || this.#empty > MOST_EMPTY_PAGES)) {
      throw new StoreError(
        'transient',
        'the listing does not get on: the service says again and again that there is more',
      )
    }
    this.#last = token
  }
}

/** The body of a small object, in one piece. */
// eslint-disable-next-line @typescript-eslint/require-await -- a body is asynchronous, these bytes are there
export async function* bodyOf(bytes: Uint8Array): ObjectBody {
  yield bytes
}

/** The body of an object without bytes. */
// eslint-disable-next-line @typescript-eslint/require-await -- a body is asynchronous
export async function* emptyBody(): ObjectBody {
  yield* []
}

/** Of these, JavaScript's own order of strings is not that of the bytes. */
const BEYOND = /[\ud800-\udfff]/

/** Compares keys by their bytes in UTF-8, which JavaScript's own order of strings does not do beyond U+D7FF. */
export function compareKeys(a: string, b: string): number {
  if (!BEYOND.test(a) && !BEYOND.test(b)) return a < b ? -1 : Number(a > b)
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}
