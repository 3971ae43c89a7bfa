import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { DatabaseChecksum, formatChecksum, indexLength, pageChecksum, readIndex } from '../../../core/ltx/index.js'
import { decode, fixture, fixtureFiles, merge, Model, repositoryPath } from '../../helpers/ltx.js'

const PAGE_SIZES = [512, 4096, 65536]

/** What a database must be after a transaction, as the reference tools saw it. */
interface Expected {
  txid?: number
  pages: number
  sha256: string
  checksum: string
}

function expected(folder: string): Expected[] {
  return JSON.parse(readFileSync(repositoryPath(`test/fixtures/ltx/${folder}/expected.json`), 'utf8')) as Expected[]
}

function name(min: number, max: number): string {
  return `${min.toString(16).padStart(16, '0')}-${max.toString(16).padStart(16, '0')}.ltx`
}

function assertIs(model: Model, state: Expected): void {
  assert.equal(model.file.length, state.pages * model.pageSize)
  assert.equal(createHash('sha256').update(model.file).digest('hex'), state.sha256)
  // The reference's checksum of the file against ours, both the slow and the fast one.
  assert.equal(formatChecksum(model.checksum), state.checksum)
  const sum = new DatabaseChecksum()
  for (let page = 1; page <= state.pages; page++) {
    const checksum = pageChecksum(page, model.file.subarray((page - 1) * model.pageSize, page * model.pageSize))
    sum.toggle(Number(checksum >> 32n), Number(checksum & 0xffffffffn))
  }
  assert.equal(formatChecksum(sum.value), state.checksum)
}

describe('files of the reference encoder', () => {
  for (const pageSize of PAGE_SIZES) {
    const states = expected(`go/${pageSize}`)
    for (const mode of ['tracked', 'untracked']) {
      const file = (min: number, max = min) => fixture(`ltx/go/${pageSize}/${mode}/${name(min, max)}`)

      it(`make the databases they were made from, one after the other (${pageSize}, ${mode})`, () => {
        const model = new Model(pageSize)
        states.forEach((state, i) => {
          const decoded = decode(file(i + 1), [97])
          if (mode === 'tracked') {
            assert.equal(decoded.header.pre, i === 0 ? 0n : model.checksum)
            assert.equal(formatChecksum(decoded.header.post), state.checksum)
            assert.equal(decoded.trailer.post, decoded.header.post)
          } else {
            assert.deepEqual([decoded.header.pre, decoded.header.post, decoded.trailer.post], [0n, 0n, 0n])
          }
          assert.deepEqual(decoded.header.checksums, mode === 'tracked' ? 'tracked' : 'portable')
          assert.deepEqual([decoded.header.minTxid, decoded.header.maxTxid], [i + 1, i + 1])
          assert.equal(decoded.header.timestamp, 1_700_000_000_000 + i)
          assertIs(model.apply(decoded), state)
        })
      })

      it(`make the last of them when compacted by the reference (${pageSize}, ${mode})`, () => {
        const last = states[states.length - 1]
        assertIs(new Model(pageSize).apply(decode(file(1, states.length))), last)
        assertIs(new Model(pageSize).apply(decode(file(1))).apply(decode(file(2, states.length))), last)
      })

      it(`merge into what the reference merges them into (${pageSize}, ${mode})`, async () => {
        for (const first of [1, 2]) {
          const inputs = states.slice(first - 1).map((_, i) => file(first + i))
          const ours = decode((await merge(inputs)).bytes)
          const theirs = decode(file(first, states.length))
          assert.deepEqual(ours.header, theirs.header)
          assert.deepEqual(ours.pages, theirs.pages)
          assert.equal(ours.trailer.post, theirs.trailer.post)
        }
      })
    }

    it(`empty the database (${pageSize})`, () => {
      const txid = states.length + 1
      const decoded = decode(fixture(`ltx/go/${pageSize}/tracked/${name(txid, txid)}`))
      assert.equal(decoded.header.commit, 0)
      assert.equal(decoded.pages.size, 0)
    })
  }

  it('go round the lock page', () => {
    const { header, pages } = decode(fixture('ltx/go/lock-page-65536.ltx'))
    assert.deepEqual([...pages.keys()], [16383, 16384, 16386, 16387])
    assert.equal(header.commit, 16387)
    for (const [page, data] of pages) {
      assert.ok(data.every((byte, i) => byte === ((i * 7 + (i >> 8) * 13 + page) & 0xff)))
    }
  })
})

describe('LZ4 frames as the reference library writes them', () => {
  for (const kind of ['plain', 'content-size', 'block-checksum']) {
    for (const pageSize of PAGE_SIZES) {
      it(`${kind}, ${pageSize}-byte pages`, () => {
        const blocks = decode(fixture(`ltx/go/${pageSize}/untracked/${name(1, 1)}`))
        const frames = decode(fixture(`ltx/frames/${kind}-${pageSize}.ltx`))
        assert.deepEqual(frames.pages, blocks.pages)
        assert.deepEqual(frames.header, blocks.header)
      })
    }
  }

  it('not compressed', () => {
    const frames = decode(fixture('ltx/frames/stored-512.ltx'))
    assert.deepEqual(frames.pages, decode(fixture(`ltx/go/512/tracked/${name(3, 3)}`)).pages)
  })
})

for (const version of ['0.5.17', '0.5.15']) {
  describe(`files of Litestream ${version}`, () => {
    for (const pageSize of PAGE_SIZES) {
      const folder = `litestream-${version}/${pageSize}`

      it(`restore to what its own restore made of them at each transaction (${pageSize})`, () => {
        const model = new Model(pageSize)
        const files = fixtureFiles(`ltx/${folder}/ltx/0`)
        const states = expected(folder)
        assert.equal(files.length, states.length)
        files.forEach(({ bytes }, i) => assertIs(model.apply(decode(bytes, [101])), states[i]))
      })

      it(`restore from its snapshot and what came after (${pageSize})`, () => {
        const states = expected(folder)
        const [snapshot] = fixtureFiles(`ltx/${folder}/ltx/9`)
        const decoded = decode(snapshot.bytes)
        const model = new Model(pageSize).apply(decoded)
        const { maxTxid } = decoded.header
        assertIs(model, states[maxTxid - 1])
        for (const { bytes } of fixtureFiles(`ltx/${folder}/ltx/0`).slice(maxTxid)) model.apply(decode(bytes))
        assertIs(model, states[states.length - 1])
      })

      it(`merge into one that makes the same (${pageSize})`, async () => {
        const files = fixtureFiles(`ltx/${folder}/ltx/0`).map((file) => file.bytes)
        const states = expected(folder)
        const merged = await merge(files)
        assertIs(new Model(pageSize).apply(decode(merged.bytes)), states[states.length - 1])
      })

      it(`are of the encoding they are here for (${pageSize})`, () => {
        for (const { bytes } of fixtureFiles(`ltx/${folder}/ltx/0`)) {
          assert.equal(bytes[105], version === '0.5.17' ? 1 : 0)
        }
      })

      it(`have an index that names where each page lies (${pageSize})`, () => {
        for (const { bytes } of [...fixtureFiles(`ltx/${folder}/ltx/0`), ...fixtureFiles(`ltx/${folder}/ltx/9`)]) {
          const { header, pages } = decode(bytes)
          const entries = [
            ...readIndex(bytes.subarray(-indexLength(bytes, bytes.length)), { ...header, fileSize: bytes.length }),
          ]
          assert.deepEqual(
            entries.map((entry) => entry.page),
            [...pages.keys()],
          )
        }
      })
    }
  })
}
