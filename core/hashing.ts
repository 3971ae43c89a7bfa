import { createHash } from 'node:crypto'
import type { ObjectBody } from './object-store.js'

/** A body that counts and hashes what goes through it. Ask for the results after the last piece. */
export class HashedBody {
  sha256 = ''
  size = 0

  async *wrap(body: ObjectBody): ObjectBody {
    const hash = createHash('sha256')
    this.size = 0
    for await (const piece of body) {
      hash.update(piece)
      this.size += piece.length
      yield piece
    }
    this.sha256 = hash.digest('hex')
  }
}

/** SHA-256 of the bytes of a body, hex. */
export async function hashBody(body: ObjectBody): Promise<string> {
  const hash = createHash('sha256')
  for await (const piece of body) hash.update(piece)
  return hash.digest('hex')
}
