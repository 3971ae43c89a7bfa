/**
 * The WebAssembly kernel: CRC-64/ISO and the WAL checksum, compiled from kernel.wat.
 *
 * One instance per thread with one scratch buffer. Everything here is synchronous, so nobody may hold on to what
 * lies in {@link scratch} or {@link entries} across an `await`: the next caller overwrites it.
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
  crc(at: number, length: number): void
  page_checksum(page: number, at: number, length: number, out: number): void
  wal_sum(at: number, length: number, bigEndian: number): void
  scan(at: number, count: number, pageSize: number, salt1: number, salt2: number, bigEndian: number): number
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
const RESULT = kernel.RESULT.value >>> 2
const BUFFER = kernel.BUFFER.value

/** Bytes to work on, 1 MiB plus room for a largest frame. Read files straight into it to spare a copy. */
export const scratch = new Uint8Array(memory, BUFFER, kernel.BUFFER_SIZE.value)

/** How many frames one call of {@link scanFrames} can describe. */
export const ENTRY_CAPACITY = kernel.ENTRY_CAPACITY.value

/** What {@link scanFrames} found: page number, commit size, checksum high word, checksum low word, per frame. */
export const entries = new Uint32Array(memory, kernel.ENTRIES.value, ENTRY_CAPACITY * 4)

/** High and low word of the last page checksum; read them before the next call. */
export const checksumWords = new Uint32Array(memory, kernel.RESULT.value, 2)

/** Where `bytes` lie in the kernel's memory; copied into the scratch buffer first unless they are there already. */
function place(bytes: Uint8Array): number {
  if (bytes.buffer === memory) return bytes.byteOffset
  scratch.set(bytes)
  return BUFFER
}

/**
 * Page checksum as LTX defines it (page number, then page, top bit forced on).
 * The result is in {@link checksumWords}.
 */
export function pageChecksum(page: number, bytes: Uint8Array): void {
  kernel.page_checksum(page, place(bytes), bytes.length, RESULT << 2)
}

/** CRC-64/ISO over any number of pieces. */
export class Crc64 {
  #low = 0xffffffff
  #high = 0xffffffff

  update(bytes: Uint8Array): void {
    words[REGISTER] = this.#low
    words[REGISTER + 1] = this.#high
    if (bytes.buffer === memory) {
      kernel.crc(bytes.byteOffset, bytes.length)
    } else {
      for (let at = 0; at < bytes.length; at += scratch.length) {
        const piece = bytes.subarray(at, at + scratch.length)
        scratch.set(piece)
        kernel.crc(BUFFER, piece.length)
      }
    }
    this.#low = words[REGISTER]
    this.#high = words[REGISTER + 1]
  }

  /** The checksum of everything so far; more may follow. */
  digest(): bigint {
    return (BigInt(~this.#high >>> 0) << 32n) | BigInt(~this.#low >>> 0)
  }
}

/** A running WAL checksum: two 32-bit words. */
export interface WalSum {
  s1: number
  s2: number
}

/** Carries `sum` on over `bytes` (length a multiple of 8), in place. `bigEndian` is the low bit of the WAL's magic. */
export function walSum(sum: WalSum, bytes: Uint8Array, bigEndian: boolean): void {
  words[WAL_SUM] = sum.s1
  words[WAL_SUM + 1] = sum.s2
  kernel.wal_sum(place(bytes), bytes.length, bigEndian ? 1 : 0)
  sum.s1 = words[WAL_SUM]
  sum.s2 = words[WAL_SUM + 1]
}

/**
 * Verifies up to `count` frames that lie one behind the other at the start of {@link scratch} and carries `sum` on
 * over the good ones. Stops at the first whose salts or running checksum differ. What was found lies in {@link entries}.
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
