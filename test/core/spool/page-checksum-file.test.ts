import assert from 'node:assert/strict'
import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { PageChecksums } from '../../../core/pages/page-checksums.js'
import { PageChecksumFile } from '../../../core/spool/page-checksum-file.js'
import { Random } from '../../helpers/ltx-random.js'
import { useFolder } from '../../helpers/databases.js'

const HEADER = 4096

function filled(commit: number, seed = 1): PageChecksums {
  const random = new Random(seed)
  const table = new PageChecksums(4096)
  table.resize(commit)
  for (let page = 1; page <= commit; page++) table.set(page, random.word(), random.word())
  return table
}

function assertSame(actual: PageChecksums | undefined, expected: PageChecksums): void {
  assert.ok(actual)
  assert.equal(actual.commit, expected.commit)
  assert.equal(actual.checksum, expected.checksum)
  for (let page = 1; page <= expected.commit; page++) {
    assert.ok(actual.matches(page, expected.high(page), expected.low(page)), `page ${page}`)
  }
}

describe('page checksums on disk', () => {
  const folder = useFolder()
  const path = () => folder.file('pages.crc')

  async function saved(table: PageChecksums, txid: number): Promise<void> {
    const file = new PageChecksumFile(path())
    await file.save(table, txid)
    await file.close()
  }
  const load = () => new PageChecksumFile(path()).load()

  it('come back as they were, at every size and after shrinking', async () => {
    const file = new PageChecksumFile(path())
    let txid = 0
    for (const commit of [0, 1, 511, 512, 513, 70_000, 600, 5]) {
      const table = filled(commit, commit + 1)
      await file.save(table, ++txid)
      const loaded = await load()
      assert.equal(loaded?.txid, txid)
      assertSame(loaded.table, table)
      assert.equal(statSync(path()).size, HEADER + commit * 8)
    }
    await file.close()
  })

  it('are written block by block: saving a small change does not write the whole table', async () => {
    const table = filled(100_000)
    const file = new PageChecksumFile(path())
    await file.save(table, 1)
    const before = readFileSync(path())
    // What is not written again keeps what somebody else put there.
    const foreign = HEADER + 50_000 * 8
    writeFileSync(path(), Buffer.concat([before.subarray(0, foreign), Buffer.from([1, 2, 3, 4]), before.subarray(foreign + 4)])) // prettier-ignore
    table.set(3, 7, 8)
    await file.save(table, 2)
    await file.close()
    const after = readFileSync(path())
    assert.deepEqual([...after.subarray(foreign, foreign + 4)], [1, 2, 3, 4])
    assert.equal(after.readUInt32LE(HEADER + 2 * 8), 7)
  })

  it('after a kill between the entries and the header are those of the header once later files are applied', async () => {
    const table = filled(2000)
    await saved(table, 5)
    const oldHeader = readFileSync(path()).subarray(0, HEADER)
    const changes: Array<[number, number, number]> = [
      [1, 1, 1],
      [700, 2, 2],
      [2000, 3, 3],
    ]
    for (const change of changes) table.set(...change)
    await saved(table, 6)
    writeFileSync(path(), Buffer.concat([oldHeader, readFileSync(path()).subarray(HEADER)]))
    const loaded = await load()
    assert.equal(loaded?.txid, 5)
    // As it lies there it is the table of no transaction, and says so by its checksum.
    assert.notEqual(loaded.table.checksum, filled(2000).checksum)
    for (const change of changes) loaded.table.set(...change)
    assertSame(loaded.table, table)
  })

  it('count as not there when anything is wrong with them', async () => {
    await saved(filled(1000), 3)
    const good = readFileSync(path())
    const damages: Array<[string, () => void]> = [
      ['empty', () => writeFileSync(path(), '')],
      ['a header alone', () => truncateSync(path(), HEADER)],
      ['an entry short', () => truncateSync(path(), good.length - 1)],
      ['of another version', () => writeFileSync(path(), Buffer.concat([good.subarray(0, 4), Buffer.from([2]), good.subarray(5)]))], // prettier-ignore
    ]
    for (let byte = 0; byte < 40; byte++) {
      damages.push([`byte ${byte} of the header`, () => {
        const bad = Buffer.from(good)
        bad[byte] ^= 0x10
        writeFileSync(path(), bad)
      }]) // prettier-ignore
    }
    for (const [what, damage] of damages) {
      damage()
      assert.equal(await load(), undefined, what)
    }
    writeFileSync(path(), good)
    assert.ok(await load())
  })

  it('that promise more than the file holds allocate nothing', async () => {
    await saved(filled(10), 3)
    const file = readFileSync(path())
    file.writeUInt32LE(0xffffffff, 12)
    writeFileSync(path(), file)
    assert.equal(await load(), undefined)
  })
})
