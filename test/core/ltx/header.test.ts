import assert from 'node:assert/strict'
import {
  CHECKSUM_FLAG,
  DatabaseChecksum,
  formatChecksum,
  HEADER_SIZE,
  isPageSize,
  isSnapshot,
  lockPage,
  type LtxHeader,
  pageChecksum,
  readHeader,
  readTrailer,
  storedPages,
  TRAILER_SIZE,
  validateHeader,
} from '../../../core/ltx/index.js'
import { xxHash32 } from '../../../core/ltx/xxhash32.js'
import { encode, header, withCode } from '../../helpers/ltx.js'
import { Random } from '../../helpers/ltx-random.js'
import { slowDatabaseChecksum, slowPageChecksum } from '../../helpers/ltx-slow.js'

describe('readHeader', () => {
  it('needs the whole of it, and nothing else of the file', () => {
    const fields = header({ pre: CHECKSUM_FLAG | 1n, post: CHECKSUM_FLAG | 2n })
    const bytes = encode(fields, new Map())
    assert.deepEqual(readHeader(bytes.subarray(0, HEADER_SIZE)), fields)
    for (let size = 0; size < HEADER_SIZE; size++) {
      assert.throws(() => readHeader(bytes.subarray(0, size)), withCode('LTX_TRUNCATED'))
    }
  })

  it('reads from the middle of a buffer', () => {
    const bytes = new Uint8Array(300)
    bytes.set(encode(header(), new Map()).subarray(0, HEADER_SIZE), 77)
    assert.deepEqual(readHeader(bytes.subarray(77)), header())
  })
})

describe('validateHeader', () => {
  const good: Partial<LtxHeader>[] = [
    { minTxid: 1, maxTxid: Number.MAX_SAFE_INTEGER },
    { timestamp: -1 },
    { timestamp: 0 },
    { commit: 0xffffffff },
    { commit: 0, post: CHECKSUM_FLAG },
    { walOffset: 32 },
    { walOffset: 32, walSize: 1, walSalt1: 0xffffffff, walSalt2: 0xffffffff },
    { nodeId: (1n << 64n) - 1n },
    { pre: (1n << 64n) - 1n, post: (1n << 64n) - 1n },
    { pre: 0n, post: CHECKSUM_FLAG },
    { checksums: 'tracked', pre: CHECKSUM_FLAG },
    { checksums: 'tracked', minTxid: 1 },
  ]
  for (const fields of good) {
    const text = Object.entries(fields).map(([key, value]) => `${key} ${String(value)}`)
    it(`lets pass: ${text.join(', ')}`, () => validateHeader(header(fields)))
  }

  it('calls what cannot be LTX_CORRUPT', () => {
    assert.throws(() => validateHeader(header({ minTxid: 0 })), withCode('LTX_CORRUPT'))
  })
})

describe('readTrailer', () => {
  const bytes = encode(header({ checksums: 'tracked', pre: CHECKSUM_FLAG, post: CHECKSUM_FLAG | 3n }), new Map())
  const fields = readHeader(bytes)

  it('needs the whole of it', () => {
    assert.equal(readTrailer(bytes.subarray(-TRAILER_SIZE), fields).post, CHECKSUM_FLAG | 3n)
    assert.throws(() => readTrailer(bytes.subarray(1 - TRAILER_SIZE), fields), withCode('LTX_TRUNCATED'))
  })

  it('compares it with the header', () => {
    assert.throws(() => readTrailer(bytes.subarray(-TRAILER_SIZE), header()), withCode('LTX_CORRUPT'))
    assert.throws(() => readTrailer(new Uint8Array(16), fields), withCode('LTX_CORRUPT'))
    const unmarked = bytes.slice(-TRAILER_SIZE)
    unmarked[8] &= 0x7f
    assert.throws(() => readTrailer(unmarked, fields), withCode('LTX_CORRUPT', /file checksum/))
  })
})

describe('layout', () => {
  it('knows the page sizes', () => {
    const sizes = Array.from({ length: 70_000 }, (_, i) => i).filter(isPageSize)
    assert.deepEqual(sizes, [512, 1024, 2048, 4096, 8192, 16384, 32768, 65536])
    for (const size of [-512, 512.5, NaN, Infinity]) assert.equal(isPageSize(size), false)
  })

  it('knows the page of the lock byte at 1 GiB, and what it leaves to store', () => {
    assert.equal(lockPage(512), 2097153)
    assert.equal(lockPage(4096), 262145)
    assert.equal(lockPage(65536), 16385)
    assert.deepEqual([0, 1, 16384, 16385, 16386].map((commit) => storedPages(commit, 65536)), [0, 1, 16384, 16384, 16385]) // prettier-ignore
  })

  it('knows a snapshot by its first transaction', () => {
    assert.equal(isSnapshot({ minTxid: 1 }), true)
    assert.equal(isSnapshot({ minTxid: 2 }), false)
  })
})

describe('DatabaseChecksum', () => {
  it('is the xor of all pages, and follows a change of one', () => {
    const file = new Random(1).bytes(512 * 5)
    const sum = new DatabaseChecksum()
    const toggle = (checksum: bigint) => sum.toggle(Number(checksum >> 32n), Number(checksum & 0xffffffffn))
    const page = (n: number) => file.subarray((n - 1) * 512, n * 512)
    assert.equal(sum.value, CHECKSUM_FLAG)
    for (let n = 1; n <= 5; n++) toggle(pageChecksum(n, page(n)))
    assert.equal(sum.value, slowDatabaseChecksum(file, 512))
    toggle(pageChecksum(3, page(3)))
    page(3).fill(9)
    toggle(pageChecksum(3, page(3)))
    assert.equal(sum.value, slowDatabaseChecksum(file, 512))
    assert.equal(new DatabaseChecksum(sum.value).value, sum.value)
  })

  it('is made of page checksums that say which page it was', () => {
    const data = new Uint8Array(512)
    assert.equal(pageChecksum(1, data), slowPageChecksum(1, data))
    assert.notEqual(pageChecksum(1, data), pageChecksum(2, data))
  })

  it('is shown in sixteen digits', () => assert.equal(formatChecksum(CHECKSUM_FLAG | 0xabcn), '8000000000000abc'))
})

describe('xxHash32', () => {
  it('gives the known answers', () => {
    const known: [string, number][] = [
      ['', 0x02cc5d05],
      ['a', 0x550d7456],
      ['abc', 0x32d153ff],
      ['Nobody inspects the spammish repetition', 0xe2293b2f],
    ]
    for (const [text, hash] of known) assert.equal(xxHash32(Buffer.from(text)), hash, text)
  })

  it('is right for every length from 0 to 100, folded into one number that python-xxhash gave', () => {
    const bytes = Uint8Array.from({ length: 100 }, (_, i) => i * 7)
    let folded = 0
    for (let length = 0; length <= 100; length++) {
      folded = (Math.imul(folded, 31) + xxHash32(bytes.subarray(0, length))) >>> 0
    }
    assert.equal(folded, 0xede06e34)
  })
})
