import type { FileFacts } from '../facts.js'
import { HashedBody } from '../hashing.js'
import type { DatabaseInfo } from '../hooks.js'
import type { StoredFile } from '../inventory.js'
import type { ChecksumMode, LtxHeader } from '../ltx/header.js'
import { LEVEL_SNAPSHOT } from '../object-keys.js'
import type { DatabaseView } from '../pages/database-view.js'
import { PageChecksums } from '../pages/page-checksums.js'
import { ViewPages } from '../pages/view-pages.js'
import type { Encoded } from '../stages/encode.js'
import { EncodedStream } from './encoded-stream.js'
import type { FileMaker } from './file-maker.js'
import type { Uploader } from './uploader.js'

/** Which state a snapshot is of. */
export interface SnapshotPoint {
  txid: number
  checksum: bigint
  /** Milliseconds since the epoch. */
  timestamp: number
  /** Since when commits were not seen one by one; as the file of that transaction says. */
  gapStart: number | undefined
}

/**
 * Streams every page of a pinned state into storage, with constant memory and nothing staged on disk. The file is only
 * completed if the pages read have exactly the database checksum of the transaction it stands for.
 */
export class Snapshots {
  readonly #database: DatabaseInfo
  readonly #maker: FileMaker
  readonly #uploader: Uploader
  readonly #checksums: ChecksumMode

  constructor(database: DatabaseInfo, maker: FileMaker, uploader: Uploader, checksums: ChecksumMode) {
    this.#database = database
    this.#maker = maker
    this.#uploader = uploader
    this.#checksums = checksums
  }

  /** The checksums of all pages of a view. */
  async tableOf(view: DatabaseView, signal: AbortSignal): Promise<PageChecksums> {
    const table = new PageChecksums(view.pageSize)
    table.resize(view.commit)
    await view.checksums((page, high, low) => table.set(page, high, low), signal)
    return table
  }

  /** Stores a view as the snapshot of a transaction. Errors: `E_CHECKSUM`, `E_STORAGE`…, `E_FENCED`. */
  async store(
    view: DatabaseView,
    point: SnapshotPoint,
    signal: AbortSignal,
  ): Promise<{ file: StoredFile; facts: FileFacts }> {
    const header = snapshotHeader(view, point, this.#checksums)
    const encode = () => this.#maker.encode(header, new ViewPages(view, point.checksum))
    return await putSnapshot(this.#uploader, this.#database, point, encode, AbortSignal.any([signal, view.signal]))
  }
}

/** The header of a whole database at a point. */
export function snapshotHeader(
  { pageSize, commit }: Pick<LtxHeader, 'pageSize' | 'commit'>,
  { txid, timestamp, checksum }: SnapshotPoint,
  checksums: ChecksumMode,
): LtxHeader {
  return {
    ...{ pageSize, commit, minTxid: 1, maxTxid: txid, timestamp, checksums, pre: 0n, post: checksum },
    ...{ walOffset: 0, walSize: 0, walSalt1: 0, walSalt2: 0, nodeId: 0n },
  }
}

/** Stores a snapshot that is made while it is stored, anew for each attempt. Errors: those of `encode`, `E_STORAGE`…, `E_FENCED`. */
export async function putSnapshot(
  uploader: Pick<Uploader, 'put'>,
  database: DatabaseInfo,
  { txid, timestamp, checksum, gapStart }: SnapshotPoint,
  encode: () => Promise<Encoded>,
  signal: AbortSignal,
): Promise<{ file: StoredFile; facts: FileFacts }> {
  const hashed = new HashedBody()
  const stream = await EncodedStream.begin(encode)
  const facts = (): FileFacts => ({
    ...{ timestamp, sha256: hashed.sha256 || undefined, pre: 0n, post: checksum },
    ...{ prev: undefined, codecs: stream.codecs, gapStart },
  })
  const file = await uploader.put({
    ...{ database, facts, size: undefined, timestamp, signal },
    file: { level: LEVEL_SNAPSHOT, minTxid: 1, maxTxid: txid },
    body: () => hashed.wrap(stream.body()),
  })
  return { file, facts: facts() }
}
