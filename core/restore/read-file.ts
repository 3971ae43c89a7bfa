import type { StoredFile } from '../inventory.js'
import { LtxDecoder } from '../ltx/decoder.js'
import { LtxError } from '../ltx/errors.js'
import type { LtxHeader } from '../ltx/header.js'
import type { ObjectBody } from '../object-store.js'
import type { Remote } from '../remote.js'
import type { FilePiece } from './file-fetcher.js'
import type { NeededParts } from './superseded.js'

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

/**
 * Reads the pages of a stored file that are needed of it. It is held against its name and its index; whether the pages
 * are those that were written, only the checksum of the whole database can say.
 *
 * @param pieces what was brought of the file, and where in it that begins
 * Errors: `E_OBJECT_DAMAGED`, `E_CHAIN_BROKEN` if it is gone.
 */
export async function readParts(
  remote: Remote,
  file: StoredFile,
  { header, head, frames, pages }: NeededParts,
  pieces: AsyncIterable<FilePiece>,
  sink: PageSink,
): Promise<LtxHeader> {
  try {
    const decoder = new LtxDecoder()
    decoder.push(head)
    await drain(decoder, sink)
    let next = 0
    for await (const { start, bytes } of pieces) {
      for (let frame = frames.at(next); frame && frame.start - start < bytes.length; frame = frames.at(next)) {
        const part = bytes.subarray(Math.max(0, frame.start - start), frame.end - start)
        if (part.length > 0) decoder.push(part)
        await drain(decoder, sink)
        // The rest of it comes with the next piece.
        if (frame.end - start > bytes.length) break
        next++
      }
    }
    if (decoder.pages !== pages) throw new LtxError('LTX_CORRUPT', `it holds ${decoder.pages} of ${pages} pages`)
    return header
  } catch (error) {
    if (error instanceof LtxError) throw remote.damaged(file, error)
    throw error
  }
}

/** As {@link readFile} for LTX files wherever they are. Errors: {@link LtxError}. */
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
