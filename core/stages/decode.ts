import { WalrustError } from '../errors.js'
import type { DecodeRequest, Hooks } from '../hooks.js'
import type { ObjectBody } from '../object-store.js'

/**
 * Takes transforms off a body, the last one first, through the taps of `decode`. Errors: those of the taps,
 * `E_CODEC_MISSING` if none of them knows a transform.
 */
export async function decodeThrough(
  hooks: Hooks,
  database: string,
  body: ObjectBody,
  codecs: readonly string[],
): Promise<ObjectBody> {
  let request: DecodeRequest = { database, body, codecs }
  while (request.codecs.length > 0) {
    const before = request.codecs
    request = await hooks.decode.promise(request)
    if (request.codecs.length >= before.length) {
      const codec = before[before.length - 1]
      throw new WalrustError('E_CODEC_MISSING', `the backup was written through ${codec}, which is not installed`, {
        database,
      })
    }
  }
  return request.body
}
