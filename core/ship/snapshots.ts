import type { FileFacts } from '../facts.js'
import type { DatabaseInfo } from '../hooks.js'
import type { StoredFile } from '../inventory.js'
import type { ChecksumMode, LtxHeader } from '../ltx/header.js'
import { LEVEL_SNAPSHOT } from '../object-keys.js'
import type { DatabaseView } from '../pages/database-view.js'
import { PageChecksums } from '../pages/page-checksums.js'
import { ViewPages } from '../pages/view-pages.js'
import { EncodedStream } from './encoded-stream.js'
import type { FileMaker } from './file-maker.js'
import { HashedBody } from '../hashing.js'
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
    const header: LtxHeader = {
      pageSize: view.pageSize,
      commit: view.commit,
      minTxid: 1,
      maxTxid: point.txid,
      timestamp: point.timestamp,
      checksums: this.#checksums,
      pre: 0n,
      post: point.checksum,
      walOffset: 0,
      walSize: 0,
      walSalt1: 0,
      walSalt2: 0,
      nodeId: 0n,
    }
    const hashed = new HashedBody()
    const stream = await EncodedStream.begin(() => this.#maker.encode(header, new ViewPages(view, point.checksum)))
    const facts = (): FileFacts => ({
      timestamp: point.timestamp,
      sha256: hashed.sha256 || undefined,
      pre: 0n,
      post: point.checksum,
      prev: undefined,
      codecs: stream.codecs,
      gapStart: point.gapStart,
    })
    const file = await this.#uploader.put({
      database: this.#database,
      file: { level: LEVEL_SNAPSHOT, minTxid: 1, maxTxid: point.txid },
      body: () => hashed.wrap(stream.body()),
      facts,
      size: undefined,
      timestamp: point.timestamp,
      signal: AbortSignal.any([signal, view.signal]),
    })
    return { file, facts: facts() }
  }
}
