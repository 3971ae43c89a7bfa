/**
 * The WebAssembly kernel: CRC-64/ISO, the WAL checksum and LZ4 blocks, compiled from kernel.wat.
 *
 * One instance per thread with one scratch buffer. Everything here is synchronous, so nobody may hold on to what
 * lies in {@link scratch} or {@link entries} across an `await`: the next caller overwrites it. Within one turn only
 * {@link scanFrames} and its caller touch them: bytes from elsewhere are hashed in an area of their own.
 */
import { kernelBase64 } from './kernel-bytes.js'

interface KernelExports {
  memory: { buffer: ArrayBuffer }
  REGISTER: { value: number }
  WAL_SUM: { value: number }
  RESULT: { value: number }
  ENTRIES: { value: number }
  ENTRY_CAPACITY: { value: number }
  BUFFER: { value: number }
  BUFFER_SIZE: { value: number }
  STAGE: { value: number }
  STAGE_SIZE: { value: number }
  PAGE: { value: number }
  PAGE_SIZE: { value: number }
  FRAME: { value: number }
  FRAME_SIZE: { value: number }
  crc(at: number, length: number): void
  crc_page(page: number, at: number, length: number): void
  page_checksum(page: number, at: number, length: number, out: number): void
  wal_sum(at: number, length: number, bigEndian: number): void
  scan(at: number, count: number, pageSize: number, salt1: number, salt2: number, bigEndian: number): number
  lz4_compress(at: number, length: number, out: number): number
  lz4_inflate(from: number, length: number, to: number, size: number): number
}

/** The part of the WebAssembly API used here; `lib: dom` would bring in a browser. */
interface WebAssemblyApi {
  Module: new (bytes: Uint8Array) => object
  Instance: new (module: object) => { exports: unknown }
}
const { Module, Instance } = (globalThis as unknown as { WebAssembly: WebAssemblyApi }).WebAssembly

const kernel = new Instance(new Module(Buffer.from(kernelBase64, 'base64'))).exports as KernelExports
const memory = kernel.memory.buffer
const words = new Uint32Array(memory)

const REGISTER = kernel.REGISTER.value >>> 2
const WAL_SUM = kernel.WAL_SUM.value >>> 2
const BUFFER = kernel.BUFFER.value
const PAGE = kernel.PAGE.value
const FRAME = kernel.FRAME.value

/** Bytes to work on, 1 MiB plus room for a largest frame. Read files straight into it to spare a copy. */
export const scratch = new Uint8Array(memory, BUFFER, kernel.BUFFER_SIZE.value)

/** How many frames one call of {@link scanFrames} can describe. */
export const ENTRY_CAPACITY = kernel.ENTRY_CAPACITY.value

/** What {@link scanFrames} found: page number, commit size, checksum high word, checksum low word, per frame. */
export const entries = new Uint32Array(memory, kernel.ENTRIES.value, ENTRY_CAPACITY * 4)

/** High and low word of the last page checksum; read them before the next call. */
export const checksumWords = new Uint32Array(memory, kernel.RESULT.value, 2)

/** Room for one page: what {@link inflate} inflates to. */
export const pageArea = new Uint8Array(memory, PAGE, kernel.PAGE_SIZE.value)

/** Room for one page frame of an LTX file, head and compressed page: what {@link inflate} reads and {@link compress} writes. */
export const frameArea = new Uint8Array(memory, FRAME, kernel.FRAME_SIZE.value)

const stage = new Uint8Array(memory, kernel.STAGE.value, kernel.STAGE_SIZE.value)

/** The same bytes in the kernel's memory: copied into `area` unless they are there already. */
function placed(bytes: Uint8Array, area: Uint8Array): number {
  if (bytes.buffer === memory) return bytes.byteOffset
  if (bytes.length > area.length) throw new RangeError(`${bytes.length} bytes, where at most ${area.length} fit`)
  area.set(bytes)
  return area.byteOffset
}

/** Calls `work` with the address and length of one piece after the other. */
function eachPiece(bytes: Uint8Array, work: (at: number, length: number) => void): void {
  if (bytes.buffer === memory || bytes.length <= stage.length) {
    work(placed(bytes, stage), bytes.length)
  } else {
    for (let at = 0; at < bytes.length; at += stage.length) eachPiece(bytes.subarray(at, at + stage.length), work)
  }
}

/**
 * Page checksum as LTX defines it (page number, then page, top bit forced on).
 * The result is in {@link checksumWords}.
 */
export function pageChecksum(page: number, bytes: Uint8Array): void {
  kernel.page_checksum(page, placed(bytes, stage), bytes.length, checksumWords.byteOffset)
}

const crc = (at: number, length: number) => kernel.crc(at, length)

/** CRC-64/ISO over any number of pieces. */
export class Crc64 {
  #low = 0xffffffff
  #high = 0xffffffff

  update(bytes: Uint8Array): void {
    this.#load()
    eachPiece(bytes, crc)
    this.#store()
  }

  /**
   * The same for a page, whose own checksum is computed on the way and left in {@link checksumWords}: one pass over
   * the bytes for both, because CRCs are linear. The size is a page size.
   */
  updatePage(page: number, bytes: Uint8Array): void {
    this.#load()
    kernel.crc_page(page, placed(bytes, stage), bytes.length)
    this.#store()
  }

  /** The checksum of everything so far; more may follow. */
  digest(): bigint {
    return (BigInt(~this.#high >>> 0) << 32n) | BigInt(~this.#low >>> 0)
  }

  #load(): void {
    words[REGISTER] = this.#low
    words[REGISTER + 1] = this.#high
  }

  #store(): void {
    this.#low = words[REGISTER]
    this.#high = words[REGISTER + 1]
  }
}

/** A running WAL checksum: two 32-bit words. */
export interface WalSum {
  s1: number
  s2: number
}

/** Carries `sum` on over `bytes` (length a multiple of 8), in place. `bigEndian` is the low bit of the WAL's magic. */
export function walSum(sum: WalSum, bytes: Uint8Array, bigEndian: boolean): void {
  if (bytes.length % 8 !== 0) throw new RangeError('the WAL checksum takes eight bytes at a time')
  words[WAL_SUM] = sum.s1
  words[WAL_SUM + 1] = sum.s2
  eachPiece(bytes, (at, length) => kernel.wal_sum(at, length, bigEndian ? 1 : 0))
  sum.s1 = words[WAL_SUM]
  sum.s2 = words[WAL_SUM + 1]
}

/**
 * Verifies up to `count` frames that lie one behind the other at the start of {@link scratch} and carries `sum` on
 * over the good ones. Stops at the first whose salts or running checksum differ, or whose page number is 0. What was
 * found lies in {@link entries}.
 *
 * @returns how many frames were good
 */
export function scanFrames(
  sum: WalSum,
  count: number,
  pageSize: number,
  salt1: number,
  salt2: number,
  bigEndian: boolean,
): number {
  if (count > ENTRY_CAPACITY || count * (pageSize + 24) > scratch.length) throw new RangeError('too many frames')
  words[WAL_SUM] = sum.s1
  words[WAL_SUM + 1] = sum.s2
  const good = kernel.scan(BUFFER, count, pageSize, salt1, salt2, bigEndian ? 1 : 0)
  sum.s1 = words[WAL_SUM]
  sum.s2 = words[WAL_SUM + 1]
  return good
}

/** `page` where {@link compress} and the checksums take it from without another copy. Overwrites {@link pageArea}. */
export function hold(page: Uint8Array): Uint8Array {
  const at = placed(page, pageArea)
  return at === PAGE ? pageArea.subarray(0, page.length) : page
}

/**
 * Compresses `page` into one LZ4 block at {@link frameArea}`[at…]`.
 *
 * @returns the block's size in bytes: at most `length + length / 255 + 16`
 */
export function compress(page: Uint8Array, at: number): number {
  return kernel.lz4_compress(placed(page, pageArea), page.length, FRAME + at)
}

/**
 * Inflates the LZ4 block at {@link frameArea}`[at … at+size]` into the first `pageSize` bytes of {@link pageArea}.
 *
 * @returns false if it is not a block of exactly so many bytes; what is in the page area then means nothing
 */
export function inflate(at: number, size: number, pageSize: number): boolean {
  return kernel.lz4_inflate(FRAME + at, size, PAGE, pageSize) === 1
}
