import assert from 'node:assert/strict'
import { LtxDecoder, pageChecksum } from '../../../core/ltx/index.js'
import { BasePageSet, type PageCursor } from '../../../core/pages/page-set.js'
import { encodeLtx } from '../../../core/stages/encode.js'
import { mergedBody } from '../../../core/compact/merged-body.js'
import { concat } from '../../helpers/ltx-forge.js'
import { decode, encode, header } from '../../helpers/ltx.js'

/** Far more than a piece holds, and its index several times a piece. */
const PAGES = 100_000
const MOST = 300_000

const page = new Uint8Array(512).fill(7)

/** So many pages of the same bytes, in a database of which every other page has changed. */
class EveryOther extends BasePageSet {
  readonly pageSize = 512
  readonly commit = 2 * PAGES

  cursor(): PageCursor {
    let at = -1
    const sum = () => pageChecksum(at, page)
    return {
      get page() {
        return at
      },
      get high() {
        return Number(sum() >> 32n)
      },
      get low() {
        return Number(sum() & 0xffffffffn)
      },
      next: () => (at += 2) < this.commit,
      read: (into) => into.set(page),
      close: () => undefined,
    }
  }
}

async function pieces(body: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const all: Uint8Array[] = []
  for await (const piece of body) all.push(Uint8Array.from(piece))
  return all
}

describe('a body that is being made', () => {
  const fields = header({ commit: 2 * PAGES, minTxid: 2, maxTxid: 2, pre: 0n, post: 0n, checksums: 'portable' })

  it('comes in pieces of a bounded size to its end, which is a page index of megabytes in a large file', async () => {
    const made = await pieces(encodeLtx(fields, new EveryOther()))
    const bytes = concat(...made)
    assert.equal(decode(bytes).pages.size, PAGES)
    assert.ok(Math.max(...made.map(({ length }) => length)) < MOST)

    const empty = encode(header({ ...fields, minTxid: 3, maxTxid: 3 }), new Map())
    const merged = await pieces(mergedBody([made, [empty]], {}, () => undefined))
    assert.equal(decode(concat(...merged)).pages.size, PAGES)
    assert.ok(Math.max(...merged.map(({ length }) => length)) < 2 * MOST)
  })

  it('ends at a page that is not the one that was announced, and hands nothing of it on', async () => {
    const pages = new EveryOther()
    const cursor = pages.cursor.bind(pages)
    const changed = 999
    pages.cursor = () => {
      const inner = cursor()
      const read = (into: Uint8Array) => {
        into.set(page)
        if (inner.page === changed) into[5] ^= 1
      }
      return Object.defineProperties(Object.create(inner) as PageCursor, { read: { value: read } })
    }
    const made: Uint8Array[] = []
    const encoding = (async () => {
      for await (const piece of encodeLtx(fields, pages)) made.push(Uint8Array.from(piece))
    })()
    await assert.rejects(encoding, { code: 'E_CHECKSUM', message: /^page 999 changed/ })
    const decoder = new LtxDecoder()
    for (const piece of made) decoder.push(piece)
    for (let step = decoder.next(); step !== 'more'; step = decoder.next()) {
      if (step === 'page') assert.ok(decoder.page < changed)
    }
  })

  it('is the same when another is made at the same time, piece by piece', async () => {
    const alone = concat(...(await pieces(encodeLtx(fields, new EveryOther()))))
    const both = [encodeLtx(fields, new EveryOther()), encodeLtx(fields, new EveryOther())]
    const made: Uint8Array[][] = [[], []]
    const iterators = both.map((body) => body[Symbol.asyncIterator]())
    for (let open = 2; open > 0;) {
      open = 0
      for (const [i, iterator] of iterators.entries()) {
        const step = await iterator.next()
        if (step.done) continue
        made[i].push(Uint8Array.from(step.value))
        open++
      }
    }
    for (const one of made) assert.deepEqual(concat(...one), alone)
  })
})
