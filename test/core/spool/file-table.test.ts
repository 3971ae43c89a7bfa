import assert from 'node:assert/strict'
import { FileTable, type SpoolEntry } from '../../../core/spool/file-table.js'
import { generator } from '../../helpers/kill-programme.js'

describe('the table of spooled files', () => {
  const entry = (txid: number): SpoolEntry => ({ txid, size: txid * 10, written: txid * 1000 })
  const all = (table: FileTable) => Array.from({ length: table.length }, (_, index) => table.at(index))

  it('agrees with a sorted list after whatever is added and removed', () => {
    const random = generator(7)
    for (let round = 0; round < 20; round++) {
      const table = new FileTable()
      let expected: SpoolEntry[] = []
      let next = 1
      for (let step = 0; step < 2000; step++) {
        const what = random()
        if (what < 0.5 || expected.length === 0) {
          table.add(entry(next))
          expected.push(entry(next++))
        } else if (what < 0.9) {
          const { txid } = expected.shift() as SpoolEntry
          assert.ok(table.remove(txid))
        } else if (what < 0.95) {
          const { txid } = expected[Math.floor(random() * expected.length)]
          assert.ok(table.remove(txid))
          assert.ok(!table.remove(txid))
          expected = expected.filter((other) => other.txid !== txid)
          // Set aside, and made anew.
          if (random() < 0.5) {
            table.add(entry(txid))
            expected = [...expected, entry(txid)].sort((a, b) => a.txid - b.txid)
          }
        } else {
          const txid = Math.floor(random() * next)
          const found = expected.find((other) => other.txid === txid)
          assert.deepEqual(table.find(txid), found)
          const first = expected.findIndex((other) => other.txid >= txid)
          assert.equal(table.firstAt(txid), first < 0 ? expected.length : first)
        }
        assert.equal(table.length, expected.length)
      }
      assert.deepEqual(all(table), expected)
    }
  })

  it('needs no more room for a window that moves on than for the window', () => {
    const table = new FileTable()
    for (let txid = 1; txid <= 100; txid++) table.add(entry(txid))
    const room = table.room
    for (let txid = 101; txid <= 100_000; txid++) {
      table.add(entry(txid))
      table.remove(txid - 100)
    }
    assert.ok(table.room <= room * 2, `${table.room}`)
    assert.deepEqual([table.length, table.at(0).txid, table.at(99).txid], [100, 99_901, 100_000])
  })
})
