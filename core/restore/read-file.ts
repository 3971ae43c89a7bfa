import type { StoredFile } from '../inventory.js'
import { LtxDecoder } from '../ltx/decoder.js'
import { LtxError } from '../ltx/errors.js'
import type { LtxHeader } from '../ltx/header.js'
import type { ObjectBody } from '../object-store.js'
import type { Remote } from '../remote.js'

/** Takes the pages of a file as they are decoded. `bytes` are valid during the call only. */
export interface PageSink {
  begin?(header: LtxHeader): Promise<void> | void
  page(page: number, bytes: Uint8Array, high: number, low: number): Promise<void> | void
}

/**
 * Reads one stored file to its end and verifies everything that can be verified of it: format, sizes, order, index,
 * file checksum, and that it is the file its name says.
 *
 * @param body the LTX file, transforms taken off
 * @param before size in pages of the database that it is applied to, if it is: see {@link LtxDecoder}
 * Errors: `E_OBJECT_DAMAGED` naming the file and what is wrong with it, `E_CHAIN_BROKEN` if it is gone.
 */
export async function readFile(
  remote: Remote,
  file: StoredFile,
  body: ObjectBody,
  sink: PageSink,
  before?: number,
): Promise<LtxHeader> {
  try {
    const checked: PageSink = {
      begin: (header) => {
        checkIdentity(header, file)
        return sink.begin?.(header)
      },
      page: (page, bytes, high, low) => sink.page(page, bytes, high, low),
    }
    return await decodePages(body, checked, before)
  } catch (error) {
    if (error instanceof LtxError) throw remote.damaged(file, error)
    throw error
  }
}

/** The same for LTX files wherever they are. Errors: {@link LtxError}. */
export async function decodePages(body: ObjectBody, sink: PageSink, before?: number): Promise<LtxHeader> {
  const decoder = new LtxDecoder({ pageChecksums: true, before })
  for await (const piece of body) {
    decoder.push(piece)
    await drain(decoder, sink)
  }
  decoder.finish()
  await drain(decoder, sink)
  return decoder.header
}

async function drain(decoder: LtxDecoder, sink: PageSink): Promise<void> {
  for (;;) {
    const step = decoder.next()
    if (step === 'more' || step === 'end') return
    if (step === 'header') {
      await sink.begin?.(decoder.header)
    } else {
      const wait = sink.page(decoder.page, decoder.data, decoder.high, decoder.low)
      if (wait) await wait
    }
  }
}

/** A file under another file's name is as bad as a damaged one. */
export function checkIdentity(header: LtxHeader, file: Pick<StoredFile, 'minTxid' | 'maxTxid'>): void {
  if (header.minTxid !== file.minTxid || header.maxTxid !== file.maxTxid) {
    throw new LtxError('LTX_CORRUPT', `it holds transactions ${header.minTxid} to ${header.maxTxid}`)
  }
}
