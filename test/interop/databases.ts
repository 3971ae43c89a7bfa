import Database from 'better-sqlite3'
import { copyFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { LtxHeader } from '../../core/ltx/index.js'
import { header, type Pages } from '../helpers/ltx.js'
import { slowDatabaseChecksum } from '../helpers/ltx-slow.js'

export const PAGE_SIZES = [512, 4096, 65536]

/** Rows that LZ4 can make something of, from `first` to `last`. */
function rows(first: number, last: number): string {
  return `WITH n (i) AS (VALUES (${first}) UNION ALL SELECT i + 1 FROM n WHERE i < ${last})
    INSERT INTO t (id, v) SELECT i, printf('row %d, %s', i, hex(randomblob(6))) FROM n`
}

const changes = [
  `CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); ${rows(1, 60)}`,
  "UPDATE t SET v = 'changed' WHERE id = 50",
  'INSERT INTO t (id, v) VALUES (100, randomblob(3000))',
  'DELETE FROM t WHERE id > 20; VACUUM',
  rows(101, 130),
]

/** One copy of a database after each of a few changes, made in rollback mode so that the file is all there is. */
export function databaseStates(folder: string, pageSize: number): string[] {
  const live = join(folder, `live-${pageSize}.db`)
  const db = new Database(live)
  db.pragma(`page_size = ${pageSize}`)
  const files = changes.map((sql, i) => {
    db.exec(sql)
    const file = join(folder, `state-${pageSize}-${i + 1}.db`)
    copyFileSync(live, file)
    return file
  })
  db.close()
  return files
}

/** A database file before and after a transaction, as the transaction's header and pages. */
export function difference(
  before: string | undefined,
  after: string,
  fields: Pick<LtxHeader, 'pageSize' | 'minTxid' | 'maxTxid'> & Partial<LtxHeader>,
): { header: LtxHeader; pages: Pages } {
  const { pageSize } = fields
  const old = before === undefined ? new Uint8Array(0) : new Uint8Array(readFileSync(before))
  const now = new Uint8Array(readFileSync(after))
  const commit = now.length / pageSize
  const pages: Pages = new Map()
  for (let page = 1; page <= commit; page++) {
    const [start, end] = [(page - 1) * pageSize, page * pageSize]
    const data = now.subarray(start, end)
    if (Buffer.compare(data, old.subarray(start, end)) !== 0) pages.set(page, data)
  }
  const pre = before === undefined ? 0n : slowDatabaseChecksum(old, pageSize)
  return { header: header({ commit, pre, post: slowDatabaseChecksum(now, pageSize), ...fields }), pages }
}

/** The name of an LTX file. */
export function ltxName(min: number, max: number): string {
  return `${min.toString(16).padStart(16, '0')}-${max.toString(16).padStart(16, '0')}.ltx`
}
