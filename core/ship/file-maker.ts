import { WalrustError } from '../errors.js'
import type { FileFacts } from '../facts.js'
import type { DatabaseInfo, EncodeRequest, Hooks } from '../hooks.js'
import type { ChecksumMode, LtxHeader } from '../ltx/header.js'
import type { PageSet } from '../pages/page-set.js'
import type { Position } from '../spool/position-file.js'
import { type Encoded, encodeThrough } from '../stages/encode.js'
import type { SpooledFile } from '../spool/spool.js'
import type { LogPosition, WalPosition } from '../wal/position.js'
import { applyChecksums, checksumAfter } from './checksum-delta.js'
import type { Remote } from '../remote.js'
import type { LocalState } from './local-state.js'
import { proveCodecs } from './prove-codecs.js'

/** A file in the spool that storage has not confirmed. */
export interface Staged {
  file: SpooledFile
  facts: FileFacts
}

/** Where a file ends, and what is to be said of it. */
export interface FileEnd {
  at: LogPosition
  proof: WalPosition | undefined
  /** When its newest commit was first seen, milliseconds since the epoch. */
  observed: number
  gapStart?: number
  /** Make a file even if it holds nothing new. */
  always?: boolean
}

/** A WAL header starts where Litestream expects the first frame of a file it did not write itself. */
const WAL_START = 32

/** Makes the next file of a chain out of changed pages: dedup, encode, spool, position, in this order. */
export class FileMaker {
  readonly #database: DatabaseInfo
  readonly #local: LocalState
  readonly #hooks: Hooks
  readonly #checksums: ChecksumMode
  readonly #remote: Pick<Remote, 'unwrap'>
  /** The transforms that were seen to give back what they were given. */
  #proved = ''

  constructor(
    database: DatabaseInfo,
    local: LocalState,
    hooks: Hooks,
    checksums: ChecksumMode,
    remote: Pick<Remote, 'unwrap'>,
  ) {
    this.#database = database
    this.#local = local
    this.#hooks = hooks
    this.#checksums = checksums
    this.#remote = remote
  }

  /**
   * Takes `pages` into the spool as the next transaction, and moves the position there.
   *
   * @returns the file, or `undefined` if the pages are what storage holds already: then only the position moves, unless
   * there is to be a file in any case
   */
  async make(pages: PageSet, end: FileEnd): Promise<Staged | undefined> {
    const { position, table } = this.#local
    if (!position || !table) throw new WalrustError('E_INTERNAL', 'a file was to be made without a position')
    const all = checksumAfter(table, pages)
    const kept = await this.#hooks.pageDedup.promise(pages, { database: this.#database, stored: table })
    const delta = checksumAfter(table, kept)
    if (delta.checksum !== all.checksum) {
      throw new WalrustError('E_HOOK', 'a plugin left out pages that had changed', { hook: 'pageDedup' })
    }
    if (delta.pages === 0 && kept.commit === table.commit && !end.always) {
      await this.#local.writePosition({ ...position, log: end.at, proof: end.proof })
      return undefined
    }
    return await this.#write(kept, delta.checksum, position, end)
  }

  async #write(pages: PageSet, checksum: bigint, before: Position, end: FileEnd): Promise<Staged> {
    const header: LtxHeader = {
      pageSize: pages.pageSize,
      commit: pages.commit,
      minTxid: before.txid + 1,
      maxTxid: before.txid + 1,
      timestamp: Math.max(end.observed, before.timestamp + 1),
      // A tracked file has to say what it follows; after files of another tool that is not always known.
      checksums: before.checksum === 0n ? 'portable' : this.#checksums,
      pre: before.checksum,
      post: checksum,
      walOffset: WAL_START,
      walSize: 0,
      walSalt1: 0,
      walSalt2: 0,
      nodeId: 0n,
    }
    const { body, codecs } = await this.encode(header, pages)
    const { file, sha256 } = await this.#local.spool.write(header.maxTxid, body)
    const position: Position = {
      txid: header.maxTxid,
      sha256,
      prev: before.sha256 || undefined,
      pre: header.pre,
      checksum,
      commit: header.commit,
      pageSize: header.pageSize,
      timestamp: header.timestamp,
      log: end.at,
      proof: end.proof,
      codecs,
      gapStart: end.gapStart,
    }
    try {
      await this.#local.writePosition(position)
    } catch (error) {
      // The file is made anew, with whatever has come since; it was not uploaded.
      await this.#local.spool.remove(file)
      throw error
    }
    const { table } = this.#local
    if (table) applyChecksums(table, pages)
    return { file, facts: factsOf(position) }
  }

  /** The bytes of a file as they will lie in storage. */
  async encode(header: LtxHeader, pages: PageSet): Promise<Encoded> {
    const request: EncodeRequest = { database: this.#database, header, pages, body: undefined, codecs: [] }
    const { body, codecs } = await encodeThrough(this.#hooks, request)
    if (codecs.length > 0 && codecs.join() !== this.#proved) {
      await proveCodecs(this.#database, header, this.#hooks, this.#remote)
      this.#proved = codecs.join()
    }
    return { body, codecs }
  }
}

/** What is said of the file at a position, in its metadata. */
export function factsOf(position: Position): FileFacts {
  const { timestamp, sha256, pre, checksum, prev, codecs, gapStart } = position
  return { timestamp, sha256, pre, post: checksum, prev, codecs, gapStart }
}
