/**
 * Requests that read, or can be done again without harm: what breaks off is taken up from where it broke, a few times in a
 * row, if it may pass. A listing of many pages, or a long file, would hardly ever come to its end where one request in ten
 * fails.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { mayPass, storageFailure, storeErrorOf } from '../failures.js'
import type { ListOptions, ObjectBody, ObjectInfo, ObjectStore } from '../object-store.js'

/** How often in a row reading is taken up again before it counts as failed, and the first wait in milliseconds. */
const RESUMES = 5
const RESUME_PAUSE = 100

/** Does what can be done again without harm, and does so a few times if it may pass. Errors: `E_STORAGE`…. */
export async function doAgain<T>(
  url: string,
  doing: string,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      signal?.throwIfAborted()
      if (!mayPass(error) || attempt > RESUMES) throw storageFailure(error, url, doing)
      await pause(attempt, error, signal)
    }
  }
}

/**
 * Lists everything under a prefix. What breaks off after it had begun goes on from there; what fails at once is left to
 * whoever asks. Errors: those of the store.
 */
export async function* listOn(store: ObjectStore, options: ListOptions): AsyncIterable<ObjectInfo> {
  const { after, signal } = options
  let last: string | undefined
  for (let broken = 0; ;) {
    try {
      for await (const info of store.list({ ...options, after: last ?? after })) {
        last = info.key
        broken = 0
        yield info
      }
      return
    } catch (error) {
      signal?.throwIfAborted()
      if (last === undefined || !mayPass(error) || ++broken > RESUMES) throw error
      await pause(broken, error, signal)
    }
  }
}

/**
 * Hands a body on; one that breaks off is asked for again from where it broke.
 *
 * @param range which bytes of the object it has; `end` is known
 * @param from asks for the bytes from an offset to that end
 */
export async function* readOn(
  body: ObjectBody,
  range: { start: number; end: number },
  from: (at: number) => Promise<ObjectBody>,
  url: string,
  signal: AbortSignal | undefined,
): ObjectBody {
  let at = range.start
  let broken = 0
  for (let rest = body; ;) {
    try {
      for await (const piece of rest) {
        at += piece.length
        broken = 0
        yield piece
      }
      return
    } catch (error) {
      signal?.throwIfAborted()
      if (!mayPass(error) || ++broken > RESUMES) throw storageFailure(error, url, 'reading')
      await pause(broken, error, signal)
    }
    if (at >= range.end) return
    rest = await from(at)
  }
}

/** Waits before something is tried again, for longer each time, and for as long as the storage asks. */
async function pause(attempt: number, error: unknown, signal: AbortSignal | undefined): Promise<void> {
  const asked = storeErrorOf(error)?.retryAfter ?? 0
  await sleep(Math.max(asked, RESUME_PAUSE * 2 ** attempt), undefined, { signal })
}
