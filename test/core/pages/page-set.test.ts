import assert from 'node:assert/strict'
import { checksumWords, pageChecksum } from '../../../core/kernel/kernel.js'
import { PageListBuilder } from '../../../core/pages/page-list.js'
import { PageMap } from '../../../core/pages/page-map.js'
import { checkPage, LayeredPageSet, type PageSet } from '../../../core/pages/page-set.js'
import { Random } from '../../helpers/ltx-random.js'

/** A page set whose pages say in their bytes who they are. */
function set(commit: number, pages: ReadonlyMap<number, number>): PageSet {
  const builder = new PageListBuilder()
  const numbers = [...pages.keys()].sort((a, b) => a - b)
  for (const page of numbers) builder.add(page, pages.get(page) ?? 0, page)
  return builder.build(512, commit, (index, page, into) => void into.fill((pages.get(page) ?? 0) & 255, 0, index + 1))
}

function read(pages: PageSet): Array<[number, number]> {
  const found: Array<[number, number]> = []
  const cursor = pages.cursor()
  while (cursor.next()) found.push([cursor.page, cursor.high])
  cursor.close()
  return found
}

describe('sets of pages', () => {
  it('in layers: each page once, ascending, the newest version, none beyond the end', () => {
    const random = new Random(11)
    for (let round = 0; round < 200; round++) {
      const layers: PageSet[] = []
      const expected = new Map<number, number>()
      let commit = 0
      for (let i = 0, count = random.between(1, round % 4 === 0 ? 40 : 6); i < count; i++) {
        commit = random.between(1, 60)
        const pages = new Map<number, number>()
        for (let j = 0, some = random.below(40); j < some; j++) pages.set(random.between(1, commit), random.word())
        for (const page of expected.keys()) if (page > commit) expected.delete(page)
        for (const [page, value] of pages) expected.set(page, value)
        layers.push(set(commit, pages))
      }
      const layered = new LayeredPageSet(layers)
      assert.equal(layered.commit, commit)
      const sorted = [...expected].filter(([page]) => page <= commit).sort(([a], [b]) => a - b)
      assert.deepEqual(read(layered), sorted)
    }
  })

  it('do not bring back what a layer in the middle had cut off', () => {
    const layers = [set(10, new Map([[8, 1], [9, 1]])), set(5, new Map([[2, 2]])), set(10, new Map([[9, 3]]))] // prettier-ignore
    assert.deepEqual(read(new LayeredPageSet(layers)), [
      [2, 2],
      [9, 3],
    ])
  })

  it('filtered, keep what the filter keeps and read the right pages', () => {
    const pages = set(9, new Map([[1, 10], [4, 40], [9, 90]])).filter((page) => page !== 4) // prettier-ignore
    const cursor = pages.cursor()
    const into = new Uint8Array(512)
    assert.ok(cursor.next())
    assert.ok(cursor.next())
    void cursor.read(into)
    assert.deepEqual([cursor.page, cursor.high, cursor.low, into[0]], [9, 90, 9, 90])
    assert.ok(!cursor.next())
  })

  it('refuse a page whose bytes are not those that were announced', () => {
    const bytes = new Uint8Array(512).fill(7)
    const read = () => {
      pageChecksum(3, bytes)
      return { high: checksumWords[0], low: checksumWords[1] }
    }
    const cursor = { page: 3, ...read(), next: () => true, read: () => undefined, close: () => undefined }
    checkPage(cursor, read())
    bytes[100] ^= 1
    assert.throws(() => checkPage(cursor, read()), { code: 'E_CHECKSUM' })
  })
})

describe('the map of newest frames', () => {
  it('agrees with a Map, through growth and after being cleared', () => {
    const random = new Random(3)
    const map = new PageMap(16)
    for (const count of [10, 5000, 100_000, 20]) {
      const expected = new Map<number, [number, number, number]>()
      map.clear()
      for (let i = 0; i < count; i++) {
        const page = random.chance(0.1) ? 0xffffffff - random.below(100) : random.between(1, count)
        const entry: [number, number, number] = [i + 1, random.word(), random.word()]
        map.set(page, ...entry)
        expected.set(page, entry)
      }
      assert.equal(map.size, expected.size)
      for (const [page, [frame, high, low]] of expected) {
        assert.ok(map.find(page))
        assert.deepEqual([map.frame, map.high >>> 0, map.low >>> 0], [frame, high, low])
      }
      assert.ok(!map.find(count + 5_000_000))
    }
  })
})
