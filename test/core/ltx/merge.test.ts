import assert from 'node:assert/strict'
import { CHECKSUM_FLAG, type ChecksumMode, type LtxHeader, mergeLtx } from '../../../core/ltx/index.js'
import { decode, encode, header, inPieces, merge, Model, type Pages, Sink, withCode } from '../../helpers/ltx.js'
import { Random } from '../../helpers/ltx-random.js'

const PAGE = 512

/** One transaction of a made-up history: the file, and the database before and after it. */
interface Step {
  bytes: Uint8Array
  pages: Pages
  commit: number
  before: bigint
  after: Model
}

/**
 * A random history of transactions on one database, from an empty one. `holes`: it may grow by pages that it does not
 * write, as SQLite never does.
 */
function history(random: Random, length: number, checksums: () => ChecksumMode, holes = false): Step[] {
  const steps: Step[] = []
  const model = new Model(PAGE)
  let commit = 0
  for (let txid = 1; txid <= length; txid++) {
    const old = commit
    commit = Math.max(1, old + random.pick([0, 0, 0, 1, 2, 5, -1, -3, -8]))
    const pages: Pages = new Map()
    for (let page = 1; page <= commit; page++) {
      const must = txid === 1 || (page > old && !(holes && random.chance(0.5)))
      if (must || random.chance(0.2)) pages.set(page, random.page(PAGE))
    }
    const before = model.checksum
    model.apply({ header: header({ commit }), pages })
    const mode = checksums()
    const fields = header({
      ...{ commit, minTxid: txid, maxTxid: txid, checksums: mode, timestamp: 1000 + txid },
      ...{ pre: txid === 1 ? 0n : before, post: model.checksum },
      ...{ walOffset: 32, walSize: 100, walSalt1: 1, walSalt2: 2, nodeId: 9n },
    })
    const after = new Model(PAGE, model.file.slice())
    steps.push({ bytes: encode(fields, pages), pages, commit, before, after })
  }
  return steps
}

/** What merging the steps must hold, found in the plainest way: page by page, transaction by transaction. */
function plainMerge(steps: Step[]): Pages {
  const pages: Pages = new Map()
  let known = steps[0].commit
  for (const { commit, pages: written } of steps) {
    for (const page of [...pages.keys()]) if (page > commit) pages.delete(page)
    for (let page = known + 1; page <= commit; page++) pages.set(page, new Uint8Array(PAGE))
    for (const [page, data] of written) pages.set(page, data)
    known = commit
  }
  return new Map([...pages].sort(([a], [b]) => a - b))
}

/** Merges files that hold the transactions `first` to `last`, and compares the result with the plain one. */
async function assertMerges(steps: Step[], first: number, last: number, files: Uint8Array[]): Promise<Uint8Array> {
  const range = steps.slice(first - 1, last)
  const merged = await merge(files)
  const decoded = decode(merged.bytes, [777])
  const end = steps[last - 1]
  assert.deepEqual(decoded.header, merged.header)
  assert.deepEqual([decoded.header.minTxid, decoded.header.maxTxid], [first, last])
  assert.deepEqual([decoded.header.commit, decoded.header.timestamp], [end.commit, 1000 + last])
  const base = first === 1 ? new Model(PAGE) : new Model(PAGE, steps[first - 2].after.file.slice())
  assert.deepEqual(base.apply(decoded).file, end.after.file)
  const expected = plainMerge(range)
  assert.deepEqual([...decoded.pages.keys()], [...expected.keys()])
  assert.deepEqual(decoded.pages, expected)
  return merged.bytes
}

describe('mergeLtx', () => {
  for (const holes of [false, true]) {
    it(`leaves what the files leave one after the other, however they are cut${holes ? ', holes or not' : ''}`, async () => {
      for (let seed = 1; seed <= 60; seed++) {
        const random = new Random(seed)
        const modes: ChecksumMode[] = seed % 3 === 0 ? ['tracked'] : ['portable']
        const steps = history(random, 12, () => random.pick(modes), holes)
        const spans: [number, number, Uint8Array][] = steps.map((step, i) => [i + 1, i + 1, step.bytes])
        for (let round = 0; round < 8; round++) {
          const from = random.between(1, 11)
          const to = random.between(from + 1, 12)
          // A chain of spans from the pool, single transactions or merges of before, overlapping as they may.
          const chain: [number, number, Uint8Array][] = []
          for (let reached = from - 1; reached < to; reached = chain[chain.length - 1][1]) {
            const fitting = spans.filter(([min, max]) => {
              const starts = reached === from - 1 ? min === from : min >= from && min <= reached + 1
              return starts && max > reached && max <= to
            })
            chain.push(random.pick(fitting))
          }
          const files = chain.map(([, , bytes]) => bytes)
          if (files.length > 1) spans.push([from, to, await assertMerges(steps, from, to, files)])
        }
      }
    })
  }

  it('of one file is that file again, where it came from and all', async () => {
    const bytes = encode(
      header({ walOffset: 32, walSize: 5, walSalt1: 7, nodeId: 3n }),
      new Map([[3, new Uint8Array(PAGE)]]),
    )
    const merged = await merge([bytes])
    assert.deepEqual(merged.bytes, bytes)
  })

  it('of several says nothing of where the frames lay, nor who wrote them', async () => {
    const steps = history(new Random(7), 2, () => 'portable')
    const { header: merged } = decode((await merge(steps.map((step) => step.bytes))).bytes)
    const { walOffset, walSize, walSalt1, walSalt2, nodeId } = merged
    assert.deepEqual({ walOffset, walSize, walSalt1, walSalt2, nodeId }, {
      ...{ walOffset: 0, walSize: 0, walSalt1: 0, walSalt2: 0, nodeId: 0n },
    }) // prettier-ignore
  })

  it('takes pages that a shrink cut off for gone, even where the database grew again', async () => {
    const [old, young] = [new Uint8Array(PAGE).fill(1), new Uint8Array(PAGE).fill(2)]
    const files = [
      encode(header({ minTxid: 2, maxTxid: 2, commit: 9 }), new Map([[5, old], [7, old], [9, old]])),
      encode(header({ minTxid: 3, maxTxid: 3, commit: 4 }), new Map()),
      encode(header({ minTxid: 4, maxTxid: 4, commit: 8 }), new Map([[5, young], [6, young], [8, young]])),
    ] // prettier-ignore
    const { pages } = decode((await merge(files)).bytes)
    assert.deepEqual(pages, new Map([[5, young], [6, young], [7, new Uint8Array(PAGE)], [8, young]])) // prettier-ignore
  })

  it('drops pages beyond the final size', async () => {
    const one = new Uint8Array(PAGE)
    const files = [
      encode(header({ minTxid: 2, maxTxid: 2, commit: 9 }), new Map([[2, one], [8, one], [9, one]])),
      encode(header({ minTxid: 3, maxTxid: 3, commit: 8 }), new Map([[1, one]])),
    ] // prettier-ignore
    assert.deepEqual([...decode((await merge(files)).bytes).pages.keys()], [1, 2, 8])
  })

  it('goes round the lock page, also where it has to fill', async () => {
    const one = new Uint8Array(65536).fill(3)
    const fields = { pageSize: 65536, commit: 16388 }
    const files = [
      encode(header({ ...fields, minTxid: 2, maxTxid: 2 }), new Map([[16384, one], [16388, one]])),
      encode(header({ ...fields, minTxid: 3, maxTxid: 3, commit: 16384 }), new Map()),
      encode(header({ ...fields, minTxid: 4, maxTxid: 4 }), new Map([[16386, one]])),
    ] // prettier-ignore
    assert.deepEqual([...decode((await merge(files)).bytes).pages.keys()], [16384, 16386, 16387, 16388])
  })

  describe('carries checksums', () => {
    const steps = history(new Random(21), 4, () => 'portable')
    const tracked = history(new Random(21), 4, () => 'tracked')
    const files = steps.map((step) => step.bytes)
    const [start, end] = [steps[1].before, steps[3].after.checksum]

    it('as the newest file does', async () => {
      const mixed = [files[1], tracked[2].bytes, files[3]]
      assert.deepEqual((await merge(mixed)).header, decode((await merge(files.slice(1))).bytes).header)
      assert.equal((await merge([files[1], files[2], tracked[3].bytes])).header.checksums, 'tracked')
    })

    it('from portable to tracked and back', async () => {
      const asTracked = await merge(files.slice(1), { checksums: 'tracked' })
      assert.deepEqual([asTracked.header.pre, asTracked.header.post], [start, end])
      const inputs = tracked.slice(1).map((step) => step.bytes)
      const asPortable = await merge(inputs, { checksums: 'portable', post: end })
      assert.deepEqual([asPortable.header.pre, asPortable.header.post], [start, end])
      assert.deepEqual(decode(asPortable.bytes).header, asPortable.header)
    })

    it('of none when the newest keeps its own for the trailer and nobody said it before', async () => {
      const merged = await merge(tracked.slice(1).map((step) => step.bytes), { checksums: 'portable' }) // prettier-ignore
      assert.deepEqual([merged.header.pre, merged.header.post], [0n, 0n])
      assert.deepEqual(decode(merged.bytes).header, merged.header)
    })

    it('unless what was announced turns out wrong', async () => {
      const inputs = tracked.slice(1).map((step) => step.bytes)
      await assert.rejects(merge(inputs, { checksums: 'portable', post: end + 1n }), withCode('LTX_CHECKSUM'))
      await assert.rejects(merge(inputs, { post: end ^ 2n }), withCode('LTX_CHECKSUM'))
      // The pages of a snapshot prove themselves.
      const all = tracked.map((step) => step.bytes)
      await assert.rejects(merge(all, { checksums: 'portable', post: end ^ 2n }), withCode('LTX_CHECKSUM'))
    })

    it('unless they are not known and have to be', async () => {
      const unknown = [2, 3].map((txid) => encode(header({ minTxid: txid, maxTxid: txid }), new Map()))
      await assert.rejects(merge(unknown, { checksums: 'tracked' }), withCode('LTX_USAGE'))
    })
  })

  describe('refuses', () => {
    const file = (fields: Partial<LtxHeader>) => encode(header(fields), new Map([[1, new Uint8Array(fields.pageSize ?? PAGE)]])) // prettier-ignore
    const [a, b] = [CHECKSUM_FLAG | 1n, CHECKSUM_FLAG | 2n]
    const chained = (txid: number, pre: bigint, post: bigint, checksums: ChecksumMode) =>
      file({ minTxid: txid, maxTxid: txid, pre, post, checksums })
    const cases: [string, Uint8Array[], RegExp][] = [
      ['nothing', [], /no files/],
      ['pages of two sizes', [file({ minTxid: 2, maxTxid: 2 }), file({ minTxid: 3, maxTxid: 3, pageSize: 1024 })], /1024/],
      ['a gap', [file({ minTxid: 2, maxTxid: 3 }), file({ minTxid: 5, maxTxid: 5 })], /4 to 4/],
      ['files that come in the wrong order', [file({ minTxid: 3, maxTxid: 3 }), file({ minTxid: 2, maxTxid: 2 })], /after/],
      ['a file twice', [file({ minTxid: 2, maxTxid: 2 }), file({ minTxid: 2, maxTxid: 2 })], /after/],
      ['a file inside the one before', [file({ minTxid: 2, maxTxid: 5 }), file({ minTxid: 3, maxTxid: 4 })], /after/],
      ['a chain that breaks', [chained(2, a, b, 'portable'), chained(3, a, b, 'portable')], /does not continue/],
      ['a chain that breaks in a trailer', [chained(2, a, b, 'tracked'), chained(3, a, b, 'tracked')], /does not continue/],
      ['a chain that breaks where the kinds meet', [chained(2, a, b, 'tracked'), chained(3, a, b, 'portable')], /does not continue/],
    ] // prettier-ignore
    for (const [what, files, message] of cases) {
      it(what, async () => assert.rejects(merge(files), withCode('LTX_USAGE', message)))
    }

    it('no chain that holds, whatever kinds meet', async () => {
      for (const kinds of [['tracked', 'tracked'], ['tracked', 'portable'], ['portable', 'tracked']] as const) {
        await merge([chained(2, a, b, kinds[0]), chained(3, b, a, kinds[1])])
      } // prettier-ignore
    })
  })

  describe('reads its inputs', () => {
    const random = new Random(31)
    const files = history(random, 5, () => 'portable').map((step) => step.bytes)

    it('to the end, and leaves half a file where one of them is damaged', async () => {
      for (const damaged of files.keys()) {
        for (const spoil of ['flip', 'cut'] as const) {
          const inputs = files.map((bytes) => bytes.slice())
          if (spoil === 'flip') inputs[damaged][inputs[damaged].length - 1] ^= 1
          else inputs[damaged] = inputs[damaged].subarray(0, -1)
          const sink = new Sink()
          await assert.rejects(mergeLtx(inputs.map((bytes) => inPieces(bytes)), sink.write), { name: 'LtxError' }) // prettier-ignore
          assert.throws(() => decode(sink.bytes), withCode('LTX_TRUNCATED'))
        }
      }
    })

    it('from streams as from arrays', async () => {
      async function* stream(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
        for (const piece of inPieces(bytes, 100)) {
          await Promise.resolve()
          yield piece
        }
      }
      const sink = new Sink()
      await mergeLtx([stream(files[0]), [files[1]], stream(files[2]), inPieces(files[3], 1), [files[4]]], sink.write)
      assert.deepEqual(sink.bytes, (await merge(files)).bytes)
    })

    it('and closes every one of them, whatever happens, even if one cannot be closed', async () => {
      for (const failing of [false, true]) {
        const closed: number[] = []
        const sources = files.map((bytes, i) => {
          const pieces = inPieces(bytes, 50)
          return {
            [Symbol.asyncIterator]: () => ({
              next: () => {
                if (failing && i === 3) throw new Error('connection lost')
                return Promise.resolve(pieces.next())
              },
              return: () => {
                closed.push(i)
                if (failing && i === 1) throw new Error('cannot close')
                return Promise.resolve({ done: true as const, value: undefined })
              },
            }),
          }
        })
        const result = mergeLtx(sources, () => undefined)
        if (failing) await assert.rejects(result, /connection lost/)
        else await result
        assert.deepEqual(closed, [0, 1, 2, 3, 4])
      }
    })

    it('and stops when the caller cannot write any more', async () => {
      const sources = () => files.map((bytes) => inPieces(bytes, 50))
      const full = () => {
        throw new Error('disk full')
      }
      await assert.rejects(mergeLtx(sources(), full), /disk full/)
      await assert.rejects(
        mergeLtx(sources(), () => undefined, { drain: full }),
        /disk full/,
      )
      await assert.rejects(mergeLtx(sources(), () => undefined, { drain: () => Promise.reject(new Error('disk full')) }), /disk full/) // prettier-ignore
    })

    it('one piece at a time: memory does not grow with their size', async () => {
      const [count, pages, pieceSize] = [20, 500, 16 * 1024]
      const noise = random.bytes(4096 + pages)
      const inputs = Array.from({ length: count }, (_, i) => {
        const content: Pages = new Map()
        for (let page = 1; page <= pages; page++) content.set(page, noise.subarray(page, page + 4096))
        return encode(header({ pageSize: 4096, commit: pages, minTxid: i + 2, maxTxid: i + 2 }), content)
      })
      let peak = 0
      const before = process.memoryUsage().arrayBuffers
      await mergeLtx(
        inputs.map((bytes) => inPieces(bytes, pieceSize)),
        () => undefined,
        { drain: () => void (peak = Math.max(peak, process.memoryUsage().arrayBuffers - before)) },
      )
      const total = inputs.reduce((sum, bytes) => sum + bytes.length, 0)
      const each = 3 * pieceSize
      assert.ok(total > 40_000_000)
      assert.ok(peak < count * each + 500_000, `${peak} bytes while merging ${total}`)
    })

    it('gives the caller a chance to write after a long run of zeros too', async () => {
      const one = new Uint8Array(PAGE)
      const fields = { minTxid: 2, maxTxid: 2 }
      const inputs = [
        encode(header({ ...fields, commit: 1 }), new Map([[1, one]])),
        encode(header({ minTxid: 3, maxTxid: 3, commit: 10_000 }), new Map([[10_000, one]])),
      ]
      let [largest, since] = [0, 0]
      await mergeLtx(
        inputs.map((bytes) => [bytes]),
        (bytes) => void (largest = Math.max(largest, (since += bytes.length))),
        { drain: () => void (since = 0) },
      )
      assert.ok(largest < 100_000, `${largest} bytes without a pause`)
    })
  })
})
