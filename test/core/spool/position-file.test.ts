import assert from 'node:assert/strict'
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { type Position, PositionFile } from '../../../core/spool/position-file.js'
import { useFolder } from '../../helpers/databases.js'

const position: Position = {
  txid: 2 ** 40,
  sha256: 'ab'.repeat(32),
  pre: (1n << 63n) | 5n,
  checksum: 0xffff_ffff_ffff_ffffn,
  commit: 17,
  pageSize: 65536,
  timestamp: 1_700_000_000_123,
  log: { generation: 3, frame: 99 },
  proof: { salt1: 0xffffffff, salt2: 1, frame: 99, s1: 0xdeadbeef, s2: 2 },
  codecs: ['a', 'b'],
  prev: 'cd'.repeat(32),
  gapStart: 1_600_000_000_000,
}

describe('the position on disk', () => {
  const folder = useFolder()
  const path = () => folder.file('position')
  const read = () => new PositionFile(path()).read()

  async function write(...positions: Position[]): Promise<void> {
    const file = new PositionFile(path())
    await file.read()
    for (const next of positions) await file.write(next)
    await file.close()
  }

  it('comes back as it was', async () => {
    await write(position)
    assert.deepEqual(await read(), position)
    const bare = { ...position, proof: undefined, prev: undefined, gapStart: undefined, codecs: [], sha256: '' }
    await write(bare)
    assert.deepEqual(await read(), bare)
  })

  it('is the newest of those written, over as many lives as there are', async () => {
    for (let txid = 1; txid <= 9; txid += 3) {
      await write(...[txid, txid + 1, txid + 2].map((n) => ({ ...position, txid: n })))
      assert.equal((await read())?.txid, txid + 2)
    }
    assert.equal(statSync(path()).size, 8192)
    assert.deepEqual(readdirSync(folder.path), ['position'])
  })

  it('is the one before where the newest was torn, at whichever byte', async () => {
    const [older, newer] = [{ ...position, txid: 6 }, { ...position, txid: 7 }] // prettier-ignore
    await write(older)
    const before = readFileSync(path())
    await write(newer)
    const after = readFileSync(path())
    const changed = before.findIndex((byte, i) => byte !== after[i])
    const slot = changed < 4096 ? 0 : 4096
    const length = after.subarray(slot, slot + 4096).indexOf(0)
    for (let torn = 1; torn < length; torn += 7) {
      writeFileSync(path(), Buffer.concat([after.subarray(0, slot + torn), before.subarray(slot + torn)]))
      assert.equal((await read())?.txid, 6, `torn at ${torn}`)
    }
    const lying = Buffer.from(after.toString('latin1').replace('"txid":7', '"txid":9'), 'latin1')
    writeFileSync(path(), lying)
    assert.equal((await read())?.txid, 6, 'a digit changed')
    writeFileSync(path(), after)
    assert.equal((await read())?.txid, 7)
  })

  it('counts as not there when it is missing, empty, cut short, or makes no sense', async () => {
    assert.equal(await read(), undefined)
    await write(position)
    const good = readFileSync(path())
    for (const bad of [
      Buffer.alloc(0),
      Buffer.alloc(8192),
      good.subarray(0, 100),
      Buffer.from('null'),
      Buffer.alloc(8192, 10),
    ]) {
      writeFileSync(path(), bad)
      assert.equal(await read(), undefined)
    }
    // With the hash right, and wrong in what it says.
    for (const lie of [
      { txid: 0 },
      { txid: -1 },
      { txid: 1.5 },
      { commit: -7 },
      { pageSize: 1000 },
      { timestamp: 1e300 },
      { log: null },
    ]) {
      rmSync(path(), { force: true })
      await write({ ...position, ...lie } as Position)
      assert.equal(await read(), undefined, JSON.stringify(lie))
    }
  })

  it('is forgotten when it is told to be, and can be written again', async () => {
    const file = new PositionFile(path())
    await file.write(position)
    await file.clear()
    assert.equal(await read(), undefined)
    await file.write({ ...position, txid: 3 })
    assert.equal((await read())?.txid, 3)
    await file.close()
  })
})
