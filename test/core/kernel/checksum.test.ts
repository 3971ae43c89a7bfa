import assert from 'node:assert/strict'
import { checksumWords, Crc64, pageChecksum, scratch, walSum } from '../../../core/kernel/kernel.js'
import { Random } from '../../helpers/ltx-random.js'
import { POLYNOMIAL, slowCrc64, slowPageChecksum, slowWalSum } from '../../helpers/ltx-slow.js'

const PAGE_SIZES = [512, 1024, 2048, 4096, 8192, 16384, 32768, 65536]

function crc64(...pieces: Uint8Array[]): bigint {
  const crc = new Crc64()
  for (const piece of pieces) crc.update(piece)
  return crc.digest()
}

function lastPageChecksum(): bigint {
  return (BigInt(checksumWords[0]) << 32n) | BigInt(checksumWords[1])
}

describe('CRC-64/ISO', () => {
  it('gives the known answer for "123456789", and so does the slow one it is compared with', () => {
    const digits = Buffer.from('123456789')
    assert.equal(crc64(digits).toString(16), 'b90956c775a41001')
    assert.equal(slowCrc64(digits).toString(16), 'b90956c775a41001')
  })

  it('has the polynomial that the folding by shifts takes for granted: x^64 = x^4 + x^3 + x + 1', () => {
    const powers = [4n, 3n, 1n, 0n]
    assert.equal(
      powers.reduce((sum, power) => sum | (1n << (63n - power)), 0n),
      POLYNOMIAL,
    )
  })

  it('is right for every length from 0 to 300, wherever the bytes start', () => {
    const bytes = new Random(1).bytes(400)
    for (let length = 0; length <= 300; length++) {
      const start = length % 17
      const piece = bytes.subarray(start, start + length)
      assert.equal(crc64(piece), slowCrc64(piece), `length ${length}`)
    }
  })

  it('is right for a register of every kind: one bit set, anywhere, in every word of 64 bytes', () => {
    for (let bit = 0; bit < 8 * 72; bit++) {
      const bytes = new Uint8Array(72)
      bytes[bit >> 3] = 1 << (bit & 7)
      assert.equal(crc64(bytes), slowCrc64(bytes), `bit ${bit}`)
    }
  })

  it('is the same in two pieces, cut anywhere, as in one', () => {
    const bytes = new Random(2).bytes(200)
    const whole = slowCrc64(bytes)
    for (let cut = 0; cut <= bytes.length; cut++) {
      assert.equal(crc64(bytes.subarray(0, cut), bytes.subarray(cut)), whole, `cut at ${cut}`)
    }
  })

  it('is the same byte by byte, and in one go where the kernel has to take several', () => {
    const bytes = new Random(3).bytes(200_001)
    const whole = slowCrc64(bytes)
    assert.equal(crc64(bytes), whole)
    const crc = new Crc64()
    for (let at = 0; at < bytes.length; at++) crc.update(bytes.subarray(at, at + 1))
    assert.equal(crc.digest(), whole)
  })

  it('reads bytes that lie in the kernel already where they are', () => {
    const bytes = new Random(4).bytes(100_000)
    scratch.set(bytes, 5)
    assert.equal(crc64(scratch.subarray(5, 5 + bytes.length)), slowCrc64(bytes))
  })

  it('keeps two sums that take turns apart', () => {
    const [a, b] = [new Crc64(), new Crc64()]
    a.update(Buffer.from('12345'))
    b.update(Buffer.from('xyz'))
    a.update(Buffer.from('6789'))
    assert.equal(a.digest().toString(16), 'b90956c775a41001')
    assert.equal(b.digest(), slowCrc64(Buffer.from('xyz')))
  })

  it('leaves the scratch buffer alone: frames may lie there that are still to be encoded', () => {
    const before = new Random(5).bytes(scratch.length)
    scratch.set(before)
    const other = new Random(6).bytes(70_000)
    const crc = new Crc64()
    crc.update(other)
    crc.updatePage(1, other.subarray(0, 4096))
    pageChecksum(1, other.subarray(0, 65536))
    walSum({ s1: 0, s2: 0 }, other, false)
    assert.equal(Buffer.compare(scratch, before), 0)
  })
})

describe('page checksum', () => {
  it('is that of the big-endian page number and the page, top bit forced on', () => {
    const random = new Random(7)
    for (const size of PAGE_SIZES) {
      for (const page of [1, 2, 0xff, 0x01020304, 0x80000000, 0xffffffff]) {
        const data = random.bytes(size)
        pageChecksum(page, data)
        assert.equal(lastPageChecksum(), slowPageChecksum(page, data), `page ${page} of ${size} bytes`)
      }
    }
  })

  it('comes out the same on the way of a running checksum, which goes on as if it had not', () => {
    const random = new Random(8)
    const crc = new Crc64()
    const hashed: Uint8Array[] = [random.bytes(100)]
    crc.update(hashed[0])
    // Sizes take turns, because the factor by which a page moves the register is kept for the last size.
    for (const size of [...PAGE_SIZES, ...PAGE_SIZES.reverse(), 4096, 4096]) {
      const [page, data] = [random.word(), random.page(size)]
      crc.updatePage(page, data)
      hashed.push(data)
      assert.equal(lastPageChecksum(), slowPageChecksum(page, data), `page ${page} of ${size} bytes`)
    }
    assert.equal(crc.digest(), slowCrc64(...hashed))
  })

  it('refuses more bytes than any page has', () => {
    assert.throws(() => pageChecksum(1, new Uint8Array(65537)), RangeError)
    assert.throws(() => new Crc64().updatePage(1, new Uint8Array(131072)), RangeError)
  })
})

describe('WAL checksum', () => {
  for (const bigEndian of [false, true]) {
    it(`is right in ${bigEndian ? 'big' : 'little'}-endian words, in one piece and in several`, () => {
      const bytes = new Random(9).bytes(160_000)
      const expected = slowWalSum([7, 0xfffffff0], bytes, bigEndian)
      const whole = { s1: 7, s2: 0xfffffff0 }
      walSum(whole, bytes, bigEndian)
      assert.deepEqual([whole.s1, whole.s2], expected)
      const pieces = { s1: 7, s2: 0xfffffff0 }
      for (let at = 0; at < bytes.length; at += 32) walSum(pieces, bytes.subarray(at, at + 32), bigEndian)
      assert.deepEqual([pieces.s1, pieces.s2], expected)
    })
  }

  it('refuses a length that is not a multiple of eight, which the definition has no answer for', () => {
    assert.throws(() => walSum({ s1: 0, s2: 0 }, new Uint8Array(12), false), RangeError)
  })
})
