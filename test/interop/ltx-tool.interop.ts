import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CHECKSUM_FLAG, type ChecksumMode, formatChecksum, indexLength, readIndex } from '../../core/ltx/index.js'
import { decode, type Decoded, encode, header, merge } from '../helpers/ltx.js'
import { mergeAsPackage } from '../helpers/ltx-package.js'
import { slowPageChecksum } from '../helpers/ltx-slow.js'
import { databaseStates, difference, ltxName, PAGE_SIZES } from './databases.js'
import { run } from './tools.js'

/** What `ltxgen read` prints: a file as the reference decoder sees it. */
interface ReferenceView {
  flags: number
  pageSize: number
  commit: number
  minTxid: number
  maxTxid: number
  timestamp: number
  pre: string
  post: string
  fileChecksum: string
  walOffset: number
  walSize: number
  walSalt1: number
  walSalt2: number
  nodeId: string
  pages: { page: number; checksum: string; offset: number; size: number }[]
}

function readByReference(file: string): ReferenceView {
  return JSON.parse(run('ltxgen', 'read', file)) as ReferenceView
}

/** The same view of the same file, by our decoder and our index reader. */
function readByUs(file: string): ReferenceView {
  const bytes = new Uint8Array(readFileSync(file))
  const { header: h, trailer, pages } = decode(bytes)
  const tail = bytes.subarray(-indexLength(bytes, bytes.length))
  const tracked = h.checksums === 'tracked'
  return {
    ...{ flags: tracked ? 0 : 2, pageSize: h.pageSize, commit: h.commit, minTxid: h.minTxid, maxTxid: h.maxTxid },
    ...{ timestamp: h.timestamp, walOffset: h.walOffset, walSize: h.walSize, walSalt1: h.walSalt1, walSalt2: h.walSalt2 },
    ...{ nodeId: String(h.nodeId), pre: formatChecksum(tracked ? h.pre : 0n), post: formatChecksum(trailer.post) },
    fileChecksum: formatChecksum(trailer.fileChecksum),
    pages: [...readIndex(tail, { ...h, fileSize: bytes.length })].map(({ page, offset, size }) => ({
      ...{ page, offset, size },
      checksum: formatChecksum(slowPageChecksum(page, pages.get(page)!)),
    })),
  } // prettier-ignore
}

for (const pageSize of PAGE_SIZES) {
  describe(`the reference LTX tool, ${pageSize}-byte pages`, () => {
    let folder: string
    let states: string[]
    before(() => {
      folder = mkdtempSync(join(tmpdir(), 'walrust-interop-'))
      states = databaseStates(folder, pageSize)
    })
    after(() => rmSync(folder, { recursive: true, force: true }))

    /** All transactions as files of ours: their paths, in order. */
    function ourFiles(checksums: ChecksumMode): string[] {
      mkdirSync(join(folder, checksums), { recursive: true })
      return states.map((state, i) => {
        const txid = i + 1
        const wal = i === 2 ? { walOffset: 32, walSize: 4152, walSalt1: 0xdeadbeef, walSalt2: 7, nodeId: 99n } : {}
        const fields = { pageSize, minTxid: txid, maxTxid: txid, checksums, timestamp: 1_700_000_000_000 + i, ...wal }
        const { header: fieldsAndChain, pages } = difference(states[i - 1], state, fields)
        const file = join(folder, checksums, ltxName(txid, txid))
        writeFileSync(file, encode(fieldsAndChain, pages))
        return file
      })
    }

    async function ourMerge(files: string[], checksums: ChecksumMode, first: number): Promise<string> {
      const { bytes } = await merge(files.slice(first - 1).map((file) => new Uint8Array(readFileSync(file))))
      const file = join(folder, checksums, ltxName(first, files.length))
      writeFileSync(file, bytes)
      return file
    }

    for (const checksums of ['portable', 'tracked'] as const) {
      it(`verifies what we write and merge (${checksums})`, async () => {
        const files = ourFiles(checksums)
        const merged = [await ourMerge(files, checksums, 1), await ourMerge(files, checksums, 2)]
        assert.equal(run('ltx', 'verify', ...files, ...merged), 'ok')
      })

      it(`verifies what a package merges that imports only walrust/ltx (${checksums})`, () => {
        const files = ourFiles(checksums)
        const target = join(folder, checksums, 'by-package.ltx')
        const { status, output } = mergeAsPackage(folder, target, files)
        assert.equal(status, 0, output)
        const named = join(folder, checksums, 'package', ltxName(1, files.length))
        mkdirSync(join(folder, checksums, 'package'), { recursive: true })
        renameSync(target, named)
        assert.equal(run('ltx', 'verify', named), 'ok')
      })

      it(`sees in it what we see (${checksums})`, async () => {
        const files = ourFiles(checksums)
        for (const file of [...files, await ourMerge(files, checksums, 1), await ourMerge(files, checksums, 2)]) {
          assert.deepEqual(readByReference(file), readByUs(file))
        }
      })

      it(`lists and dumps it (${checksums})`, () => {
        const files = ourFiles(checksums)
        const [, ...lines] = run('ltx', 'list', '-tsv', ...files).split('\n')
        assert.equal(lines.length, files.length)
        lines.forEach((line, i) => {
          const { header: h, pages } = decode(new Uint8Array(readFileSync(files[i])))
          const [min, max, commit, count, pre, post, , offset, size, salts] = line.split('\t')
          const txid = (i + 1).toString(16).padStart(16, '0')
          assert.deepEqual([min, max, commit, count], [txid, txid, String(h.commit), String(pages.size)])
          const known = (checksum: bigint) => formatChecksum(checksums === 'tracked' ? checksum : 0n)
          assert.deepEqual([pre, post], [known(h.pre), known(h.post)])
          assert.deepEqual([offset, size, salts], i === 2 ? ['32', '4152', 'deadbeef 00000007'] : ['0', '0', '00000000 00000000']) // prettier-ignore
          const dump = run('ltx', 'dump', files[i])
          assert.equal(dump.match(/^Frame #\d+: pgno=(\d+)$/gm)?.length ?? 0, pages.size)
          assert.match(dump, new RegExp(`^Post-apply: +${known(h.post)}$`, 'm'))
        })
      })

      it(`compacts our files into what we merge them into, and the other way round (${checksums})`, async () => {
        const flags = checksums === 'portable' ? ['-no-checksum'] : []
        const theirs = states.map((state, i) => {
          const txid = String(i + 1)
          const file = join(folder, checksums, `theirs-${txid}.ltx`)
          const from = i === 0 ? [] : ['-from', states[i - 1]]
          run('ltxgen', 'diff', '-min', txid, '-max', txid, '-time', '5', ...from, ...flags, '-o', file, state)
          return file
        })
        for (const files of [ourFiles(checksums), theirs]) {
          for (const first of [1, 2, 3]) {
            const compacted = join(folder, checksums, `compacted-${first}.ltx`)
            run('ltxgen', 'compact', ...flags, '-o', compacted, ...files.slice(first - 1))
            const reference = decode(new Uint8Array(readFileSync(compacted)))
            const ours = decode(new Uint8Array(readFileSync(await ourMerge(files, checksums, first))))
            assert.deepEqual(ours.pages, reference.pages)
            assert.deepEqual({ ...ours.header, ...unchained }, { ...reference.header, ...unchained })
            assert.equal(ours.trailer.post, reference.trailer.post)
          }
        }
      })
    }

    it('computes the checksum of a database as we do', () => {
      for (const [i, state] of states.entries()) {
        const { post } = difference(states[i - 1], state, { pageSize, minTxid: 2, maxTxid: 2 }).header
        assert.equal(run('ltx', 'checksum', state), formatChecksum(post))
      }
    })

    it('applies tracked files, checking the database before and after each', async () => {
      const files = ourFiles('tracked')
      const database = join(folder, 'applied.db')
      for (const [i, file] of files.entries()) {
        run('ltx', 'apply', '-db', database, file)
        assert.equal(Buffer.compare(readFileSync(database), readFileSync(states[i])), 0, `transaction ${i + 1}`)
      }
      const last = readFileSync(states[states.length - 1])
      for (const first of [1, 2]) {
        const target = join(folder, `merged-${first}.db`)
        if (first === 2) copyFileSync(states[0], target)
        run('ltx', 'apply', '-db', target, await ourMerge(files, 'tracked', first))
        assert.equal(Buffer.compare(readFileSync(target), last), 0)
      }
      // It does check: the second transaction does not follow the last one.
      assert.throws(() => run('ltx', 'apply', '-db', database, files[1]), /pre-apply checksum mismatch/)
    })

    it('verifies files that hold no pages, of an empty database and of one that was only cut off', () => {
      const [pre, commit] = [CHECKSUM_FLAG | 1n, 3]
      for (const checksums of ['portable', 'tracked'] as const) {
        const empty = header({ pageSize, checksums, pre, commit: 0, post: CHECKSUM_FLAG })
        const shorter = header({ pageSize, checksums, pre, commit, post: CHECKSUM_FLAG | 2n })
        for (const fields of [empty, shorter, { ...empty, minTxid: 1, pre: 0n }]) {
          const file = join(folder, 'empty.ltx')
          writeFileSync(file, encode(fields, new Map()))
          assert.equal(run('ltx', 'verify', file), 'ok')
        }
      }
    })

    it('refuses our files once they are damaged: its verdict is worth something', () => {
      const [file] = ourFiles('portable')
      const bytes = readFileSync(file)
      bytes[90] ^= 1
      writeFileSync(file, bytes)
      assert.throws(() => run('ltx', 'verify', file), /invalid/)
    })
  })
}

/** The chain lies in bytes that the reference writes as zeros. */
const unchained: Partial<Decoded['header']> = { pre: 0n, post: 0n }
