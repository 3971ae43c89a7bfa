import assert from 'node:assert/strict'
import { scratch } from '../../../core/kernel/kernel.js'
import {
  CHECKSUM_FLAG,
  DatabaseChecksum,
  LtxDecoder,
  LtxEncoder,
  type LtxHeader,
  pageChecksum,
} from '../../../core/ltx/index.js'
import { decode, encode, header, Model, type Pages, Sink, withCode } from '../../helpers/ltx.js'
import { Random } from '../../helpers/ltx-random.js'
import { slowCrc64, slowPageChecksum } from '../../helpers/ltx-slow.js'

const nothing = (): void => undefined
const page512 = new Random(1).page(512)
const LOCK_PAGE_65536 = 16385

/** An encoder that has its header. */
function begun(fields: Partial<LtxHeader> = {}): LtxEncoder {
  const encoder = new LtxEncoder(nothing)
  encoder.begin(header(fields))
  return encoder
}

function randomPages(random: Random, pageSize: number, numbers: number[]): Pages {
  return new Map(numbers.map((page) => [page, random.page(pageSize)]))
}

/** A snapshot of a made-up database, with the checksum it ends in. */
function snapshotOf(pageSize: number, commit: number): { pages: Pages; post: bigint } {
  const pages = randomPages(
    new Random(pageSize + commit),
    pageSize,
    Array.from({ length: commit }, (_, i) => i + 1),
  )
  const post = [...pages].reduce((sum, [page, data]) => sum ^ slowPageChecksum(page, data), 0n) | CHECKSUM_FLAG
  return { pages, post }
}

describe('LtxEncoder', () => {
  describe('writes files that come back', () => {
    for (const pageSize of [512, 1024, 2048, 4096, 8192, 16384, 32768, 65536]) {
      for (const checksums of ['portable', 'tracked'] as const) {
        it(`with ${pageSize}-byte pages, ${checksums}`, () => {
          const pages = randomPages(new Random(pageSize), pageSize, [1, 2, 5, 9, 200, 300])
          const fields = header({
            ...{ pageSize, commit: 300, minTxid: 5, maxTxid: 0x123456789abc, timestamp: -5, checksums },
            ...{ pre: CHECKSUM_FLAG | 77n, post: CHECKSUM_FLAG | 88n, nodeId: 0xfedcba9876543210n },
            ...{ walOffset: 2 ** 40 + 32, walSize: 2 ** 41, walSalt1: 0xffffffff, walSalt2: 1 },
          })
          const decoded = decode(encode(fields, pages))
          assert.deepEqual(decoded.header, fields)
          assert.deepEqual(decoded.pages, pages)
          assert.equal(decoded.trailer.post, checksums === 'tracked' ? fields.post : 0n)
        })
      }

      it(`with a snapshot of ${pageSize}-byte pages that states its checksum`, () => {
        const { pages, post } = snapshotOf(pageSize, 6)
        for (const checksums of ['portable', 'tracked'] as const) {
          const fields = header({ pageSize, commit: 6, minTxid: 1, maxTxid: 3, checksums, post })
          const decoded = decode(encode(fields, pages))
          assert.deepEqual(decoded.header, fields)
          assert.deepEqual(decoded.pages, pages)
        }
      })
    }

    it('without any page: a transaction that only cut the database off', () => {
      assert.equal(decode(encode(header({ commit: 3 }), new Map())).pages.size, 0)
    })

    it('for an empty database, whose checksum is only the top bit', () => {
      const empty = header({ minTxid: 1, commit: 0, checksums: 'tracked' })
      assert.equal(decode(encode(empty, new Map(), CHECKSUM_FLAG)).header.post, CHECKSUM_FLAG)
      assert.equal(decode(encode({ ...empty, checksums: 'portable' }, new Map())).header.post, 0n)
    })

    it('with more pages than one buffer of the page index holds', () => {
      const one = new Random(2).page(512)
      for (const count of [16, 17, 4000, 70_000]) {
        const pages: Pages = new Map(Array.from({ length: count }, (_, i) => [3 * i + 1, one]))
        const decoded = decode(encode(header({ commit: 3 * count }), pages))
        assert.equal(decoded.pages.size, count)
      }
    })

    it('with pages on both sides of the lock page', () => {
      const numbers = [LOCK_PAGE_65536 - 1, LOCK_PAGE_65536 + 1]
      const pages = randomPages(new Random(3), 65536, numbers)
      const decoded = decode(encode(header({ pageSize: 65536, commit: LOCK_PAGE_65536 + 5 }), pages))
      assert.deepEqual(decoded.pages, pages)
    })

    it('as a snapshot past the lock page, which is the one page it leaves out', function () {
      this.timeout(60_000)
      const zeros = new Uint8Array(65536)
      const commit = LOCK_PAGE_65536 + 1
      const sum = new DatabaseChecksum()
      const stored = Array.from({ length: commit }, (_, i) => i + 1).filter((page) => page !== LOCK_PAGE_65536)
      for (const page of stored) {
        const checksum = pageChecksum(page, zeros)
        sum.toggle(Number(checksum >> 32n), Number(checksum & 0xffffffffn))
      }
      const sink = new Sink()
      const encoder = new LtxEncoder(sink.write)
      encoder.begin(header({ pageSize: 65536, commit, minTxid: 1, post: sum.value }))
      for (const page of stored) encoder.page(page, zeros)
      encoder.end()
      const decoder = new LtxDecoder()
      decoder.push(sink.bytes)
      decoder.finish()
      const read: number[] = []
      for (let step = decoder.next(); step !== 'end'; step = decoder.next())
        if (step === 'page') read.push(decoder.page)
      assert.deepEqual(read, stored)
    })

    it('from pages in the scratch buffer, where scanned frames lie', () => {
      // The head of each frame is hashed just before the page: it must not be put where the page is.
      const pages = randomPages(new Random(4), 512, [1, 2, 3])
      const sink = new Sink()
      const encoder = new LtxEncoder(sink.write)
      encoder.begin(header())
      for (const [page, data] of pages) {
        scratch.set(data)
        encoder.page(page, scratch.subarray(0, 512))
      }
      encoder.end()
      assert.deepEqual(decode(sink.bytes).pages, pages)
    })

    it('side by side with another encoder', () => {
      const pages = randomPages(new Random(5), 512, [1, 2, 3])
      const sinks = [new Sink(), new Sink()]
      const encoders = sinks.map((sink) => new LtxEncoder(sink.write))
      for (const encoder of encoders) encoder.begin(header())
      for (const [page, data] of pages) for (const encoder of encoders) encoder.page(page, data)
      for (const encoder of encoders) encoder.end()
      for (const sink of sinks) assert.deepEqual(decode(sink.bytes).pages, pages)
    })

    it('and tells its size and its trailer', () => {
      const sink = new Sink()
      const encoder = new LtxEncoder(sink.write)
      encoder.begin(header())
      encoder.page(3, page512)
      const trailer = encoder.end()
      const { bytes } = sink
      assert.equal(encoder.size, bytes.length)
      const view = new DataView(bytes.buffer)
      assert.equal(trailer.fileChecksum, view.getBigUint64(bytes.length - 8))
      const blockEnd = 110 + view.getUint32(106)
      const hashed = [bytes.subarray(0, 110), page512, bytes.subarray(blockEnd, bytes.length - 8)]
      assert.equal(trailer.fileChecksum, slowCrc64(...hashed) | CHECKSUM_FLAG)
    })

    it('with headers copied: changing the fields afterwards changes nothing', () => {
      const fields = header({ minTxid: 1, maxTxid: 1, commit: 1 })
      const encoder = new LtxEncoder(nothing)
      encoder.begin(fields)
      fields.commit = 5
      encoder.page(1, page512)
      encoder.end()
    })
  })

  describe('keeps the chain', () => {
    const chain = { pre: CHECKSUM_FLAG | 0xabcdn, post: CHECKSUM_FLAG | 0x1234n }

    it('of a portable file in the reserved bytes, the native fields empty', () => {
      const bytes = encode(header(chain), new Map([[1, page512]]))
      const view = new DataView(bytes.buffer)
      assert.equal(view.getUint32(4), 2)
      assert.equal(view.getBigUint64(40), 0n)
      assert.equal(view.getBigUint64(80), chain.pre)
      assert.equal(view.getBigUint64(88), chain.post)
      assert.equal(Buffer.from(bytes.buffer, 96, 4).toString('latin1'), 'WLR1')
      assert.equal(view.getBigUint64(bytes.length - 16), 0n)
    })

    it('of a tracked file in the native fields, the reserved bytes empty', () => {
      const bytes = encode(header({ ...chain, checksums: 'tracked' }), new Map([[1, page512]]))
      const view = new DataView(bytes.buffer)
      assert.equal(view.getUint32(4), 0)
      assert.equal(view.getBigUint64(40), chain.pre)
      assert.deepEqual(bytes.subarray(80, 100), new Uint8Array(20))
      assert.equal(view.getBigUint64(bytes.length - 16), chain.post)
    })

    it('out of a portable file that does not know it: the reserved bytes stay empty', () => {
      const bytes = encode(header({ pre: CHECKSUM_FLAG | 1n }), new Map([[1, page512]]))
      assert.deepEqual(bytes.subarray(80, 100), new Uint8Array(20))
      assert.deepEqual([decode(bytes).header.pre, decode(bytes).header.post], [0n, 0n])
    })

    it('of a tracked file that learns its end only at the end', () => {
      const fields = header({ checksums: 'tracked', pre: chain.pre })
      assert.equal(decode(encode(fields, new Map([[1, page512]]), chain.post)).header.post, chain.post)
    })

    it('against a caller who says one thing first and another at the end', () => {
      const wrong = chain.post + 1n
      assert.throws(() => begun({ ...chain, checksums: 'tracked' }).end(wrong), withCode('LTX_USAGE'))
      assert.throws(() => begun(chain).end(wrong), withCode('LTX_USAGE'))
      assert.throws(() => begun().end(chain.post), withCode('LTX_USAGE'))
    })

    it('against a snapshot whose pages do not have the checksum announced', () => {
      const { pages, post } = snapshotOf(512, 4)
      for (const checksums of ['portable', 'tracked'] as const) {
        const fields = header({ minTxid: 1, commit: 4, checksums, post })
        assert.throws(() => encode({ ...fields, post: post ^ 4n }, pages), withCode('LTX_CHECKSUM'))
        const damaged: Pages = new Map(pages).set(2, new Uint8Array(512))
        assert.throws(() => encode(fields, damaged), withCode('LTX_CHECKSUM'))
      }
      assert.equal(new Model(512).apply(decode(encode(header({ minTxid: 1, commit: 4 }), pages))).checksum, post)
    })
  })

  describe('refuses', () => {
    const cases: [string, () => unknown][] = [
      ['a page before the header', () => new LtxEncoder(nothing).page(1, page512)],
      ['an end before the header', () => new LtxEncoder(nothing).end()],
      ['a second header', () => begun().begin(header())],
      ['a page after the end', () => {
        const encoder = begun()
        encoder.end()
        encoder.page(1, page512)
      }],
      ['a second end', () => {
        const encoder = begun()
        encoder.end()
        encoder.end()
      }],
      ['page 0', () => begun().page(0, page512)],
      ['a negative page', () => begun().page(-1, page512)],
      ['half a page number', () => begun().page(1.5, page512)],
      ['a page number that is not one', () => begun().page(NaN, page512)],
      ['a page beyond the size', () => begun({ commit: 8 }).page(9, page512)],
      ['the lock page', () => begun({ pageSize: 65536, commit: 20_000 }).page(LOCK_PAGE_65536, new Uint8Array(65536))],
      ['the same page twice', () => {
        const encoder = begun()
        encoder.page(3, page512)
        encoder.page(3, page512)
      }],
      ['pages that descend', () => {
        const encoder = begun()
        encoder.page(3, page512)
        encoder.page(2, page512)
      }],
      ['a page too short', () => begun().page(1, page512.subarray(1))],
      ['a page too long', () => begun().page(1, new Uint8Array(1024))],
      ['a snapshot that does not begin with page 1', () => begun({ minTxid: 1 }).page(2, page512)],
      ['a snapshot with a hole', () => {
        const encoder = begun({ minTxid: 1 })
        encoder.page(1, page512)
        encoder.page(3, page512)
      }],
      ['a snapshot that ends too early', () => {
        const encoder = begun({ minTxid: 1, commit: 2 })
        encoder.page(1, page512)
        encoder.end()
      }],
      ['a tracked file without the checksum after it', () => begun({ checksums: 'tracked', pre: CHECKSUM_FLAG }).end()],
      ['a tracked file whose checksum lacks its top bit', () => begun({ checksums: 'tracked', pre: CHECKSUM_FLAG }).end(5n)],
      ['an empty database with a checksum of its own', () =>
        begun({ commit: 0, checksums: 'tracked', pre: CHECKSUM_FLAG }).end(CHECKSUM_FLAG | 1n)],
    ] // prettier-ignore
    for (const [what, work] of cases) it(what, () => assert.throws(work, withCode('LTX_USAGE')))

    const headers: [string, Partial<LtxHeader>][] = [
      ['a page size that is no power of two', { pageSize: 1000 }],
      ['a page size too small', { pageSize: 256 }],
      ['a page size too large', { pageSize: 131072 }],
      ['half a page size', { pageSize: 512.5 }],
      ['no page size', { pageSize: NaN }],
      ['a negative size', { commit: -1 }],
      ['a size beyond 32 bits', { commit: 2 ** 32 }],
      ['transaction 0', { minTxid: 0 }],
      ['transactions the wrong way round', { minTxid: 3, maxTxid: 2 }],
      ['a transaction beyond 2^53', { maxTxid: 2 ** 53 }],
      ['half a transaction', { minTxid: 1.5 }],
      ['a timestamp that is not a number', { timestamp: NaN }],
      ['half a millisecond', { timestamp: 0.5 }],
      ['a negative WAL offset', { walOffset: -32 }],
      ['a negative WAL size', { walOffset: 32, walSize: -1 }],
      ['a WAL size without an offset', { walSize: 100 }],
      ['a salt without an offset', { walSalt2: 1 }],
      ['a salt beyond 32 bits', { walOffset: 32, walSalt1: 2 ** 32 }],
      ['a negative salt', { walOffset: 32, walSalt2: -1 }],
      ['a negative node id', { nodeId: -1n }],
      ['a node id beyond 64 bits', { nodeId: 1n << 64n }],
      ['a checksum before without its top bit', { pre: 5n }],
      ['a checksum after without its top bit', { post: 5n }],
      ['a checksum beyond 64 bits', { post: 1n << 64n }],
      ['a negative checksum', { post: -1n }],
      ['a snapshot with a checksum before it', { minTxid: 1, pre: CHECKSUM_FLAG }],
      ['a tracked file without the checksum before it', { checksums: 'tracked', post: CHECKSUM_FLAG }],
      ['an empty database with a checksum of its own', { commit: 0, post: CHECKSUM_FLAG | 1n }],
    ]
    for (const [what, fields] of headers) {
      it(`a header with ${what}`, () => {
        let written = 0
        const encoder = new LtxEncoder((bytes) => (written += bytes.length))
        assert.throws(() => encoder.begin(header(fields)), withCode('LTX_USAGE'))
        assert.equal(written, 0)
        assert.throws(() => encoder.begin(header()), withCode('LTX_USAGE', /failed/))
      })
    }

    it('everything after an error, so that half a file never looks whole', () => {
      const encoder = begun()
      assert.throws(() => encoder.page(0, page512))
      assert.throws(() => encoder.page(1, page512), withCode('LTX_USAGE', /failed/))
      assert.throws(() => encoder.end(), withCode('LTX_USAGE', /failed/))
    })

    it('everything after its output failed, whichever part failed', () => {
      // Header, page, end mark, index entries, index size, trailer.
      for (let part = 0; part < 6; part++) {
        let calls = 0
        const encoder = new LtxEncoder(() => {
          if (calls++ === part) throw new Error('disk full')
        })
        const steps = [() => encoder.begin(header()), () => encoder.page(1, page512), () => encoder.end()]
        const failing = Math.min(part, 2)
        for (const step of steps.slice(0, failing)) step()
        assert.throws(steps[failing], /disk full/)
        assert.equal(calls, part + 1)
        for (const step of steps.slice(1)) assert.throws(step, withCode('LTX_USAGE', /failed/))
        assert.equal(calls, part + 1, 'nothing more is written')
      }
    })
  })
})
