import assert from 'node:assert/strict'
import { CHECKSUM_FLAG, LtxDecoder, type LtxErrorCode } from '../../../core/ltx/index.js'
import { xxHash32 } from '../../../core/ltx/xxhash32.js'
import { decode, type Decoded, encode, fixture, header, ltxError, type Pages, withCode } from '../../helpers/ltx.js'
import { concat, forge, type Forgery, varint } from '../../helpers/ltx-forge.js'
import { Random } from '../../helpers/ltx-random.js'
import { slowPageChecksum } from '../../helpers/ltx-slow.js'

const random = new Random(1)
const [first, second, third] = [random.page(512), random.page(512), random.page(512)]

function snapshotChecksum(...pages: Uint8Array[]): bigint {
  return pages.reduce((sum, data, i) => sum ^ slowPageChecksum(i + 1, data), 0n) | CHECKSUM_FLAG
}

/** A small file of every kind that there is, as somebody else wrote it where that is possible. */
const small: Record<string, Uint8Array> = {
  'portable with a chain': encode(
    header({ pre: CHECKSUM_FLAG | 5n, post: CHECKSUM_FLAG | 6n }),
    new Map([
      [2, first],
      [3, second],
    ]),
  ),
  'a tracked snapshot': fixture('ltx/go/512/tracked/0000000000000001-0000000000000001.ltx'),
  'a compaction by the reference': fixture('ltx/go/512/untracked/0000000000000002-0000000000000005.ltx'),
  'LZ4 frames of Litestream': fixture('ltx/litestream-0.5.15/512/ltx/0/0000000000000002-0000000000000002.ltx'),
  'LZ4 frames with content size': fixture('ltx/frames/content-size-512.ltx'),
  'LZ4 frames with block checksums': fixture('ltx/frames/block-checksum-512.ltx'),
  'stored LZ4 frames': fixture('ltx/frames/stored-512.ltx'),
  'no pages': encode(header(), new Map()),
}

describe('LtxDecoder', () => {
  describe('reads a file in whatever pieces it comes', () => {
    for (const [name, bytes] of Object.entries(small)) {
      it(name, () => {
        const whole = decode(bytes)
        assert.deepEqual(decode(bytes, [1]), whole)
        for (const size of [2, 3, 7, 31, 97, 101, 509, 521]) assert.deepEqual(decode(bytes, [size]), whole)
        for (let seed = 1; seed < 40; seed++) {
          const sizes = Array.from({ length: 50 }, () => new Random(seed).below(200))
          assert.deepEqual(decode(bytes, [...sizes, 1]), whole)
        }
      })
    }

    for (const pageSize of [1024, 4096, 65536]) {
      it(`pages of ${pageSize} bytes that do not shrink, byte by byte`, () => {
        const pages: Pages = new Map([3, 4, 6].map((page) => [page, random.bytes(pageSize)]))
        const bytes = encode(header({ pageSize }), pages)
        assert.deepEqual(decode(bytes, [1]).pages, pages)
        assert.deepEqual(decode(bytes, [100_003]).pages, pages)
      })
    }

    it('pieces that hold nothing', () => {
      const bytes = small['a tracked snapshot']
      assert.deepEqual(decode(bytes, [0, 50, 0, 0, 300]), decode(bytes))
    })

    it('pieces that their owner uses again', () => {
      const bytes = small['portable with a chain']
      const decoder = new LtxDecoder()
      const piece = new Uint8Array(64)
      const pages: Pages = new Map()
      for (let at = 0; ;) {
        const step = decoder.next()
        if (step === 'page') pages.set(decoder.page, decoder.data.slice())
        if (step === 'end') break
        if (step !== 'more') continue
        if (at >= bytes.length) decoder.finish()
        else {
          const size = Math.min(piece.length, bytes.length - at)
          piece.set(bytes.subarray(at, at + size))
          decoder.push(piece.subarray(0, size))
          piece.fill(0xff)
          at += size
        }
      }
      assert.deepEqual(pages, decode(bytes).pages)
    })
  })

  it('gives each page its checksum if asked', () => {
    const bytes = small['portable with a chain']
    const decoder = new LtxDecoder({ pageChecksums: true })
    const found: bigint[] = []
    for (;;) {
      const step = decoder.next()
      if (step === 'end') break
      if (step === 'more') {
        if (found.length === 0) decoder.push(bytes)
        else decoder.finish()
      }
      if (step === 'page') found.push((BigInt(decoder.high) << 32n) | BigInt(decoder.low))
    }
    assert.deepEqual(found, [slowPageChecksum(2, first), slowPageChecksum(3, second)])
  })

  describe('never takes half a file for a whole one', () => {
    for (const [name, bytes] of Object.entries(small)) {
      it(name, () => {
        for (let length = 0; length < bytes.length; length++) {
          const error = ltxError(() => decode(bytes.subarray(0, length)))
          assert.equal(error.code, 'LTX_TRUNCATED', `${length} of ${bytes.length} bytes: ${error.message}`)
          assert.equal(error.offset, length)
        }
      })
    }
  })

  // The file checksum covers pages as they are when inflated, not the compressed bytes. So these can differ and mean
  // the same: inside an LZ4 block a match may point to another place that holds the same bytes, or stay with the
  // same place in another way. Nothing else of a file is free: the header with all its reserved bytes, page headers,
  // sizes, index and trailer are hashed (and the top bit of the file checksum, which is forced on, must be on). Of an
  // LZ4 frame everything around the block is covered by its own header checksum or has only one value we accept, its
  // content checksum is compared, and a stored block is the page itself.
  describe('takes no file with any one bit flipped for another one', () => {
    for (const [name, bytes] of Object.entries(small)) {
      it(name, () => {
        const whole = decode(bytes)
        const blocks = compressedRanges(bytes)
        for (let at = 0; at < bytes.length; at++) {
          for (let bit = 0; bit < 8; bit++) {
            const damaged = bytes.slice()
            damaged[at] ^= 1 << bit
            const where = `byte ${at} bit ${bit}`
            let decoded: Decoded
            try {
              decoded = decode(damaged)
            } catch (error) {
              assert.ok((error as Error).name === 'LtxError', `${where}: ${String(error)}`)
              continue
            }
            assert.deepEqual(decoded, whole, where)
            assert.ok(
              blocks.some(([start, end]) => at >= start && at < end),
              `${where} is outside the compressed bytes`,
            )
          }
        }
      })
    }
  })

  describe('refuses what follows the end', () => {
    for (const [name, bytes] of Object.entries(small)) {
      it(name, () => {
        const longer = concat(bytes, Uint8Array.of(0))
        assert.throws(() => decode(longer), withCode('LTX_CORRUPT', /after its end/))
        assert.throws(() => decode(longer, [1]), withCode('LTX_CORRUPT', /after its end/))
        assert.throws(() => decode(longer, [bytes.length]), withCode('LTX_CORRUPT', /after its end/))
        assert.throws(() => decode(concat(bytes, bytes)), withCode('LTX_CORRUPT', /after its end/))
      })
    }
  })

  describe('refuses a file with a right checksum that says', () => {
    const chain = { chainTag: 0x574c5231, chainPre: CHECKSUM_FLAG | 1n, chainPost: CHECKSUM_FLAG | 2n }
    const two = [
      { page: 2, data: first },
      { page: 5, data: second },
    ]
    const cases: [string, LtxErrorCode, Forgery][] = [
      // The header.
      ['unknown flags', 'LTX_UNSUPPORTED', { flags: 3 }],
      ['the flag of another time', 'LTX_UNSUPPORTED', { flags: 1 }],
      ['a page size that is no power of two', 'LTX_CORRUPT', { pageSize: 513 }],
      ['a page size too small', 'LTX_CORRUPT', { pageSize: 256 }],
      ['a page size of 1, as a database header has it for 65536', 'LTX_CORRUPT', { pageSize: 1 }],
      ['a page size too large', 'LTX_CORRUPT', { pageSize: 131072 }],
      ['transaction 0', 'LTX_CORRUPT', { minTxid: 0n }],
      ['transactions the wrong way round', 'LTX_CORRUPT', { minTxid: 3n, maxTxid: 2n }],
      ['a transaction beyond 2^53', 'LTX_CORRUPT', { maxTxid: 1n << 53n }],
      ['the last transaction there can be', 'LTX_CORRUPT', { maxTxid: (1n << 64n) - 1n }],
      ['a timestamp beyond 2^53', 'LTX_CORRUPT', { timestamp: 1n << 60n }],
      ['a negative WAL offset', 'LTX_CORRUPT', { walOffset: -1n }],
      ['a negative WAL size', 'LTX_CORRUPT', { walOffset: 32n, walSize: -1n }],
      ['a WAL size without an offset', 'LTX_CORRUPT', { walSize: 1n }],
      ['a first salt without an offset', 'LTX_CORRUPT', { salt1: 1 }],
      ['a second salt without an offset', 'LTX_CORRUPT', { salt2: 1 }],
      ['a checksum before it and that it has none', 'LTX_CORRUPT', { pre: CHECKSUM_FLAG }],
      ['no checksum before it though it tracks them', 'LTX_CORRUPT', { flags: 0, post: CHECKSUM_FLAG }],
      ['a checksum before it without its top bit', 'LTX_CORRUPT', { flags: 0, pre: 1n, post: CHECKSUM_FLAG }],
      ['a snapshot with a checksum before it', 'LTX_CORRUPT', { flags: 0, minTxid: 1n, pre: CHECKSUM_FLAG }],
      ['a chain without its end', 'LTX_CORRUPT', { ...chain, chainPost: 0n }],
      ['a chain whose end lacks its top bit', 'LTX_CORRUPT', { ...chain, chainPost: 2n }],
      ['a chain whose beginning lacks its top bit', 'LTX_CORRUPT', { ...chain, chainPre: 1n }],
      ['a snapshot that continues a chain', 'LTX_CORRUPT', { ...chain, minTxid: 1n, commit: 0 }],
      ['an empty database with a checksum', 'LTX_CORRUPT', { ...chain, commit: 0 }],
      // Pages.
      ['page 0 with flags', 'LTX_CORRUPT', { pages: [{ page: 0, data: first }] }],
      ['pages that descend', 'LTX_CORRUPT', { pages: [...two].reverse() }],
      ['a page twice', 'LTX_CORRUPT', { pages: [two[0], two[0]] }],
      ['a page beyond the size', 'LTX_CORRUPT', { commit: 4, pages: two }],
      ['unknown page flags', 'LTX_CORRUPT', { pages: [{ page: 2, data: first, flags: 3 }] }],
      ['a block without a size', 'LTX_CORRUPT', { pages: [{ page: 2, data: first, flags: 0 }] }],
      ['a size of 0', 'LTX_CORRUPT', { pages: [{ page: 2, data: first, size: 0 }] }],
      ['a size beyond any page', 'LTX_CORRUPT', { pages: [{ page: 2, data: first, size: 512 + 2 + 17 }] }],
      ['a size of 4 GiB', 'LTX_CORRUPT', { pages: [{ page: 2, data: first, size: 0xffffffff }] }],
      ['a page of another size', 'LTX_CORRUPT', { pages: [{ page: 2, data: new Uint8Array(256) }] }],
      ['the lock page', 'LTX_CORRUPT', {
        ...{ pageSize: 65536, commit: 20_000 },
        pages: [{ page: 16385, data: new Uint8Array(65536) }],
      }],
      ['flags at the end of its pages', 'LTX_CORRUPT', { endMark: Uint8Array.of(0, 0, 0, 0, 0, 1) }],
      // Snapshots.
      ['a snapshot with a page too few', 'LTX_CORRUPT', { minTxid: 1n, commit: 2, pages: [{ page: 1, data: first }] }],
      ['a snapshot without its first page', 'LTX_CORRUPT', { minTxid: 1n, commit: 2, pages: [{ page: 2, data: first }] }],
      ['a snapshot of nothing though it has a size', 'LTX_CORRUPT', { minTxid: 1n, commit: 0xffffffff }],
      ['a tracked snapshot of other pages', 'LTX_CHECKSUM', {
        ...{ flags: 0, minTxid: 1n, commit: 1, post: snapshotChecksum(second) },
        pages: [{ page: 1, data: first }],
      }],
      ['a portable snapshot of other pages', 'LTX_CHECKSUM', {
        ...{ minTxid: 1n, commit: 1, chainTag: chain.chainTag, chainPost: snapshotChecksum(second) },
        pages: [{ page: 1, data: first }],
      }],
      // The index.
      ['fewer pages in its index', 'LTX_CORRUPT', { pages: two, index: (rows) => rows.slice(1) }],
      ['no pages in its index', 'LTX_CORRUPT', { pages: two, index: () => [] }],
      ['more pages in its index', 'LTX_CORRUPT', { pages: two, index: (rows) => [...rows, { page: 8, offset: rows[1].offset + rows[1].size, size: 20 }] }],
      ['another page in its index', 'LTX_CORRUPT', { pages: two, index: ([a, b]) => [{ ...a, page: 3 }, b] }],
      ['pages of other sizes in its index', 'LTX_CORRUPT', { pages: two, index: ([a, b]) => [{ ...a, size: a.size - 1 }, { ...b, offset: b.offset - 1, size: b.size + 1 }] }],
      ['another offset in its index', 'LTX_CORRUPT', { pages: two, index: ([a, b]) => [{ ...a, offset: a.offset + 1 }, b] }],
      ['an offset far beyond the file in its index', 'LTX_CORRUPT', { pages: two, index: ([a, b]) => [a, { ...b, offset: b.offset + 2 ** 32 }] }],
      ['a huge frame in its index', 'LTX_CORRUPT', { pages: two, index: ([a, b]) => [a, { ...b, size: 2 ** 52 }] }],
      ['an index that descends', 'LTX_CORRUPT', { pages: two, index: ([a, b]) => [b, a] }],
      ['a page beyond the size in its index', 'LTX_CORRUPT', { pages: two, index: ([a, b]) => [a, { ...b, page: 9 }] }],
      ['a page beyond 32 bits in its index', 'LTX_CORRUPT', { pages: two, index: ([a, b]) => [a, { ...b, page: 2 ** 32 + 5 }] }],
      ['a number beyond 2^53 in its index', 'LTX_CORRUPT', { pages: two, indexBytes: (bytes) => concat(varint((1n << 53n) + 2n), bytes) }],
      ['a number without end in its index', 'LTX_CORRUPT', { indexBytes: () => new Uint8Array(40).fill(0x80) }],
      ['an index without its ending zero', 'LTX_TRUNCATED', { pages: two, indexBytes: (bytes) => bytes.slice(0, -1) }],
      ['an index longer than it is', 'LTX_CORRUPT', { pages: two, indexSize: (size) => size + 1n }],
      ['an index shorter than it is', 'LTX_CORRUPT', { pages: two, indexSize: (size) => size - 1n }],
      ['an index of 2^63 bytes', 'LTX_CORRUPT', { pages: two, indexSize: () => 1n << 63n }],
      // The trailer.
      ['a checksum after it and that it has none', 'LTX_CORRUPT', { post: CHECKSUM_FLAG }],
      ['no checksum after it though it tracks them', 'LTX_CORRUPT', { flags: 0, pre: CHECKSUM_FLAG }],
      ['a checksum after it without its top bit', 'LTX_CORRUPT', { flags: 0, pre: CHECKSUM_FLAG, post: 1n }],
      ['an empty database with a checksum after it', 'LTX_CORRUPT', { flags: 0, commit: 0, pre: CHECKSUM_FLAG, post: CHECKSUM_FLAG | 1n }],
    ] // prettier-ignore
    for (const [what, code, forgery] of cases) {
      it(what, () => {
        assert.throws(() => decode(forge(forgery)), withCode(code))
        assert.throws(() => decode(forge(forgery), [1]), withCode(code))
      })
    }

    it('nothing wrong, and reads it: the forger can write honest files too', () => {
      const honest = forge({ pages: two, ...chain, timestamp: -1n, walOffset: 32n, walSize: 9n, salt1: 1, salt2: 2 })
      const decoded = decode(honest)
      assert.deepEqual([...decoded.pages.keys()], [2, 5])
      assert.deepEqual(
        [decoded.header.pre, decoded.header.post, decoded.header.timestamp],
        [chain.chainPre, chain.chainPost, -1],
      )
    })

    it('something in its reserved bytes that is not ours, and lets it be', () => {
      const decoded = decode(forge({ chainPre: 5n, chainPost: 6n, chainTag: 7 }))
      assert.deepEqual([decoded.header.pre, decoded.header.post], [0n, 0n])
      assert.equal(
        decode(forge({ flags: 0, pre: CHECKSUM_FLAG, post: CHECKSUM_FLAG, ...chain })).header.pre,
        CHECKSUM_FLAG,
      )
    })

    it('its index in numbers longer than need be, and lets that be', () => {
      const longer = (bytes: Uint8Array) => concat(Uint8Array.of(bytes[0] | 0x80, 0), bytes.subarray(1))
      assert.equal(decode(forge({ pages: two, indexBytes: longer })).pages.size, 2)
    })

    it('that it is something else altogether', () => {
      const bytes = forge({ pages: two })
      assert.throws(() => decode(concat(Buffer.from('LTX2'), bytes.subarray(4))), withCode('LTX_UNSUPPORTED'))
      assert.throws(() => decode(new Uint8Array(200)), withCode('LTX_UNSUPPORTED'))
      assert.throws(() => decode(Buffer.alloc(4096, 'SQLite format 3\0')), withCode('LTX_UNSUPPORTED'))
    })
  })

  describe('refuses an LZ4 frame with', () => {
    const bytes = fixture('ltx/frames/block-checksum-512.ltx')
    const frame = bytes.subarray(106)
    const edits: [string, (frame: Uint8Array) => void, RegExp][] = [
      ['another magic number', (f) => (f[0] ^= 1), /magic/],
      ['another version', (f) => setFrameFlags(f, f[4] ^ 0x80), /version/],
      ['a dictionary', (f) => setFrameFlags(f, f[4] | 1), /dictionary/],
      ['a reserved flag', (f) => setFrameFlags(f, f[4] | 2), /dictionary/],
      ['a header that its checksum does not fit', (f) => (f[6] ^= 1), /header/],
      ['another block size in its header', (f) => (f[5] ^= 0x10), /header/],
      ['a block of no bytes', (f) => f.fill(0, 7, 11), /block of/],
      ['a block beyond any page', (f) => (f[8] = 0x10), /block of/],
      ['a block of 2 GiB', (f) => (f[10] = 0x7f), /block of/],
    ]
    for (const [what, edit, reason] of edits) {
      it(what, () => {
        const damaged = bytes.slice()
        edit(damaged.subarray(106))
        assert.throws(() => decode(damaged), withCode('LTX_CORRUPT', reason))
      })
    }

    const blockSize = new DataView(frame.buffer, frame.byteOffset).getUint32(7, true)
    const behind: [string, number][] = [
      ['another checksum of its block', 11 + blockSize],
      ['more than one block', 11 + blockSize + 4],
      ['another checksum of its content', 11 + blockSize + 8],
    ]
    for (const [what, at] of behind) {
      it(what, () => {
        const damaged = bytes.slice()
        damaged[106 + at] ^= 1
        assert.throws(() => decode(damaged), withCode('LTX_CORRUPT', /LZ4 frame/))
      })
    }

    it('a content size that is not one page', () => {
      const damaged = fixture('ltx/frames/content-size-512.ltx')
      const frame = damaged.subarray(106)
      frame[6] ^= 1
      setFrameFlags(frame, frame[4])
      assert.throws(() => decode(damaged), withCode('LTX_CORRUPT', /LZ4 frame: its content/))
    })

    it('a stored block that is not one page', () => {
      for (const size of [511, 513]) {
        const block = storedFrame(random.bytes(size))
        const bytes = forge({ pages: [{ page: 2, data: first, flags: 0, block }] })
        assert.throws(() => decode(bytes), withCode('LTX_CORRUPT', /stored page/))
      }
    })

    it('nothing wrong, and reads it though it has no checksums', () => {
      const bytes = forge({ pages: [{ page: 2, data: first, flags: 0, block: storedFrame(first) }] })
      assert.deepEqual(decode(bytes).pages, new Map([[2, first]]))
    })
  })

  describe('takes no room because a file says so', () => {
    const lies: Record<string, Forgery> = {
      'about the size of the database': { commit: 0xffffffff, pages: [{ page: 0xfffffff0, data: first }] },
      'about the size of a page': { pages: [{ page: 2, data: first, size: 0xfffffff0 }] },
      'about the size of its index': { pages: [{ page: 2, data: first }], indexSize: () => 1n << 62n },
      'about the size of a frame': { pages: [{ page: 2, data: first }], index: ([a]) => [{ ...a, size: 2 ** 40 }] },
    }
    for (const [what, forgery] of Object.entries(lies)) {
      it(what, () => {
        const bytes = forge(forgery)
        for (let length = 0; length <= bytes.length; length += 13) {
          const before = process.memoryUsage().arrayBuffers
          const decoder = new LtxDecoder()
          try {
            for (let at = 0; ;) {
              const step = decoder.next()
              const taken = process.memoryUsage().arrayBuffers - before
              assert.ok(taken < 100_000, `${taken} bytes taken`)
              if (step === 'end') break
              if (step !== 'more') continue
              if (at >= length) decoder.finish()
              else decoder.push(bytes.subarray(at, (at = Math.min(length, at + 100))))
            }
          } catch (error) {
            assert.equal((error as Error).name, 'LtxError')
          }
        }
      })
    }
  })

  describe('guards the order of calls:', () => {
    it('no header before it was read, no trailer before the end', () => {
      const decoder = new LtxDecoder()
      assert.throws(() => decoder.header, withCode('LTX_USAGE'))
      assert.equal(decoder.pages, 0)
      assert.equal(decoder.next(), 'more')
      decoder.push(small['portable with a chain'])
      assert.equal(decoder.next(), 'header')
      assert.throws(() => decoder.trailer, withCode('LTX_USAGE'))
      assert.equal(decoder.next(), 'page')
      assert.equal(decoder.pages, 1)
    })

    it('no piece that was not asked for, none after the last', () => {
      const decoder = new LtxDecoder()
      decoder.push(new Uint8Array(10))
      assert.throws(() => decoder.push(new Uint8Array(10)), withCode('LTX_USAGE'))
      assert.equal(decoder.next(), 'more')
      decoder.finish()
      assert.throws(() => decoder.push(new Uint8Array(10)), withCode('LTX_USAGE'))
      assert.throws(() => decoder.next(), withCode('LTX_TRUNCATED'))
    })

    it('the end again and again, once it was reached', () => {
      const decoder = new LtxDecoder()
      decoder.push(small['no pages'])
      decoder.finish()
      assert.deepEqual([decoder.next(), decoder.next(), decoder.next()], ['header', 'end', 'end'])
    })

    it('no end before it was said that nothing follows', () => {
      const decoder = new LtxDecoder()
      decoder.push(small['no pages'])
      assert.deepEqual([decoder.next(), decoder.next(), decoder.next()], ['header', 'more', 'more'])
    })

    it('the same error from every call after one', () => {
      const decoder = new LtxDecoder()
      decoder.push(new Uint8Array(200))
      const error = ltxError(() => decoder.next())
      assert.equal(
        ltxError(() => decoder.next()),
        error,
      )
      assert.equal(
        ltxError(() => decoder.push(first)),
        error,
      )
      assert.equal(
        ltxError(() => decoder.finish()),
        error,
      )
    })
  })

  it('says where in the file it noticed', () => {
    const bytes = forge({ pages: [{ page: 2, data: first }, { page: 1, data: second }, { page: 3, data: third }] }) // prettier-ignore
    const error = ltxError(() => decode(bytes, [9]))
    assert.equal(error.offset, 100 + 10 + 3 + 512)
    assert.match(error.message, /page 1 comes after page 2 \(at byte 625\)$/)
  })
})

/** Where the compressed bytes of a file lie: its LZ4 blocks, whether a size stands before them or an LZ4 frame. */
function compressedRanges(bytes: Uint8Array): [number, number][] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const ranges: [number, number][] = []
  for (let at = 100; view.getUint32(at) !== 0;) {
    if (view.getUint16(at + 4) === 1) {
      const end = at + 10 + view.getUint32(at + 6)
      ranges.push([at + 10, end])
      at = end
    } else {
      const flags = bytes[at + 10]
      const start = at + 6 + 7 + (flags & 8 ? 8 : 0) + 4
      const field = view.getUint32(start - 4, true)
      const end = start + (field & 0x7fffffff)
      if (field >>> 31 === 0) ranges.push([start, end])
      at = end + (flags & 16 ? 4 : 0) + 4 + (flags & 4 ? 4 : 0)
    }
  }
  return ranges
}

/** Sets the flags of an LZ4 frame, and the checksum of its header to what it should be then. */
function setFrameFlags(frame: Uint8Array, flags: number): void {
  frame[4] = flags
  const end = flags & 8 ? 14 : 6
  frame[end] = xxHash32(frame.subarray(4, end)) >>> 8
}

/** An LZ4 frame of one block that is stored as it is, with no checksum but its header's. */
function storedFrame(data: Uint8Array): Uint8Array {
  const frame = new Uint8Array(7 + 4 + data.length + 4)
  const view = new DataView(frame.buffer)
  view.setUint32(0, 0x184d2204, true)
  frame[5] = 0x40
  setFrameFlags(frame, 0x60)
  view.setUint32(7, 0x80000000 | data.length, true)
  frame.set(data, 11)
  return frame
}
