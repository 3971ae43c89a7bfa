import { isError, WalrustError } from '../errors.js'
import { hashBody } from '../hashing.js'
import type { DatabaseInfo, Hooks } from '../hooks.js'
import type { LtxHeader } from '../ltx/header.js'
import type { ObjectBody } from '../object-store.js'
import { NO_PAGES } from '../pages/page-set.js'
import type { Remote } from '../remote.js'
import { encodeThrough } from '../stages/encode.js'

/** Bytes of the sample: several pieces, one of them odd. */
const SAMPLE = [1, 4096, 65_536, 131_071]

/**
 * Sends a sample through the transforms and back, as the files of a database will go. What cannot be read back now
 * could not be restored later, and nobody would know until then.
 *
 * Errors: `E_HOOK` naming what was recorded; whatever a transform throws
 */
export async function proveCodecs(
  database: DatabaseInfo,
  header: LtxHeader,
  hooks: Hooks,
  remote: Pick<Remote, 'unwrap'>,
): Promise<void> {
  const request = { database, header, pages: NO_PAGES, body: sample(), codecs: [] }
  const { body, codecs } = await encodeThrough(hooks, request)
  const wanted = await hashBody(sample())
  let found: string
  try {
    found = await hashBody(await remote.unwrap(body, codecs))
  } catch (error) {
    if (!isError(error, 'E_CODEC_MISSING')) throw error
    throw notReadable(codecs, 'nothing takes it off again', error)
  }
  if (found !== wanted) throw notReadable(codecs, 'gives back something else than it was given')
}

function notReadable(codecs: readonly string[], what: string, cause?: unknown): WalrustError {
  return new WalrustError('E_HOOK', `${codecs.join(' and ')}: ${what}; nothing was written through it`, {
    ...{ hook: 'decode', plugin: codecs.at(-1), cause },
  })
}

// eslint-disable-next-line @typescript-eslint/require-await -- a body is asynchronous, these bytes are made at once
async function* sample(): ObjectBody {
  // As files do: what comes out may not begin like that.
  yield Buffer.from('LTX1')
  let state = 1
  for (const size of SAMPLE) {
    const piece = new Uint8Array(size)
    // Half of it alike, so that what compresses has something to do.
    for (let i = 0; i < size; i += 2) piece[i] = state = ((state * 75 + 74) % 65_537) & 0xff
    yield piece
  }
}
