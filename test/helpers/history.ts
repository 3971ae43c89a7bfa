import Database from 'better-sqlite3'
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { DatabaseChecksum, LtxEncoder, lockPage, pageChecksum } from '../../core/ltx/index.js'
import type { ChecksumMode, LtxHeader } from '../../core/ltx/index.js'
import type { StoredFile } from '../../core/inventory.js'
import type { Remote } from '../../core/remote.js'
import { planRestore } from '../../core/restore/plan.js'
import { restore, type RestoreResult } from '../../core/restore/restore.js'
import { bodyOf } from '../../core/store-rules.js'

/** What a point of a history must restore to. */
export interface KnownPoint {
  txid: number
  /** Milliseconds since the epoch. */
  time: number
  checksum: bigint
  /** The rows there, as their sum and their number. */
  rows: string
}

/**
 * A history in storage that was never watched: commits of a real SQLite database, at whatever times a test likes, each
 * written as the file that shipping would have made of it.
 */
export class History {
  readonly points: KnownPoint[] = []
  readonly #db: Database.Database
  #pages: Buffer[] = []
  #checksum = 0n
  #prev: string | undefined

  constructor(
    readonly remote: Remote,
    readonly path: string,
    readonly options: { pageSize?: number; checksums?: ChecksumMode } = {},
  ) {
    this.#db = new Database(path)
    this.#db.pragma(`page_size = ${options.pageSize ?? 512}`)
    this.#db.pragma('journal_mode = DELETE')
    this.#db.pragma('synchronous = OFF')
    this.#db.exec('CREATE TABLE rows(n INTEGER PRIMARY KEY, body BLOB)')
  }

  get last(): KnownPoint | undefined {
    return this.points.at(-1)
  }

  /** Commits one row more and an update of an old one, or what is given, and stores what changed. */
  async commit(time: number, change?: string, gapStart?: number): Promise<StoredFile> {
    const txid = this.points.length + 1
    if (change !== undefined) this.#db.exec(change)
    else {
      this.#db.prepare('INSERT INTO rows VALUES (?, randomblob(60))').run(txid)
      if (txid % 3 === 0)
        this.#db.prepare('UPDATE rows SET body = randomblob(60) WHERE n = ?').run(1 + ((txid * 7) % txid))
      if (txid % 5 > 0) this.#db.prepare('DELETE FROM rows WHERE n IN (?, ?)').run(txid - 4, txid - 60)
    }
    const before = this.#pages
    const beforeChecksum = this.#checksum
    this.#read()
    this.points.push({ txid, time, checksum: this.#checksum, rows: rowsOf(this.#db) })
    if (txid === 1)
      return await this.#put(
        9,
        time,
        this.#pages.map((_, i) => i + 1),
        0n,
      )
    const sameSize = before[0]?.length === this.#pages[0].length
    const changed = this.#pages.flatMap((page, i) => (sameSize && before.at(i)?.equals(page) ? [] : [i + 1]))
    return await this.#put(0, time, changed, beforeChecksum, gapStart)
  }

  /** Stores the state as it is as a snapshot. */
  async snapshot(): Promise<StoredFile> {
    return await this.#put(
      9,
      this.last?.time ?? 0,
      this.#pages.map((_, i) => i + 1),
      0n,
    )
  }

  close(): void {
    this.#db.close()
  }

  #read(): void {
    const pageSize = this.#db.pragma('page_size', { simple: true }) as number
    // The connection holds no lock between statements, so that reading the file here takes none away.
    const bytes = readFileSync(this.path)
    const sum = new DatabaseChecksum()
    this.#pages = []
    for (let at = 0; at < bytes.length; at += pageSize) {
      const page = bytes.subarray(at, at + pageSize)
      this.#pages.push(page)
      if (this.#pages.length === lockPage(pageSize)) continue
      const value = pageChecksum(this.#pages.length, page)
      sum.toggle(Number(value >> 32n), Number(value & 0xffffffffn))
    }
    this.#checksum = sum.value
  }

  async #put(level: number, time: number, pages: number[], pre: bigint, gapStart?: number): Promise<StoredFile> {
    const txid = this.points.length
    const checksums = this.options.checksums ?? 'portable'
    const header: LtxHeader = {
      pageSize: this.#pages[0].length,
      commit: this.#pages.length,
      minTxid: level === 9 ? 1 : txid,
      maxTxid: txid,
      timestamp: time,
      checksums,
      pre,
      post: this.#checksum,
      walOffset: level === 9 ? 0 : 32,
      walSize: 0,
      walSalt1: 0,
      walSalt2: 0,
      nodeId: 0n,
    }
    const parts: Buffer[] = []
    const encoder = new LtxEncoder((bytes) => parts.push(Buffer.from(bytes)))
    encoder.begin(header)
    for (const page of pages) encoder.page(page, this.#pages[page - 1])
    encoder.end()
    const bytes = Buffer.concat(parts)
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    const prev = level === 0 ? this.#prev : undefined
    if (level === 0 || txid === 1) this.#prev = sha256
    const facts = { timestamp: time, sha256, pre, post: this.#checksum, prev, codecs: [], gapStart }
    return await this.remote.put({
      database: { name: this.remote.name, path: this.path, stateDir: '' },
      file: { level, minTxid: header.minTxid, maxTxid: txid },
      body: () => bodyOf(bytes),
      facts: () => facts,
      size: bytes.length,
      timestamp: time,
      signal: new AbortController().signal,
    })
  }
}

/** Restores a point and holds it against what it must be. */
export async function checkPoint(remote: Remote, point: KnownPoint, target: string): Promise<number> {
  const plan = planRestore(await remote.inventory(), point.txid, remote.name)
  const result = await restore(remote, plan, { target, force: true, integrityCheck: 'quick' })
  assertState(target, result, point)
  return plan.files.length
}

/** Holds what was restored to a file against what it must be. */
export function assertState(target: string, result: RestoreResult, point: KnownPoint): void {
  assert.equal(result.checksum, point.checksum, `transaction ${point.txid}`)
  assert.equal(result.timestamp, point.time, `transaction ${point.txid}`)
  const db = new Database(target)
  try {
    assert.equal(rowsOf(db), point.rows, `transaction ${point.txid}`)
  } finally {
    db.close()
  }
}

function rowsOf(db: Database.Database): string {
  return String(db.prepare("SELECT count(*) || '/' || coalesce(sum(n), 0) FROM rows").pluck().get())
}
