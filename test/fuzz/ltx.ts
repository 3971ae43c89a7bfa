/** LTX files, their parts, and the blocks and WALs that the kernel reads. */
import assert from 'node:assert/strict'
import { compress, frameArea, inflate, pageArea } from '../../core/kernel/kernel.js'
import {
  CHECKSUM_FLAG,
  indexLength,
  isSnapshot,
  lockPage,
  LtxDecoder,
  LtxError,
  type LtxHeader,
  readHeader,
  readIndex,
  storedPages,
  validateHeader,
} from '../../core/ltx/index.js'
import { findPageFrame, inflateFrame } from '../../core/ltx/lz4.js'
import { decode, type Decoded, encode, fixture, header, type Pages } from '../helpers/ltx.js'
import { concat, forge, type Forgery, type IndexRow, varint } from '../helpers/ltx-forge.js'
import { slowInflate } from '../helpers/ltx-lz4.js'
import { Random } from '../helpers/ltx-random.js'
import { slowPageChecksum } from '../helpers/ltx-slow.js'
import { scanWal } from '../helpers/ltx-wal.js'
import { damage, edges } from './damage.js'
import type { Target } from './target.js'

const maker = new Random(1)

function tinyFile(fields: Partial<LtxHeader>, numbers: number[]): Uint8Array {
  const pages: Pages = new Map(numbers.map((page) => [page, maker.page(512)]))
  const full = header({ pre: CHECKSUM_FLAG | 3n, post: CHECKSUM_FLAG | 4n, ...fields })
  if (isSnapshot(full)) {
    full.pre = 0n
    full.post = [...pages].reduce((sum, [page, data]) => sum ^ slowPageChecksum(page, data), 0n) | CHECKSUM_FLAG
  }
  return encode(full, pages)
}

/** Files to begin with, ours and others'. */
export const corpus = [
  tinyFile({}, [2, 3, 7]),
  tinyFile({ minTxid: 1, commit: 3 }, [1, 2, 3]),
  tinyFile({ checksums: 'tracked' }, [1, 8]),
  tinyFile({ checksums: 'tracked', minTxid: 1, commit: 2 }, [1, 2]),
  tinyFile({ commit: 0, post: CHECKSUM_FLAG }, []),
  ...[
    'go/512/tracked/0000000000000004-0000000000000004',
    'go/4096/untracked/0000000000000002-0000000000000002',
    'litestream-0.5.17/512/ltx/0/0000000000000003-0000000000000003',
    'litestream-0.5.15/512/ltx/0/0000000000000003-0000000000000003',
    'litestream-0.5.15/4096/ltx/0/0000000000000002-0000000000000002',
    'frames/content-size-4096',
    'frames/block-checksum-512',
  ].map((name) => fixture(`ltx/${name}.ltx`)),
]
const originals = corpus.map((bytes) => decode(bytes))
const wal = fixture('wal/plain-512.wal')
const walFrames = scanWal(wal)

/** Runs a decoder over the bytes in random pieces. Undefined if it refuses them. Every page it gives is looked at. */
export function attempt(random: Random, bytes: Uint8Array): Decoded | undefined {
  const decoder = new LtxDecoder({ pageChecksums: random.chance(0.3) })
  const piece = random.pick([bytes.length + 1, 1 + random.below(600), 7])
  const pages: Pages = new Map()
  const steps = 2 * Math.ceil(bytes.length / piece) + bytes.length + 10
  let [at, last] = [0, 0]
  try {
    for (let step = 0; step < steps; step++) {
      switch (decoder.next()) {
        case 'more':
          if (at >= bytes.length) decoder.finish()
          else decoder.push(bytes.subarray(at, (at += piece)))
          break
        case 'page':
          assert.ok(decoder.page > last && decoder.page <= decoder.header.commit, 'pages ascend up to the size')
          assert.notEqual(decoder.page, lockPage(decoder.header.pageSize))
          assert.equal(decoder.data.length, decoder.header.pageSize)
          last = decoder.page
          pages.set(last, decoder.data.slice())
          break
        case 'header':
          validateHeader(decoder.header)
          break
        case 'end':
          assert.equal(decoder.pages, pages.size)
          return { header: decoder.header, trailer: decoder.trailer, pages }
      }
    }
  } catch (error) {
    if (error instanceof LtxError) return undefined
    throw error
  }
  throw new Error(`no end after ${steps} steps`)
}

/** The same file or none. (Two files spliced may happen to be the other one.) */
function damagedFile(random: Random): void {
  const which = random.below(corpus.length)
  const decoded = attempt(random, damage(random, corpus[which], corpus))
  if (!decoded) return
  const { fileChecksum } = decoded.trailer
  assert.deepEqual(decoded, originals.find((original) => original.trailer.fileChecksum === fileChecksum)) // prettier-ignore
}

/** A file that says what a random writer says, true or not, with what was put into it. */
export function lie(random: Random): { bytes: Uint8Array; data: Uint8Array[]; numbers: number[] } {
  const pageSize = random.pick([512, 512, 512, 512, 512, 1024, 65536, random.word()])
  const dataSize = pageSize <= 1024 ? pageSize : 512
  const odd = <T>(usual: T, lie: () => T): T => (random.chance(0.9) ? usual : lie())
  const edge = () => random.pick(edges)
  const wide = () => (BigInt(edge()) << 32n) | BigInt(edge())
  const data = Array.from({ length: random.below(5) }, () => random.page(dataSize))
  const pages = data.map((bytes, i) => ({
    ...{ page: odd(i + 1, edge), data: bytes },
    ...(random.chance(0.03) ? { flags: random.below(8) } : {}),
    ...(random.chance(0.03) ? { size: edge() } : {}),
    ...(random.chance(0.03) ? { block: random.bytes(random.below(600)) } : {}),
  }))
  const snapshot = random.chance(0.3)
  const tracked = random.chance(0.2)
  const row = (rows: IndexRow[]) => {
    const lied = rows.map((entry) => ({ ...entry }))
    if (lied.length > 0) random.pick(lied)[random.pick(['page', 'offset', 'size'] as const)] = edge()
    return lied
  }
  const sum = data.reduce((all, bytes, i) => all ^ slowPageChecksum(i + 1, bytes), 0n) | CHECKSUM_FLAG
  const before = snapshot ? 0n : CHECKSUM_FLAG | 1n
  const forgery: Forgery = {
    ...{ pageSize, pages, flags: odd(tracked ? 0 : 2, () => random.below(8)) },
    commit: odd(data.length + (snapshot ? 0 : random.below(3)), edge),
    minTxid: odd(snapshot ? 1n : 2n, wide),
    maxTxid: odd(5n, wide),
    ...(tracked ? { pre: odd(before, wide), post: odd(sum, wide) } : {}),
    ...(random.chance(0.3) ? { chainTag: 0x574c5231, chainPre: odd(before, wide), chainPost: odd(sum, wide) } : {}),
    ...(random.chance(0.1) ? { walOffset: wide(), walSize: wide(), salt1: edge(), timestamp: wide() } : {}),
    ...(random.chance(0.1) ? { index: row } : {}),
    ...(random.chance(0.05) ? { indexBytes: (bytes) => concat(varint(wide()), bytes) } : {}),
    ...(random.chance(0.05) ? { indexSize: wide } : {}),
    ...(random.chance(0.05) ? { tail: random.bytes(random.below(30)) } : {}),
  }
  return { bytes: forge(forgery), data, numbers: pages.map(({ page }) => page) }
}

/** What a file of a random writer says, true or not; its checksum is right. */
function lyingFile(random: Random): void {
  const { bytes, data, numbers } = lie(random)
  const decoded = attempt(random, bytes)
  if (!decoded) return
  assert.deepEqual([...decoded.pages.values()], data)
  assert.deepEqual([...decoded.pages.keys()], numbers)
  if (isSnapshot(decoded.header)) {
    assert.equal(decoded.pages.size, storedPages(decoded.header.commit, decoded.header.pageSize))
  }
}

/** A good beginning, then anything. */
function noise(random: Random): void {
  const start = random.pick(corpus).subarray(0, random.pick([0, 4, 100, 106, 110]))
  assert.equal(attempt(random, concat(start, random.bytes(random.below(2000)))), undefined)
}

function damagedHeader(random: Random): void {
  const bytes = damage(random, random.pick(corpus).subarray(0, 100), corpus)
  try {
    validateHeader(readHeader(bytes))
  } catch (error) {
    if (!(error instanceof LtxError)) throw error
  }
}

function damagedIndex(random: Random): void {
  const bytes = random.pick(corpus)
  const { commit, pageSize } = readHeader(bytes)
  const tail = damage(random, bytes.subarray(-indexLength(bytes, bytes.length)))
  try {
    assert.ok(indexLength(tail, bytes.length) <= bytes.length)
    let end = 100
    for (const entry of readIndex(tail, { commit, pageSize, fileSize: bytes.length })) {
      assert.ok(entry.page >= 1 && entry.page <= commit && entry.offset === end)
      end += entry.size
      assert.ok(entry.size > 6 && entry.size < 2 * pageSize)
    }
    assert.equal(end + 6 + tail.length, bytes.length)
  } catch (error) {
    if (!(error instanceof LtxError)) throw error
  }
}

/** Blocks come back; damaged ones are judged as the description judges them. */
function block(random: Random): void {
  const size = random.pick([512, 512, 1024, 4096])
  const page = random.page(size)
  const length = compress(page, 0)
  assert.ok(inflate(0, length, size))
  assert.equal(Buffer.compare(pageArea.subarray(0, size), page), 0)
  const damaged = damage(random, frameArea.slice(0, length)).subarray(0, frameArea.length)
  frameArea.set(damaged)
  const expected = slowInflate(damaged, size)?.page
  assert.equal(inflate(0, damaged.length, size), expected !== undefined)
  if (expected) assert.equal(Buffer.compare(pageArea.subarray(0, size), expected), 0)
}

const frames = ['plain-512', 'content-size-512', 'block-checksum-512', 'stored-512'].map((name) => {
  const bytes = fixture(`ltx/frames/${name}.ltx`)
  return { bytes: bytes.subarray(106), page: [...decode(bytes).pages.values()][0] }
})

/** The same page or none. */
function frame(random: Random): void {
  const { bytes, page } = random.pick(frames)
  const start = findPageFrame(bytes, 0, bytes.length, 512)!
  const damaged = damage(random, bytes.subarray(0, start.size))
  try {
    const found = findPageFrame(damaged, 0, damaged.length, 512)
    if (!found) return
    assert.ok(found.size <= damaged.length)
    inflateFrame(damaged, found, 512)
    assert.equal(Buffer.compare(pageArea.subarray(0, 512), page), 0)
  } catch (error) {
    if (!(error instanceof LtxError)) throw error
  }
}

/** The frames before the first damaged byte, and none after. */
function damagedWal(random: Random): void {
  const damaged = wal.slice()
  const at = random.below(damaged.length)
  for (let n = random.between(1, 3); n > 0; n--)
    damaged[Math.min(wal.length - 1, at + random.below(30))] = random.word()
  const difference = damaged.findIndex((byte, i) => byte !== wal[i])
  const intact = difference < 0 ? walFrames.length : difference < 32 ? 0 : Math.floor((difference - 32) / 536)
  if (difference >= 0 && difference < 12) return // The magic, version and page size are compared by whoever reads them.
  assert.deepEqual(scanWal(damaged), walFrames.slice(0, intact))
}

export const targets: readonly Target[] = [
  { name: 'ltx-damaged', share: 40, run: damagedFile },
  { name: 'ltx-lying', share: 15, run: lyingFile },
  { name: 'ltx-noise', share: 5, run: noise },
  { name: 'ltx-header', share: 5, run: damagedHeader },
  { name: 'ltx-index', share: 10, run: damagedIndex },
  { name: 'lz4-block', share: 15, run: block },
  { name: 'lz4-frame', share: 5, run: frame },
  { name: 'wal-scan', share: 5, run: damagedWal },
]
