import assert from 'node:assert/strict'
import lz4 from 'lz4-wasm-nodejs'
import { compress, frameArea, hold, inflate, pageArea, scratch } from '../../../core/kernel/kernel.js'
import { slowInflate } from '../../helpers/ltx-lz4.js'
import { Random } from '../../helpers/ltx-random.js'

const PAGE_SIZES = [512, 1024, 2048, 4096, 8192, 16384, 32768, 65536]

function compressed(page: Uint8Array): Uint8Array {
  const size = compress(page, 10)
  return frameArea.slice(10, 10 + size)
}

const untouched = new Uint8Array(8192 - 512 - 16).fill(0xa5)

/** What the kernel inflates a block to, `undefined` if it refuses it. */
function inflated(block: Uint8Array, size: number): Uint8Array | undefined {
  frameArea.set(block, 3)
  return inflate(3, block.length, size) ? pageArea.slice(0, size) : undefined
}

/** lz4_flex, an implementation we have nothing to do with. It wants the inflated size in front. */
function foreignInflate(block: Uint8Array, size: number): Uint8Array {
  const framed = new Uint8Array(block.length + 4)
  new DataView(framed.buffer).setUint32(0, size, true)
  framed.set(block, 4)
  return lz4.decompress(framed)
}

function foreignCompress(page: Uint8Array): Uint8Array {
  return lz4.compress(page).slice(4)
}

function samples(size: number): Uint8Array[] {
  const random = new Random(size)
  const zeros = new Uint8Array(size)
  const ones = new Uint8Array(size).fill(1, size - 1)
  const periods = [2, 3, 5, 7, 9, 15, 16, 17, 255, 256].map((period) => Uint8Array.from(zeros, (_, i) => i % period))
  const pages = Array.from({ length: 60 }, () => random.page(size))
  // Of two letters: a match everywhere, ending anywhere, the end of the page included.
  for (let i = 0; i < 60; i++) pages.push(Uint8Array.from(zeros, () => random.below(2)))
  return [zeros, ones, random.bytes(size), ...periods, ...pages]
}

describe('LZ4 blocks', () => {
  for (const size of PAGE_SIZES) {
    it(`come back as the ${size} bytes they were, by us, by the description and by another implementation`, () => {
      for (const page of samples(size)) {
        const block = compressed(page)
        assert.ok(block.length <= size + Math.floor(size / 255) + 16, 'within the bound')
        assert.deepEqual(inflated(block, size), page)
        assert.deepEqual(slowInflate(block, size)?.page, page)
        assert.deepEqual(foreignInflate(block, size), page)
        assert.deepEqual(inflated(foreignCompress(page), size), page)
      }
    })
  }

  it('keep the end rules that other decoders rely on: last 5 bytes literal, no match in the last 12', () => {
    for (const size of PAGE_SIZES) {
      for (const page of samples(size)) {
        const sequences = slowInflate(compressed(page), size)!.sequences
        const last = sequences[sequences.length - 1]
        assert.ok(last.literals >= 5 || sequences.length === 1)
        assert.equal(last.token & 15, 0)
        for (const { at, literals, match } of sequences) if (match > 0) assert.ok(at + literals <= size - 12)
      }
    }
  })

  it('may end with an empty run of literals, as other writers might', () => {
    const block = Uint8Array.from([0x1f, 65, 1, 0, 255, 237, 0])
    assert.deepEqual(inflated(block, 512), new Uint8Array(512).fill(65))
    assert.deepEqual(slowInflate(block, 512)?.page, new Uint8Array(512).fill(65))
  })

  it('are made of what can be compressed: rows shrink about as far as another implementation gets them', () => {
    const random = new Random(11)
    let [ours, theirs] = [0, 0]
    for (let i = 0; i < 200; i++) {
      const row = (id: number) => `${id}|customer ${id}|${id * 7}@example.org|${random.below(1e9)}|open;`
      const page = Buffer.from(Array.from({ length: 100 }, (_, j) => row(i * 100 + j)).join('')).subarray(0, 4096)
      ours += compressed(page).length
      theirs += foreignCompress(page).length
    }
    assert.ok(ours < theirs * 1.05, `${ours} bytes, theirs ${theirs}`)
  })

  it('come from the scratch buffer without being copied out of it first', () => {
    const page = new Random(12).page(4096)
    scratch.set(page, 24)
    const held = hold(scratch.subarray(24, 24 + 4096))
    assert.equal(held.byteOffset, scratch.byteOffset + 24)
    assert.deepEqual(inflated(compressed(held), 4096), page)
  })

  it('never depend on the page before', () => {
    const random = new Random(13)
    const page = random.page(4096)
    const first = compressed(page)
    compressed(random.page(65536))
    assert.deepEqual(compressed(page), first)
  })

  describe('that are damaged', () => {
    const page = new Random(14).page(512)
    const block = compressed(page)

    it('are refused when cut short anywhere, and when anything follows', () => {
      for (let size = 0; size < block.length; size++) assert.equal(inflated(block.slice(0, size), 512), undefined)
      assert.equal(inflated(Uint8Array.from([...block, 0]), 512), undefined)
    })

    it('are refused when they make less or more than a page', () => {
      assert.equal(inflated(block, 511), undefined)
      assert.equal(inflated(block, 513), undefined)
      assert.equal(inflated(block, 1024), undefined)
    })

    const cases: [string, number[]][] = [
      ['nothing at all', []],
      ['a distance of zero', [0x1f, 65, 0, 0, 255, 227, 0x50, 1, 2, 3, 4, 5]],
      ['a distance to before the page', [0x1f, 65, 2, 0, 255, 227, 0x50, 1, 2, 3, 4, 5]],
      ['more literals than there are', [0x50, 1, 2]],
      ['a literal length without end', [0xf0, 255, 255, 255]],
      ['a literal length beyond any page', [0xf0, ...new Array<number>(67000).fill(255), 0]],
      ['a match length without end', [0x1f, 65, 1, 0, 255, 255]],
      ['a match beyond the page', [0x1f, 65, 1, 0, 255, 255, 255, 255, 0, 0x50, 1, 2, 3, 4, 5]],
      ['half a distance', [0x1f, 65, 1]],
      ['no literals at the end', [0x1f, 65, 1, 0, 255, 237]],
    ]
    for (const [what, bytes] of cases) {
      it(`are refused with ${what}`, () => {
        assert.equal(slowInflate(Uint8Array.from(bytes), 512), undefined)
        assert.equal(inflated(Uint8Array.from(bytes), 512), undefined)
      })
    }

    const overruns: [string, number[]][] = [
      ['literals', [0xf0, 255, 255, 75, ...new Array<number>(600).fill(7)]],
      ['literals after a match', [0x1f, 65, 1, 0, 200, 0xf0, 255, 45, ...new Array<number>(315).fill(7)]],
      ['a match of one byte', [0x1f, 65, 1, 0, 255, 255, 255, 255, 0, 0x50, 1, 2, 3, 4, 5]],
      ['a match of 20 bytes', [0xff, 5, ...new Array<number>(20).fill(7), 20, 0, 255, 255, 255, 255, 0, 0x50, 1, 2, 3, 4, 5]],
    ] // prettier-ignore
    for (const [what, bytes] of overruns) {
      it(`write nothing beyond the room behind the page, with ${what} too long`, () => {
        pageArea.fill(0xa5)
        assert.equal(inflated(Uint8Array.from(bytes), 512), undefined)
        assert.ok(pageArea.subarray(512 + 16).every((byte) => byte === 0xa5))
      })
    }

    it('write nothing beyond the room behind the page, whatever was done to them', () => {
      const random = new Random(15)
      for (let i = 0; i < 5000; i++) {
        const damaged = compressed(random.page(512))
        for (let n = random.between(1, 3); n > 0; n--) damaged[random.below(damaged.length)] = random.word()
        pageArea.fill(0xa5, 0, 8192)
        inflated(damaged, 512)
        assert.ok(Buffer.compare(pageArea.subarray(512 + 16, 8192), untouched) === 0, `round ${i}`)
      }
    })

    it('are judged exactly as the description says, whatever was done to them', () => {
      const random = new Random(16)
      let accepted = 0
      for (let i = 0; i < 30_000; i++) {
        const size = random.pick([512, 1024])
        const damaged = compressed(random.page(size))
        for (let n = random.between(1, 3); n > 0; n--) damaged[random.below(damaged.length)] ^= 1 << random.below(8)
        const expected = slowInflate(damaged, size)?.page
        assert.deepEqual(inflated(damaged, size), expected, `round ${i}`)
        if (expected) accepted++
      }
      assert.ok(accepted > 1000, 'enough of them are still blocks')
    })
  })
})
