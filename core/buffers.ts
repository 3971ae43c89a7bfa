/**
 * Buffers for passing bytes on, used again instead of being given back: a process that takes and frees large pieces of
 * memory several times a second grows, however little of it is in use at any time.
 */
export const BUFFER_SIZE = 256 * 1024

/** So many are kept; more are in use only while many databases are busy at once. */
const KEPT = 8

const free: Buffer[] = []

/** A buffer of {@link BUFFER_SIZE} bytes with anything in it. Give it back with {@link giveBack}. */
export function takeBuffer(): Buffer {
  return free.pop() ?? Buffer.allocUnsafeSlow(BUFFER_SIZE)
}

/** Gives a buffer back. Nobody may use it after that, nor any part of it. */
export function giveBack(buffer: Buffer): void {
  if (free.length < KEPT && buffer.length === BUFFER_SIZE) free.push(buffer)
}
