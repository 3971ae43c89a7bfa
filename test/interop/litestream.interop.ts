import Database from 'better-sqlite3'
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encode, merge } from '../helpers/ltx.js'
import { databaseStates, difference, ltxName, PAGE_SIZES } from './databases.js'
import { run } from './tools.js'

const START = Date.UTC(2026, 0, 2, 3, 4, 0)
const STEP = 10_000

/** When a transaction happened, in milliseconds; file replicas tell it by their mtime. */
function time(txid: number): number {
  return START + txid * STEP
}

for (const pageSize of PAGE_SIZES) {
  describe(`litestream restore from files of ours, ${pageSize}-byte pages`, () => {
    let folder: string
    let states: string[]
    let files: Uint8Array[]
    before(() => {
      folder = mkdtempSync(join(tmpdir(), 'walrust-litestream-'))
      states = databaseStates(folder, pageSize)
      files = states.map((state, i) => {
        const fields = { pageSize, minTxid: i + 1, maxTxid: i + 1, timestamp: time(i + 1), walOffset: 32 }
        const { header, pages } = difference(states[i - 1], state, fields)
        assert.ok(header.post !== 0n && header.checksums === 'portable', 'the chain is in the header')
        return encode(header, pages)
      })
    })
    after(() => rmSync(folder, { recursive: true, force: true }))

    /** Puts a file where Litestream keeps those of a level. */
    function put(replica: string, level: number, min: number, max: number, bytes: Uint8Array): void {
      const path = join(folder, replica, 'ltx', String(level))
      mkdirSync(path, { recursive: true })
      const file = join(path, ltxName(min, max))
      writeFileSync(file, bytes)
      utimesSync(file, time(max) / 1000, time(max) / 1000)
    }

    async function merged(first: number, last: number): Promise<Uint8Array> {
      return (await merge(files.slice(first - 1, last))).bytes
    }

    /** A replica with a snapshot at its beginning and each transaction after it. */
    function plainReplica(name: string): void {
      put(name, 9, 1, 1, files[0])
      files.forEach((bytes, i) => put(name, 0, i + 1, i + 1, bytes))
    }

    /** Restores and compares the file with the state after a transaction, before SQLite has ever opened it. */
    function assertRestores(replica: string, txid: number, ...flags: string[]): void {
      const out = join(folder, `${replica}-${txid}-${flags.join('')}.db`.replaceAll(':', ''))
      run('litestream', 'restore', ...flags, '-o', out, `file://${join(folder, replica)}`)
      assert.equal(Buffer.compare(readFileSync(out), readFileSync(states[txid - 1])), 0)
      const db = new Database(out, { readonly: true })
      assert.equal(db.pragma('integrity_check', { simple: true }), 'ok')
      db.close()
    }

    const hex = (txid: number) => txid.toString(16).padStart(16, '0')

    it('brings back the newest state', () => {
      plainReplica('newest')
      assertRestores('newest', states.length)
    })

    it('brings back every transaction', () => {
      plainReplica('txid')
      for (let txid = 1; txid <= states.length; txid++) assertRestores('txid', txid, '-txid', hex(txid))
    })

    it('brings back every moment', () => {
      plainReplica('timestamp')
      const between = (txid: number) => ['-timestamp', new Date(time(txid) + STEP / 2).toISOString()]
      for (let txid = 1; txid < states.length; txid++) assertRestores('timestamp', txid, ...between(txid))
      // Litestream has no answer for a moment after the last file, nor for one before the first.
      for (const txid of [0, states.length]) {
        assert.throws(() => assertRestores('timestamp', 1, ...between(txid)), /timestamp does not exist/)
      }
    })

    it('brings it back from merged levels, a later snapshot, and overlaps', async () => {
      put('levels', 9, 1, 2, await merged(1, 2))
      put('levels', 2, 2, 3, await merged(2, 3))
      put('levels', 1, 3, 4, await merged(3, 4))
      put('levels', 0, 5, 5, files[4])
      assertRestores('levels', 5)
      assertRestores('levels', 4, '-txid', hex(4))
      put('snapshot', 9, 1, 4, await merged(1, 4))
      put('snapshot', 0, 5, 5, files[4])
      assertRestores('snapshot', 5)
      put('whole', 9, 1, 5, await merged(1, 5))
      assertRestores('whole', 5)
    })

    it('refuses a replica with a damaged file: its word is worth something', () => {
      plainReplica('damaged')
      const bytes = files[3].slice()
      bytes[bytes.length - 30] ^= 1
      put('damaged', 0, 4, 4, bytes)
      const out = join(folder, 'damaged.db')
      assert.throws(() => run('litestream', 'restore', '-o', out, `file://${join(folder, 'damaged')}`))
      assert.ok(!existsSync(out))
    })
  })
}
