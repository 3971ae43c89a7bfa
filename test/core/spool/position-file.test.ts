import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { type Position, readPosition, writePosition } from '../../../core/spool/position-file.js'
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
  const path = () => folder.file('position.json')

  it('comes back as it was', async () => {
    await writePosition(path(), position)
    assert.deepEqual(await readPosition(path()), position)
    const bare = { ...position, proof: undefined, prev: undefined, gapStart: undefined, codecs: [], sha256: '' }
    await writePosition(path(), bare)
    assert.deepEqual(await readPosition(path()), bare)
  })

  it('is replaced whole and leaves nothing beside it', async () => {
    await writePosition(path(), position)
    const { ino } = statSync(path())
    await writePosition(path(), { ...position, txid: 5 })
    assert.notEqual(statSync(path()).ino, ino)
    assert.deepEqual(readdirSync(folder.path), ['position.json'])
  })

  it('counts as not there when it is missing, torn, of another version, or makes no sense', async () => {
    assert.equal(await readPosition(path()), undefined)
    await writePosition(path(), position)
    const text = readFileSync(path(), 'utf8')
    const bad = [
      '',
      'null',
      '[]',
      text.slice(0, text.length / 2),
      text.replace('"version": 1', '"version": 2'),
      text.replace(/"txid": \d+/, '"txid": 0'),
      text.replace(/"txid": \d+/, '"txid": -1'),
      text.replace(/"txid": \d+/, '"txid": 1.5'),
      text.replace(/"txid": \d+/, '"txid": 1e300'),
      text.replace(/"commit": \d+/, '"commit": "17"'),
      text.replace(/"frame": 99/, '"frame": null'),
      text.replace(/"pre": "[^"]*"/, '"pre": "xyz"'),
    ]
    for (const content of bad) {
      writeFileSync(path(), content)
      assert.equal(await readPosition(path()), undefined, content)
    }
  })
})
