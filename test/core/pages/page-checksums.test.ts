import assert from 'node:assert/strict'
import { PageChecksums } from '../../../core/pages/page-checksums.js'
import { Random } from '../../helpers/ltx-random.js'

const FLAG = 1n << 63n

/** The database checksum by its definition: xor of all page checksums, top bit on. */
function slow(entries: ReadonlyMap<number, readonly [number, number]>): bigint {
  let sum = 0n
  for (const [high, low] of entries.values()) sum ^= (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)
  return sum | FLAG
}

describe('page checksums', () => {
  it('of an empty database are just the top bit', () => {
    assert.equal(new PageChecksums(4096).checksum, FLAG)
  })

  it('keep the checksum of the whole database through sets, growth and shrinking', () => {
    const random = new Random(7)
    const table = new PageChecksums(512)
    const entries = new Map<number, readonly [number, number]>()
    for (let i = 0; i < 3000; i++) {
      if (random.chance(0.05)) {
        // Across the borders of chunks and of blocks, too.
        const commit = random.pick([0, 1, 511, 512, 513, 65535, 65536, 65537, 131073, random.below(140_000)])
        table.resize(commit)
        for (const page of entries.keys()) if (page > commit) entries.delete(page)
      }
      if (table.commit === 0) continue
      const page = random.between(1, table.commit)
      const entry = [random.word(), random.word()] as const
      table.set(page, ...entry)
      entries.set(page, entry)
      if (i % 100 === 0) assert.equal(table.checksum, slow(entries))
    }
    assert.equal(table.checksum, slow(entries))
    for (const [page, [high, low]] of entries) assert.ok(table.matches(page, high, low))
  })

  it('forget pages that were cut off: grown again they are new', () => {
    const table = new PageChecksums(512)
    table.resize(10)
    table.set(9, 1, 2)
    table.resize(5)
    assert.equal(table.high(9), 0)
    table.resize(10)
    assert.ok(table.matches(9, 0, 0))
    assert.equal(table.checksum, FLAG)
  })

  it('take as much memory as the database is large, and keep what is there when that grows', () => {
    const table = new PageChecksums(512)
    const takes = () => table.entryBytes(0, 1).buffer.byteLength
    table.put(1, 1, 1)
    assert.equal(takes(), 4096)
    for (let page = 2; page <= 70_000; page++) table.put(page, page, page + 1)
    assert.equal(takes(), 512 * 1024)
    for (let page = 2; page <= 70_000; page++) assert.ok(table.matches(page, page, page + 1), `page ${page}`)
    table.resize(3)
    table.resize(1000)
    assert.ok(table.matches(3, 3, 4) && table.matches(4, 0, 0) && table.matches(1000, 0, 0))
    const other = new PageChecksums(512)
    other.resize(65_537)
    assert.equal(other.entryBytes(0, 1).buffer.byteLength, 512 * 1024)
  })

  it('refuse a page beyond the end', () => {
    const table = new PageChecksums(512)
    table.resize(3)
    assert.throws(() => table.set(4, 1, 1), RangeError)
  })

  it('tell once which runs of blocks have changed, with the few between them that have not', () => {
    const table = new PageChecksums(512)
    table.resize(200_000)
    table.takeDirty(() => undefined)
    for (const page of [1, 513, 3 * 512 + 1, 60_000, 200_000]) table.set(page, 1, 1)
    const runs: number[][] = []
    table.takeDirty((first, entries) => runs.push([first, entries]))
    assert.deepEqual(runs, [
      [0, 4 * 512],
      [117 * 512, 512],
      [390 * 512, 200_000 - 390 * 512],
    ])
    table.takeDirty(() => assert.fail('taken twice'))
  })

  it('show entries as they are saved, up to the end of a chunk', () => {
    const table = new PageChecksums(512)
    table.resize(70_000)
    table.set(65_536, 7, 9)
    assert.deepEqual([...new Uint32Array(table.entryBytes(65_535, 3).slice().buffer)], [7, 9])
    table.set(65_537, 1, 2)
    assert.deepEqual([...new Uint32Array(table.entryBytes(65_536, 2).slice().buffer)], [1, 2, 0, 0])
  })
})
