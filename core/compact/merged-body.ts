import type { LtxHeader } from '../ltx/header.js'
import { type LtxSource, mergeLtx, type MergeOptions } from '../ltx/merge.js'
import type { ObjectBody } from '../object-store.js'

/** Bytes that are handed on in one piece; it may run over by what one piece of an input gives. */
const PIECE = 64 * 1024

/**
 * Files merged into one, as a body: the merge goes on only as fast as its bytes are taken.
 *
 * @param sources oldest first
 * @param onEnd told the header of the result once all of it has been made
 */
export async function* mergedBody(
  sources: Iterable<LtxSource>,
  options: Omit<MergeOptions, 'drain'>,
  onEnd: (header: LtxHeader) => void,
): ObjectBody {
  const hand = new HandOver()
  const merging = mergeLtx(sources, (bytes) => hand.write(bytes), { ...options, drain: () => hand.drain() }).then(
    (header) => hand.end(() => onEnd(header)),
    (error: unknown) => hand.fail(error),
  )
  try {
    for (;;) {
      const piece = await hand.take()
      if (!piece) return
      yield piece
    }
  } finally {
    hand.stop()
    await merging
  }
}

/** Bytes on their way from one that writes to one that takes; neither runs ahead of the other by more than a piece. */
class HandOver {
  #buffer = Buffer.allocUnsafeSlow(2 * PIECE)
  #other = Buffer.allocUnsafeSlow(2 * PIECE)
  #used = 0
  #state: 'open' | 'ended' | 'failed' | 'stopped' = 'open'
  #error: unknown
  /** Called when the other side has something to do. */
  #taker: (() => void) | undefined
  #writer: (() => void) | undefined

  write(bytes: Uint8Array): void {
    if (this.#used + bytes.length > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(2 * this.#buffer.length, this.#used + bytes.length))
      this.#buffer.copy(larger, 0, 0, this.#used)
      this.#buffer = larger
    }
    this.#buffer.set(bytes, this.#used)
    this.#used += bytes.length
  }

  async drain(): Promise<void> {
    if (this.#used >= PIECE) this.#taker?.()
    while (this.#used >= PIECE && this.#state === 'open') {
      await new Promise<void>((resolve) => (this.#writer = resolve))
    }
    if (this.#state === 'stopped') throw new Error('nobody takes the merged file any more')
  }

  /** The next piece, valid until the next call; `undefined` at the end. */
  async take(): Promise<Uint8Array | undefined> {
    while (this.#used < PIECE && this.#state === 'open') {
      await new Promise<void>((resolve) => (this.#taker = resolve))
    }
    if (this.#state === 'failed') throw this.#error
    if (this.#used === 0) return undefined
    const piece = this.#buffer.subarray(0, this.#used)
    this.#swap()
    this.#writer?.()
    return piece
  }

  end(before: () => void): void {
    before()
    this.#settle('ended')
  }

  fail(error: unknown): void {
    this.#error = error
    this.#settle('failed')
  }

  stop(): void {
    if (this.#state === 'open') this.#settle('stopped')
  }

  #settle(state: 'ended' | 'failed' | 'stopped'): void {
    this.#state = state
    this.#taker?.()
    this.#writer?.()
  }

  #swap(): void {
    const taken = this.#buffer
    this.#buffer = this.#other
    this.#other = taken
    this.#used = 0
  }
}
