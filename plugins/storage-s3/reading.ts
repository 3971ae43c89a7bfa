import { checkReceived, type ObjectBody, StoreError } from '../../core/index.js'
import { failureOf } from './failure.js'
import type { S3Place } from './place.js'

/** Milliseconds without a byte after which a body counts as lost. */
const SILENCE = 30_000

/** A body as the network brings it. Errors unless it has exactly `size` bytes; the connection is let go in any case. */
export async function* readBody(
  stream: NodeJS.ReadableStream & { destroy(error?: Error): void },
  size: number,
  place: S3Place,
  signal: AbortSignal | undefined,
): ObjectBody {
  let seen = 0
  const onAbort = () => stream.destroy(new Error('aborted'))
  signal?.addEventListener('abort', onAbort)
  let lost: StoreError | undefined
  const timer = setTimeout(() => {
    lost = new StoreError('transient', `no byte of the answer for ${SILENCE / 1000} s`)
    stream.destroy(lost)
  }, SILENCE)
  try {
    for await (const piece of stream as AsyncIterable<Buffer>) {
      signal?.throwIfAborted()
      seen += piece.length
      if (seen > size) break
      timer.refresh()
      yield piece
      timer.refresh()
    }
  } catch (error) {
    signal?.throwIfAborted()
    throw lost ?? readFailure(error, place)
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', onAbort)
    stream.destroy()
  }
  checkReceived(seen, size)
}

/** Whatever breaks a body on its way may go well the next time. */
function readFailure(error: unknown, place: S3Place): Error {
  const failure = failureOf(error, place)
  if (!(failure instanceof StoreError) || failure.kind !== 'permanent') return failure
  return new StoreError('transient', `the answer broke off: ${failure.message}`, undefined, error)
}
