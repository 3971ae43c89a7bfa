/**
 * What LTX needs of LZ4: the bound of a block, and the LZ4 frames that Litestream wrote up to 0.5.15. The blocks
 * themselves are compressed and inflated in the kernel.
 */
import { frameArea, inflate, pageArea } from '../kernel/kernel.js'
import { LtxError } from './errors.js'
import { PAGE_HEADER_SIZE } from './layout.js'
import { xxHash32 } from './xxhash32.js'

/** Largest block that `size` bytes can become. */
export function blockBound(size: number): number {
  return size + Math.floor(size / 255) + 16
}

const FRAME_MAGIC = 0x184d2204
const FRAME_FLAGS = { dictionary: 0x01, reserved: 0x02, contentChecksum: 0x04, contentSize: 0x08, blockChecksum: 0x10 }
const FRAME_VERSION_MASK = 0xc0
const FRAME_VERSION = 0x40
const BLOCK_STORED = 0x80000000

/** What an LZ4 frame can add to a block: header with content size, block size, two checksums, end mark. */
const FRAME_OVERHEAD = 15 + 4 + 4 + 4 + 4

/** Bytes that a page can take up in a file at most, its head included. */
export function largestFrame(pageSize: number): number {
  return PAGE_HEADER_SIZE + FRAME_OVERHEAD + blockBound(pageSize)
}

/** Sizes and places inside an LZ4 frame that holds one page; a size of 0 where there is no such thing. */
export interface PageFrame {
  /** Bytes of the whole frame. */
  size: number
  /** Where its only block starts, and how long it is. */
  block: number
  blockSize: number
  /** The block is not compressed. */
  stored: boolean
  /** Where the checksum of the block as it stands is. */
  blockChecksum: number
  /** Where the checksum of the page is. */
  contentChecksum: number
}

function corrupt(message: string): LtxError {
  return new LtxError('LTX_CORRUPT', `LZ4 frame: ${message}`)
}

/**
 * Looks at an LZ4 frame that starts at `from[at]`. A page is at most 64 KiB and therefore always a single block.
 *
 * @returns `undefined` if `end` comes before the frame's end. Errors: {@link LtxError} `LTX_CORRUPT`.
 */
export function findPageFrame(from: Uint8Array, at: number, end: number, pageSize: number): PageFrame | undefined {
  const v = new DataView(from.buffer, from.byteOffset, from.length)
  if (end - at < 6) return undefined
  if (v.getUint32(at, true) !== FRAME_MAGIC) throw corrupt('no magic number')
  const flags = v.getUint8(at + 4)
  if ((flags & FRAME_VERSION_MASK) !== FRAME_VERSION) throw corrupt('unknown version')
  if (flags & (FRAME_FLAGS.dictionary | FRAME_FLAGS.reserved))
    throw corrupt('needs a dictionary or has an unknown flag')
  const descriptor = at + 6 + (flags & FRAME_FLAGS.contentSize ? 8 : 0)
  const start = descriptor + 1
  if (end - start < 4) return undefined
  if (((xxHash32(from.subarray(at + 4, descriptor)) >>> 8) & 0xff) !== from[descriptor]) {
    throw corrupt('its header does not have the checksum it states')
  }
  if (flags & FRAME_FLAGS.contentSize && v.getBigUint64(at + 6, true) !== BigInt(pageSize)) {
    throw corrupt('its content is not one page long')
  }
  const field = v.getUint32(start, true)
  const blockSize = field & ~BLOCK_STORED
  const stored = (field & BLOCK_STORED) !== 0
  if (blockSize === 0 || blockSize > blockBound(pageSize)) throw corrupt(`block of ${blockSize} bytes for a page`)
  const block = start + 4
  const mark = block + blockSize + (flags & FRAME_FLAGS.blockChecksum ? 4 : 0)
  if (end - mark < 4) return undefined
  if (v.getUint32(mark, true) !== 0) throw corrupt('more than one block for a page')
  const next = mark + 4 + (flags & FRAME_FLAGS.contentChecksum ? 4 : 0)
  if (end < next) return undefined
  return {
    size: next - at,
    block,
    blockSize,
    stored,
    blockChecksum: flags & FRAME_FLAGS.blockChecksum ? block + blockSize : 0,
    contentChecksum: flags & FRAME_FLAGS.contentChecksum ? mark + 4 : 0,
  }
}

/** Inflates the page inside a frame found by {@link findPageFrame} into the kernel's page area and checks it. */
export function inflateFrame(from: Uint8Array, frame: PageFrame, pageSize: number): void {
  const v = new DataView(from.buffer, from.byteOffset, from.length)
  const block = from.subarray(frame.block, frame.block + frame.blockSize)
  if (frame.blockChecksum > 0 && v.getUint32(frame.blockChecksum, true) !== xxHash32(block)) {
    throw corrupt('its block does not have the checksum it states')
  }
  if (frame.stored) {
    if (frame.blockSize !== pageSize) throw corrupt('a stored page is not one page long')
    pageArea.set(block)
  } else {
    frameArea.set(block)
    if (!inflate(0, frame.blockSize, pageSize)) throw corrupt('a page does not inflate to one page')
  }
  const page = pageArea.subarray(0, pageSize)
  if (frame.contentChecksum > 0 && v.getUint32(frame.contentChecksum, true) !== xxHash32(page)) {
    throw corrupt('the page does not have the checksum it states')
  }
}
