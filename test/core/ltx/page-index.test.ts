import assert from 'node:assert/strict'
import { indexLength, type IndexEntry, LtxError, readIndex } from '../../../core/ltx/index.js'
import { writeVarint, VarintReader } from '../../../core/ltx/varint.js'
import { decode, encode, header, type Pages, withCode } from '../../helpers/ltx.js'
import { concat, forge, type Forgery, varint } from '../../helpers/ltx-forge.js'
import { slowInflate } from '../../helpers/ltx-lz4.js'
import { Random } from '../../helpers/ltx-random.js'

/** The index as a reader with range requests gets it: the last 24 bytes first, then as many as they say. */
function indexOf(bytes: Uint8Array, database: { commit: number; pageSize: number }): IndexEntry[] {
  const length = indexLength(bytes.subarray(-24), bytes.length)
  return [...readIndex(bytes.subarray(bytes.length - length), { ...database, fileSize: bytes.length })]
}

describe('page index', () => {
  it('finds every page where decoding from the start finds it', () => {
    const random = new Random(1)
    for (const pageSize of [512, 4096, 65536]) {
      const pages: Pages = new Map()
      for (let page = 1; page <= 400; page += random.between(1, 40)) pages.set(page, random.page(pageSize))
      const fields = header({ pageSize, commit: 400 })
      const bytes = encode(fields, pages)
      const view = new DataView(bytes.buffer)
      const found: Pages = new Map()
      for (const { page, offset, size } of indexOf(bytes, fields)) {
        assert.equal(view.getUint32(offset), page)
        assert.equal(view.getUint32(offset + 6), size - 10)
        found.set(page, slowInflate(bytes.subarray(offset + 10, offset + size), pageSize)!.page)
      }
      assert.deepEqual(found, decode(bytes).pages)
    }
  })

  it('is empty for a file without pages', () => {
    assert.deepEqual(indexOf(encode(header(), new Map()), header()), [])
  })

  it('survives the edges of the buffers it is built in', () => {
    const one = new Random(2).page(512)
    for (const count of [1, 15, 16, 17, 18, 60, 5000, 40_000]) {
      const numbers = Array.from({ length: count }, (_, i) => i * 100 + 1)
      const bytes = encode(header({ commit: 4_000_000 }), new Map(numbers.map((page) => [page, one])))
      assert.deepEqual(
        indexOf(bytes, header({ commit: 4_000_000 })).map((entry) => entry.page),
        numbers,
      )
    }
  })

  describe('is refused', () => {
    const data = new Random(3).page(512)
    const pages = [1, 3, 4].map((page) => ({ page, data }))
    const read = (forgery: Forgery, cut = 0) => {
      const bytes = forge({ pages, ...forgery })
      return indexOf(bytes.subarray(0, bytes.length - cut), header())
    }

    it('unless it is one', () => assert.equal(read({}).length, 3))

    const cases: [string, Forgery][] = [
      ['when pages descend', { index: ([a, b, c]) => [a, c, b] }],
      ['when a page comes twice', { index: ([a, b, c]) => [a, { ...b, page: 1 }, c] }],
      ['when a page is beyond the size', { index: ([a, b, c]) => [a, b, { ...c, page: 9 }] }],
      ['when frames overlap', { index: ([a, b, c]) => [a, { ...b, offset: b.offset - 1 }, c] }],
      ['when there is room between frames', { index: ([a, b, c]) => [a, { ...b, offset: b.offset + 1 }, c] }],
      ['when the first frame lies in the header', { index: ([a, b, c]) => [{ ...a, offset: 99 }, b, c] }],
      ['when a frame has no room for a page', { index: ([a]) => [{ ...a, size: 6 }] }],
      ['when a frame is larger than any page', { index: ([a]) => [{ ...a, size: 700 }] }],
      ['when pages are missing at its end', { index: ([a, b]) => [a, b] }],
      ['when pages are too many', { index: (rows) => [...rows, { page: 5, offset: rows[2].offset + rows[2].size, size: 30 }] }],
      ['when it ends early', { indexBytes: (bytes) => concat(Uint8Array.of(0), bytes.subarray(1)) }],
      ['when it does not end', { indexBytes: (bytes) => concat(bytes.subarray(0, -1), Uint8Array.of(7)) }],
      ['when it ends inside an entry', { indexBytes: (bytes) => bytes.subarray(0, -2) }],
      ['when a number is beyond 2^53', { indexBytes: (bytes) => concat(varint(1n << 60n), bytes) }],
      ['when it is longer than it says', { indexSize: (size) => size - 1n }],
      ['when it is shorter than it says', { indexSize: (size) => size + 1n }],
      ['when it says nothing of its size', { indexSize: () => 0n }],
      ['when it says more than the file has', { indexSize: () => 1n << 40n }],
      ['when it says more than there are numbers for', { indexSize: () => (1n << 64n) - 1n }],
    ] // prettier-ignore
    for (const [what, forgery] of cases) {
      it(what, () => {
        assert.throws(() => read(forgery), withCode('LTX_CORRUPT'))
        if (/pages are/.test(what)) return // Only the size of the file tells.
        const bytes = forge({ pages, ...forgery })
        assert.throws(
          () => [...readIndex(bytes.subarray(-indexLength(bytes, bytes.length)), header())],
          withCode('LTX_CORRUPT'),
        )
      })
    }

    it('when its stated size cannot be, before anything is fetched', () => {
      for (const size of [0n, 1n << 40n, (1n << 64n) - 1n]) {
        const bytes = forge({ pages, indexSize: () => size })
        assert.throws(() => indexLength(bytes.subarray(-24), bytes.length), withCode('LTX_CORRUPT'))
      }
    })

    it('when the lock page is in it', () => {
      const index = forge({
        ...{ pageSize: 65536, commit: 20_000 },
        index: () => [{ page: 16385, offset: 100, size: 600 }],
      })
      assert.throws(() => indexOf(index, { pageSize: 65536, commit: 20_000 }), withCode('LTX_CORRUPT', /lock page/))
    })

    it('when the bytes given are not all of it', () => {
      const bytes = forge({ pages })
      const length = indexLength(bytes, bytes.length)
      for (const wrong of [length - 1, length + 1]) {
        assert.throws(() => [...readIndex(bytes.subarray(-wrong), header())], withCode('LTX_CORRUPT'))
      }
      assert.throws(() => [...readIndex(bytes.subarray(-20), header())], withCode('LTX_TRUNCATED'))
    })

    it('when the file is too short to have one', () => {
      for (let size = 0; size < 24; size++) {
        assert.throws(() => indexLength(new Uint8Array(size), size), withCode('LTX_TRUNCATED'))
      }
      const smallest = forge({})
      assert.equal(indexLength(smallest.subarray(-24), smallest.length), 25)
      assert.throws(() => indexLength(smallest.subarray(-24), smallest.length - 1), withCode('LTX_CORRUPT'))
    })

    it('never otherwise than by an LtxError, whatever stands there', () => {
      const random = new Random(4)
      const bytes = forge({ pages })
      const tail = bytes.subarray(-indexLength(bytes, bytes.length))
      for (let i = 0; i < 20_000; i++) {
        const damaged = tail.slice(0, random.chance(0.2) ? random.below(tail.length) : tail.length)
        for (let n = random.between(1, 3); n > 0; n--) damaged[random.below(damaged.length)] = random.word()
        try {
          for (const { page, offset, size } of readIndex(damaged, header())) {
            assert.ok(page >= 1 && page <= 8 && offset >= 100 && size <= 700)
          }
        } catch (error) {
          assert.ok(error instanceof LtxError, String(error))
        }
      }
    })
  })
})

describe('varints', () => {
  it('come back, at every length there is', () => {
    for (let power = 0; power <= 53; power++) {
      for (const value of [2 ** power - 1, 2 ** power, 2 ** power + 1]) {
        if (!Number.isSafeInteger(value)) continue
        const out = new Uint8Array(10)
        const end = writeVarint(value, out, 0)
        assert.deepEqual(out.slice(0, end), varint(value))
        const reader = new VarintReader()
        for (let missing = 1; missing <= end; missing++) assert.equal(reader.read(out, 0, end - missing), 0)
        assert.equal(reader.read(out, 0, out.length), end)
        assert.equal(reader.value, value)
      }
    }
  })

  it('are refused beyond 2^53 and beyond the bytes that takes', () => {
    const read = (bytes: Uint8Array) => {
      new VarintReader().read(bytes, 0, bytes.length)
    }
    for (const value of [1n << 53n, (1n << 53n) + 1n, (1n << 56n) - 1n, 1n << 60n, (1n << 64n) - 1n]) {
      assert.throws(() => read(varint(value)), RangeError, String(value))
    }
    assert.throws(() => read(new Uint8Array(9).fill(0x80)), RangeError)
  })
})
