/**
 * A month of a database's life in storage, made in a minute: commits of a real SQLite database, each as the file that
 * shipping would have made of it, at the moments at which they would have been observed; then merged and thinned out by
 * the code that `watch` runs, up to now.
 */
import Database from 'better-sqlite3'
import { createHash } from 'node:crypto'
import { closeSync, openSync, readSync, fstatSync } from 'node:fs'
import { Upkeep } from '../../core/compact/upkeep.js'
import { Host } from '../../core/host.js'
import { SILENT } from '../../core/log.js'
import { DatabaseChecksum, lockPage, LtxEncoder, pageChecksum } from '../../core/ltx/index.js'
import { Remote } from '../../core/remote.js'
import { DEFAULT_SETTINGS } from '../../core/settings.js'
import { retentionGfs } from '../../plugins/retention-gfs/index.js'
import { storageFile } from '../../plugins/storage-file/index.js'
import { markOf, ordinaryRow, prepare } from './writer.js'
import { bodyOf } from '../../core/store-rules.js'

const [SECOND, MINUTE, HOUR, DAY] = [1000, 60_000, 3_600_000, 86_400_000]

/** From when before now on how often there was a commit, and how many rows it changed: about as many as an application changes in that time. */
const SPANS = [
  { from: 30 * DAY, every: HOUR, rows: 400 },
  { from: DAY, every: 5 * MINUTE, rows: 100 },
  { from: HOUR, every: 30 * SECOND, rows: 20 },
  { from: 5 * MINUTE, every: SECOND, rows: 3 },
] as const

export interface Month {
  commits: number
  /** Files that lie there. */
  files: number
  /** Milliseconds since the epoch: ten days ago. */
  middle: number
}

/** Makes the database and its backup, called `app`, in a folder. The backup ends in the state that the database has. */
export async function makeMonth(path: string, folder: string, bytes: number, thin = 1): Promise<Month> {
  const host = new Host(SILENT)
  host.use(storageFile())
  host.use(retentionGfs())
  const remote = new Remote(await host.store(`file://${folder}`), 'app', host.hooks)
  prepare(path, bytes)
  const maker = new Maker(path, remote)
  const now = Date.now()
  let commits = 0
  await maker.ship(now - 30 * DAY)
  for (const [index, { from, every, rows }] of SPANS.entries()) {
    const end = SPANS.at(index + 1)?.from ?? 0
    for (let ago = from - every; ago >= end + (end === 0 ? 2 * SECOND : 0); ago -= every * thin) {
      maker.change(++commits, rows)
      await maker.ship(now - ago)
    }
  }
  maker.close()
  const parts = {
    ...{ remote, hooks: host.hooks, log: SILENT, folder: `${path}-scratch`, now: () => now },
    database: { name: 'app', path, stateDir: `${path}-scratch` },
    ...{ compaction: DEFAULT_SETTINGS.compaction, retention: DEFAULT_SETTINGS.retention },
  }
  const upkeep = new Upkeep(parts, await remote.inventory())
  for (let pass = 0; pass < 20; pass++) {
    const { merged, removed } = await upkeep.run(true, new AbortController().signal)
    if (merged.length + removed.length === 0) break
  }
  return { commits, files: upkeep.inventory.size, middle: now - 10 * DAY }
}

class Maker {
  readonly #db: Database.Database
  #pages: Buffer = Buffer.alloc(0)
  readonly #sum = new DatabaseChecksum()
  #txid = 0
  #prev: string | undefined
  readonly #pageSize: number
  readonly #rows: number

  constructor(
    readonly path: string,
    readonly remote: Remote,
  ) {
    this.#db = new Database(path)
    // Then the file is all there is.
    this.#db.pragma('journal_mode = DELETE')
    this.#db.pragma('synchronous = OFF')
    this.#pageSize = this.#db.pragma('page_size', { simple: true }) as number
    this.#rows = this.#db.prepare('SELECT max(id) FROM rows').pluck().get() as number
  }

  close(): void {
    this.#db.pragma('journal_mode = WAL')
    this.#db.close()
  }

  change(commit: number, rows: number): void {
    const update = this.#db.prepare('UPDATE rows SET body = ? WHERE id = ?')
    this.#db.transaction(() => {
      for (let i = 0; i < rows; i++) update.run(ordinaryRow(1000), 1 + Math.floor(Math.random() * this.#rows))
      this.#db.prepare('UPDATE mark SET mark = ?').run(markOf(commit))
    })()
  }

  /** Stores what has changed as the next transaction; the first is a snapshot. */
  async ship(time: number): Promise<void> {
    const size = this.#pageSize
    const before = this.#pages
    const pre = this.#sum.value
    const now = readAll(this.path)
    const changed: number[] = []
    for (let page = 1, at = 0; at < now.length; page++, at += size) {
      if (page === lockPage(size)) continue
      const old = at < before.length ? before.subarray(at, at + size) : undefined
      if (old && now.compare(before, at, at + size, at, at + size) === 0) continue
      changed.push(page)
      for (const bytes of [old, now.subarray(at, at + size)]) {
        if (!bytes) continue
        const value = pageChecksum(page, bytes)
        this.#sum.toggle(Number(value >> 32n), Number(value & 0xffffffffn))
      }
    }
    this.#pages = now
    const txid = ++this.#txid
    const level = txid === 1 ? 9 : 0
    const parts: Buffer[] = []
    const encoder = new LtxEncoder((bytes) => parts.push(Buffer.from(bytes)))
    const post = this.#sum.value
    const first = txid === 1
    encoder.begin({
      ...{ pageSize: size, commit: now.length / size, minTxid: txid, maxTxid: txid, timestamp: time },
      checksums: 'portable',
      ...{ pre: first ? 0n : pre, post },
      ...{ walOffset: first ? 0 : 32, walSize: 0, walSalt1: 0, walSalt2: 0, nodeId: 0n },
    })
    for (const page of changed) encoder.page(page, now.subarray((page - 1) * size, page * size))
    encoder.end()
    const bytes = Buffer.concat(parts)
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    const facts = { timestamp: time, sha256, pre: first ? 0n : pre, post, prev: this.#prev, codecs: [], gapStart: undefined } // prettier-ignore
    this.#prev = sha256
    await this.remote.put({
      database: { name: 'app', path: this.path, stateDir: '' },
      file: { level, minTxid: txid, maxTxid: txid },
      body: () => bodyOf(bytes),
      facts: () => facts,
      size: bytes.length,
      timestamp: time,
      signal: new AbortController().signal,
    })
  }
}

/** The whole file. SQLite holds no lock between statements here, so that closing the descriptor takes none away. */
function readAll(path: string): Buffer {
  const descriptor = openSync(path, 'r')
  try {
    const bytes = Buffer.allocUnsafeSlow(fstatSync(descriptor).size)
    for (let at = 0; at < bytes.length;) at += readSync(descriptor, bytes, at, bytes.length - at, at)
    return bytes
  } finally {
    closeSync(descriptor)
  }
}
