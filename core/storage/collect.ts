import { WalrustError } from '../errors.js'
import type { ObjectBody } from '../object-store.js'

/** Reads a body into memory, at most `limit` bytes. Errors: `E_OBJECT_DAMAGED` for more. */
export async function collect(body: ObjectBody, limit: number): Promise<Uint8Array> {
  const parts: Buffer[] = []
  let size = 0
  for await (const piece of body) {
    size += piece.length
    if (size > limit)
      throw new WalrustError('E_OBJECT_DAMAGED', `an object of more than ${limit} bytes where a small one was expected`)
    parts.push(Buffer.from(piece))
  }
  return Buffer.concat(parts)
}
