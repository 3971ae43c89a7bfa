import Database from 'better-sqlite3'
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type FileId, fileKey, fileName, LEVEL_SHIPPED, LEVEL_SNAPSHOT } from '../../core/object-keys.js'
import { checksumOfBytes } from './databases.js'
import { encode, header, merge, type Pages } from './ltx.js'

/**
 * A backup in a folder, written without the engine: a real database, and after each change the pages that differ as the
 * next file of level 0. Anything can then be done to it that compaction, retention or an accident does.
 */
export class Chain {
  readonly #database: Database.Database
  readonly #path: string
  readonly #states: string[] = []

  /**
   * @param folder of the store
   * @param scratch folder for the database and its states
   */
  constructor(
    readonly folder: string,
    readonly scratch: string,
    readonly name = 'app',
    pageSize = 4096,
  ) {
    mkdirSync(scratch, { recursive: true })
    mkdirSync(folder, { recursive: true })
    this.#path = join(scratch, `${name}-live.db`)
    this.#database = new Database(this.#path)
    this.#database.pragma(`page_size = ${pageSize}`)
    this.#database.pragma('journal_mode = WAL')
  }

  get txid(): number {
    return this.#states.length
  }

  /** File with the database as it was at a transaction, byte for byte. */
  state(txid = this.txid): string {
    return this.#states[txid - 1]
  }

  /** Changes the database and ships that. The first file is a snapshot. Returns its transaction. */
  commit(sql: string): number {
    this.#database.exec(sql)
    this.#take()
    const { txid } = this
    if (txid === 1) this.snapshot()
    else this.put({ level: LEVEL_SHIPPED, minTxid: txid, maxTxid: txid }, this.#encoded(txid - 1, txid))
    return txid
  }

  /** Gives the database another page size: the next transaction is a snapshot. */
  changePageSize(pageSize: number): number {
    const db = this.#database
    db.pragma('journal_mode = DELETE')
    db.pragma(`page_size = ${pageSize}`)
    db.exec('VACUUM')
    db.pragma('journal_mode = WAL')
    this.#take()
    this.snapshot()
    return this.txid
  }

  /** Stores a snapshot of a transaction. */
  snapshot(txid = this.txid): void {
    this.put({ level: LEVEL_SNAPSHOT, minTxid: 1, maxTxid: txid }, this.#encoded(undefined, txid))
  }

  /** Merges files of level 0 into one of a higher level. */
  async compact(level: number, minTxid: number, maxTxid: number): Promise<void> {
    const files = Array.from({ length: maxTxid - minTxid + 1 }, (_, i) => this.bytes(minTxid + i))
    this.put({ level, minTxid, maxTxid }, (await merge(files)).bytes)
  }

  /** Bytes of a file of level 0. */
  bytes(txid: number): Uint8Array {
    return readFileSync(this.file({ level: LEVEL_SHIPPED, minTxid: txid, maxTxid: txid }))
  }

  file(id: FileId): string {
    return join(this.folder, fileKey('nested', this.name, id))
  }

  shipped(txid: number): string {
    return this.file({ level: LEVEL_SHIPPED, minTxid: txid, maxTxid: txid })
  }

  put(id: FileId, bytes: Uint8Array): void {
    mkdirSync(dirname(this.file(id)), { recursive: true })
    writeFileSync(this.file(id), bytes)
  }

  remove(...txids: number[]): void {
    for (const txid of txids) rmSync(this.shipped(txid))
  }

  removeSnapshot(txid: number): void {
    rmSync(this.file({ level: LEVEL_SNAPSHOT, minTxid: 1, maxTxid: txid }))
  }

  levels(): Record<string, string[]> {
    const root = join(this.folder, this.name, 'ltx')
    return Object.fromEntries(readdirSync(root).map((level) => [level, readdirSync(join(root, level)).sort()]))
  }

  close(): void {
    this.#database.close()
  }

  #take(): void {
    this.#database.pragma('wal_checkpoint(TRUNCATE)')
    const state = join(this.scratch, fileName({ minTxid: this.txid + 1, maxTxid: this.txid + 1 }))
    copyFileSync(this.#path, state)
    this.#states.push(state)
  }

  /** The pages that differ from those of an earlier transaction; all of them without one. */
  #encoded(before: number | undefined, txid: number): Uint8Array {
    const pageSize = this.#database.pragma('page_size', { simple: true }) as number
    const old = before === undefined ? Buffer.alloc(0) : readFileSync(this.state(before))
    const now = readFileSync(this.state(txid))
    const commit = now.length / pageSize
    const pages: Pages = new Map()
    for (let page = 1; page <= commit; page++) {
      const [start, end] = [(page - 1) * pageSize, page * pageSize]
      const data = now.subarray(start, end)
      if (Buffer.compare(data, old.subarray(start, end)) !== 0) pages.set(page, data)
    }
    const sum = (bytes: Buffer) => BigInt(`0x${checksumOfBytes(bytes, pageSize, bytes.length / pageSize)}`)
    const pre = before === undefined ? 0n : sum(old)
    const minTxid = before === undefined ? 1 : txid
    const ids = { minTxid, maxTxid: txid, timestamp: Date.now() }
    return encode(header({ pageSize, commit, pre, post: sum(now), ...ids }), pages)
  }
}
