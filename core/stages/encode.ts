import { giveBack, takeBuffer } from '../buffers.js'
import { WalrustError } from '../errors.js'
import { LtxEncoder } from '../ltx/encoder.js'
import { type LtxHeader, startsAsLtx } from '../ltx/header.js'
import { HEADER_SIZE } from '../ltx/layout.js'
import type { ObjectBody } from '../object-store.js'
import { checkPage, type PageSet } from '../pages/page-set.js'
import type { EncodeRequest, Hooks } from '../hooks.js'

/** Bytes handed on in one piece; a page and the index may run a little over. */
const PIECE = 128 * 1024

/** Collects what an encoder writes into pieces, in one buffer that is used again and again. */
class Pieces {
  #buffer = takeBuffer()
  #used = 0

  readonly write = (bytes: Uint8Array): void => {
    if (this.#used + bytes.length > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(this.#buffer.length * 2, this.#used + bytes.length))
      this.#buffer.copy(larger, 0, 0, this.#used)
      this.#buffer = larger
    }
    this.#buffer.set(bytes, this.#used)
    this.#used += bytes.length
  }

  get full(): boolean {
    return this.#used >= PIECE
  }

  close(): void {
    giveBack(this.#buffer)
  }

  take(): Uint8Array {
    const piece = this.#buffer.subarray(0, this.#used)
    this.#used = 0
    return piece
  }
}

/**
 * Pages as the bytes of an LTX file. Each page is held against the checksum it was announced with before it is handed on.
 * A piece is valid until the next one is asked for.
 */
export async function* encodeLtx(header: LtxHeader, pages: PageSet): ObjectBody {
  const pieces = new Pieces()
  const encoder = new LtxEncoder(pieces.write)
  const bytes = Buffer.allocUnsafeSlow(header.pageSize)
  encoder.begin(header)
  const cursor = pages.cursor()
  try {
    while (cursor.next()) {
      const wait = cursor.read(bytes)
      if (wait) await wait
      encoder.page(cursor.page, bytes)
      // Before any of it is handed on.
      checkPage(cursor, encoder)
      if (pieces.full) yield pieces.take()
    }
    const steps = encoder.ending()
    while (!steps.next().done) if (pieces.full) yield pieces.take()
    yield pieces.take()
  } finally {
    cursor.close()
    pieces.close()
  }
}

/** The bytes of a file as they will lie in storage, and the transforms around them. */
export interface Encoded {
  readonly body: ObjectBody
  readonly codecs: readonly string[]
}

/** Sends a file through the taps of `encode`. Errors: those of the taps, `E_HOOK` if none of them made a body. */
export async function encodeThrough(hooks: Hooks, request: EncodeRequest): Promise<Encoded> {
  const { body, codecs } = await hooks.encode.promise(request)
  if (!body) throw new WalrustError('E_HOOK', 'no plugin encoded the file', { hook: 'encode' })
  return { body: codecs.length > 0 ? unlikeLtx(body, codecs) : body, codecs }
}

/** Hands on what came out of a transform, which may not begin as an LTX file: readers take that for one. */
async function* unlikeLtx(body: ObjectBody, codecs: readonly string[]): ObjectBody {
  let first: Uint8Array | undefined = new Uint8Array(0)
  for await (const piece of body) {
    if (first) {
      first = Buffer.concat([first, piece.subarray(0, HEADER_SIZE)])
      if (startsAsLtx(first)) {
        const message = `what ${codecs.join(' and ')} made of a file begins as the file itself does`
        throw new WalrustError('E_HOOK', message, { hook: 'encode', plugin: codecs.at(-1) })
      }
      if (first.length >= HEADER_SIZE) first = undefined
    }
    yield piece
  }
}

/** The first tap of `encode`. What has been merged from files is an LTX file already. */
export function tapEncode(hooks: Hooks): void {
  hooks.encode.tap({ name: 'walrust:ltx', stage: -100 }, (request) => ({
    ...request,
    body: request.body ?? encodeLtx(request.header, request.pages),
  }))
}
