/**
 * LZ4 for pages. Blocks are compressed and inflated by lz4_flex in WebAssembly (lz4-wasm-nodejs), called through its
 * raw exports: its public functions make a new buffer for every page, and that garbage is what makes memory grow at
 * high commit rates. LZ4 frames, which Litestream wrote up to 0.5.15, are unwrapped here and inflated block by block.
 */
import lz4 from 'lz4-wasm-nodejs'
import { LtxError } from './errors.js'

/** The raw exports of lz4-wasm-nodejs 0.9.2. Results are `(pointer, length)` at `ret`; inputs are freed by the callee. */
interface RawLz4 {
  memory: { buffer: ArrayBuffer }
  compress(ret: number, pointer: number, length: number): void
  decompress(ret: number, pointer: number, length: number): void
  __wbindgen_add_to_stack_pointer(bytes: number): number
  __wbindgen_malloc(length: number): number
  __wbindgen_free(pointer: number, length: number): void
}

const raw = (lz4 as unknown as { __wasm: RawLz4 }).__wasm

let bytes = new Uint8Array(raw.memory.buffer)
let view = new DataView(raw.memory.buffer)

/** The module's memory moves when it grows; look again after every call into it. */
function refresh(): void {
  if (bytes.buffer === raw.memory.buffer) return
  bytes = new Uint8Array(raw.memory.buffer)
  view = new DataView(raw.memory.buffer)
}

/** The library puts the inflated size, little-endian, in front of each block. LTX stores the block alone. */
const SIZE_PREFIX = 4

/** Largest block that `size` bytes can become. */
export function blockBound(size: number): number {
  return size + Math.floor(size / 255) + 16
}

/**
 * Compresses `page` into one LZ4 block at `out[at…]`.
 *
 * @returns size of the block in bytes, at most {@link blockBound} of the page size
 */
export function compressBlock(page: Uint8Array, out: Uint8Array, at: number): number {
  const ret = raw.__wbindgen_add_to_stack_pointer(-16)
  const input = raw.__wbindgen_malloc(page.length)
  refresh()
  bytes.set(page, input)
  raw.compress(ret, input, page.length)
  refresh()
  const pointer = view.getUint32(ret, true)
  const length = view.getUint32(ret + 4, true)
  out.set(bytes.subarray(pointer + SIZE_PREFIX, pointer + length), at)
  raw.__wbindgen_free(pointer, length)
  raw.__wbindgen_add_to_stack_pointer(16)
  return length - SIZE_PREFIX
}

/**
 * Inflates one LZ4 block, `from[at … at+size]`, which must give exactly `page.length` bytes.
 * Errors: {@link LtxError} `LTX_CORRUPT`.
 */
export function inflateBlock(from: Uint8Array, at: number, size: number, page: Uint8Array): void {
  const ret = raw.__wbindgen_add_to_stack_pointer(-16)
  let good = false
  try {
    const input = raw.__wbindgen_malloc(size + SIZE_PREFIX)
    refresh()
    view.setUint32(input, page.length, true)
    bytes.set(from.subarray(at, at + size), input + SIZE_PREFIX)
    raw.decompress(ret, input, size + SIZE_PREFIX)
    refresh()
    const pointer = view.getUint32(ret, true)
    const length = view.getUint32(ret + 4, true)
    const refused = view.getUint32(ret + 12, true) !== 0
    if (!refused) {
      good = length === page.length
      if (good) page.set(bytes.subarray(pointer, pointer + length))
      raw.__wbindgen_free(pointer, length)
    }
  } catch {
    // A trap: the library's own bounds checks stopped it. The page is as bad as one it refuses.
  } finally {
    raw.__wbindgen_add_to_stack_pointer(16)
  }
  if (!good) throw new LtxError('LTX_CORRUPT', 'a page does not inflate to one page')
}

const FRAME_MAGIC = 0x184d2204
const FRAME_FLAGS = { dictionary: 0x01, contentChecksum: 0x04, contentSize: 0x08, blockChecksum: 0x10 }
const FRAME_VERSION_MASK = 0xc0
const FRAME_VERSION = 0x40
const BLOCK_STORED = 0x80000000

/** Sizes and places inside an LZ4 frame that holds one page. */
export interface PageFrame {
  /** Bytes of the whole frame. */
  size: number
  /** Where its only block starts, and how long it is. */
  block: number
  blockSize: number
  /** The block is not compressed. */
  stored: boolean
}

/**
 * Looks at an LZ4 frame that starts at `from[at]`. A page is at most 64 KiB and therefore always a single block.
 * The frame's own checksums are not verified: the file checksum covers the inflated page.
 *
 * @returns `undefined` if `end` comes before the frame's end. Errors: {@link LtxError} `LTX_CORRUPT`.
 */
export function findPageFrame(from: Uint8Array, at: number, end: number, pageSize: number): PageFrame | undefined {
  const v = new DataView(from.buffer, from.byteOffset, from.length)
  const corrupt = (message: string) => new LtxError('LTX_CORRUPT', `LZ4 frame: ${message}`)
  if (end - at < 6) return undefined
  if (v.getUint32(at, true) !== FRAME_MAGIC) throw corrupt('no magic number')
  const flags = v.getUint8(at + 4)
  if ((flags & FRAME_VERSION_MASK) !== FRAME_VERSION) throw corrupt('unknown version')
  if (flags & FRAME_FLAGS.dictionary) throw corrupt('needs a dictionary')
  let next = at + 6 + (flags & FRAME_FLAGS.contentSize ? 8 : 0) + 1
  if (end - next < 4) return undefined
  const field = v.getUint32(next, true)
  const blockSize = field & ~BLOCK_STORED
  const stored = (field & BLOCK_STORED) !== 0
  if (blockSize === 0 || blockSize > blockBound(pageSize)) throw corrupt(`block of ${blockSize} bytes for a page`)
  const block = next + 4
  next = block + blockSize + (flags & FRAME_FLAGS.blockChecksum ? 4 : 0)
  if (end - next < 4) return undefined
  if (v.getUint32(next, true) !== 0) throw corrupt('more than one block for a page')
  next += 4 + (flags & FRAME_FLAGS.contentChecksum ? 4 : 0)
  if (end < next) return undefined
  return { size: next - at, block, blockSize, stored }
}

/** Inflates the page inside a frame found by {@link findPageFrame}. */
export function inflateFrame(from: Uint8Array, frame: PageFrame, page: Uint8Array): void {
  if (!frame.stored) {
    inflateBlock(from, frame.block, frame.blockSize, page)
  } else if (frame.blockSize === page.length) {
    page.set(from.subarray(frame.block, frame.block + frame.blockSize))
  } else {
    throw new LtxError('LTX_CORRUPT', 'a stored page is not one page long')
  }
}
