import { rm } from 'node:fs/promises'
import { Inputs, type MergeWork } from '../compact/merge-files.js'
import { mergedBody } from '../compact/merged-body.js'
import { WalrustError } from '../errors.js'
import type { StoredFile } from '../inventory.js'
import { DatabaseChecksum, formatChecksum } from '../ltx/checksum.js'
import { LtxDecoder } from '../ltx/decoder.js'
import type { ChecksumMode } from '../ltx/header.js'
import type { ObjectBody } from '../object-store.js'
import { NO_PAGES } from '../pages/page-set.js'
import { encodeThrough } from '../stages/encode.js'
import { putSnapshot, snapshotHeader, type SnapshotPoint } from './snapshots.js'
import type { Uploader } from './uploader.js'

export interface StoredSnapshotWork extends MergeWork {
  uploader: Pick<Uploader, 'put'>
  checksums: ChecksumMode
}

/**
 * Makes a snapshot of what storage holds already, streamed, where the live database could not be held still for as long
 * as that takes. It is completed only if its pages have exactly the database checksum of the transaction.
 *
 * @param files those that a restore of the point would apply, in that order
 * Errors: `E_CHECKSUM`, `E_OBJECT_DAMAGED`, `E_CHAIN_BROKEN`, `E_STORAGE`…, `E_DISK_FULL`.
 */
export async function storeFromStorage(
  work: StoredSnapshotWork,
  files: readonly StoredFile[],
  point: SnapshotPoint,
): Promise<StoredFile> {
  const { remote, hooks, database, signal, checksums, uploader } = work
  // What a run before this one left there when it was killed.
  await rm(work.folder, { recursive: true, force: true })
  const newest = await remote.headerOf(files[files.length - 1], signal)
  const header = snapshotHeader(newest, point, checksums)
  const inputs = new Inputs(work)
  try {
    const parts = await inputs.take(files)
    const encode = async () => {
      const merged = mergedBody(
        parts.map((part) => part.open()),
        { checksums, post: point.checksum },
        () => undefined,
      )
      const request = { database, header, pages: NO_PAGES, body: checked(merged, point, database.name), codecs: [] }
      return await encodeThrough(hooks, request)
    }
    return (await putSnapshot(uploader, database, point, encode, signal)).file
  } finally {
    await inputs.close()
  }
}

/** Hands an LTX file on, and fails at its end if its pages are not the database that they should be. */
async function* checked(body: ObjectBody, point: SnapshotPoint, database: string): ObjectBody {
  const decoder = new LtxDecoder({ pageChecksums: true })
  const sum = new DatabaseChecksum()
  const drain = () => {
    for (let step = decoder.next(); step !== 'more' && step !== 'end'; step = decoder.next()) {
      if (step === 'page') sum.toggle(decoder.high, decoder.low)
    }
  }
  for await (const piece of body) {
    decoder.push(piece)
    drain()
    yield piece
  }
  decoder.finish()
  drain()
  if (decoder.header.maxTxid === point.txid && sum.value === point.checksum) return
  const sums = `${formatChecksum(sum.value)}, not ${formatChecksum(point.checksum)}`
  throw new WalrustError('E_CHECKSUM', `what lies in storage gives database checksum ${sums}`, { database })
}
