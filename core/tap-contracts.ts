import type {
  DecodeRequest,
  EncodeRequest,
  FrameBatch,
  FrameReadRequest,
  HookName,
  Hooks,
  RetainPlan,
  UploadRequest,
} from './hooks.js'
import type { ObjectBody, ObjectInfo } from './object-store.js'
import type { PageSet } from './pages/page-set.js'
import { Watchdog } from './storage/watchdog.js'
import { within } from './timers.js'
import { comparePositions, type LogPosition } from './wal/position.js'

/** One call of one tap. */
export interface TapCall {
  /** Name of the tap. */
  readonly tap: string
  readonly hooks: Hooks
  /** Milliseconds that it has, and that every piece of a body has that it made or was given. */
  readonly deadline: number
  /** An error with the names of plugin and hook on it. */
  readonly stamp: (error: unknown) => Error
}

/** Calls a tap and looks at what it answers. Throws what is wrong with that, or hands on what is to be taken. */
export type TapContract = { check(run: (asked: unknown) => Promise<unknown>, asked: unknown, call: TapCall): Promise<unknown> }['check'] // prettier-ignore

/**
 * What the answer of a tap has to be, beyond being there. A plugin that lies is told so by name, before anything is
 * built on what it said: frames that never were, or a transform that nobody can take off, would be noticed only by
 * whoever restores.
 */
export const TAP_CONTRACTS: Readonly<Partial<Record<HookName, TapContract>>> = {
  frameRead: looked(frames),
  pageDedup: looked(pages),
  encode,
  decode,
  upload,
  retain: looked(planned),
}

function looked(look: { at(answer: unknown, asked: unknown): void }['at']): TapContract {
  return async (run, asked) => {
    const answer = await run(asked)
    look(answer, asked)
    return answer
  }
}

const show = ({ generation, frame }: LogPosition) => `${generation}:${frame}`

/** Frames that begin too late are found by whoever asked. Where they end is where the position goes. */
function frames(batch: FrameBatch | undefined, { reason, since, wal }: FrameReadRequest): void {
  if (!batch || reason === 'recover') return
  if (comparePositions(batch.to, since) < 0 || (wal && comparePositions(batch.to, wal.to) > 0))
    throw new Error(
      `its frames end at ${show(batch.to)}; there are those from ${show(since)} to ${show(wal?.to ?? since)}`,
    )
}

function pages(set: Partial<PageSet>): void {
  if (typeof set.cursor !== 'function') throw new Error('it returned something that is no set of pages')
}

function stored(info: ObjectInfo | undefined, { key, size }: UploadRequest): void {
  if (!info) return
  if (info.key !== key) throw new Error(`it stored ${info.key} instead of ${key}`)
  if (size !== undefined && info.size !== size) throw new Error(`it stored ${info.size} bytes instead of ${size}`)
}

/**
 * A snapshot may be on its way for hours, so what counts is whether anything moves. A tap that is given up is told so,
 * and reads nothing more of its file: the next attempt reads that from the beginning.
 */
async function upload(
  run: (asked: UploadRequest) => Promise<unknown>,
  asked: UploadRequest,
  { deadline }: TapCall,
): Promise<unknown> {
  const standstill = () => new Error(`nothing has moved for ${deadline / 1000} s`)
  const dog = new Watchdog(deadline, asked.signal, standstill)
  const bodies: AsyncGenerator<Uint8Array>[] = []
  const body = () => {
    const pieces = moving(asked.body(), dog)
    bodies.push(pieces)
    return pieces
  }
  try {
    const answer = await dog.within(run({ ...asked, body, signal: dog.signal }))
    stored(answer as ObjectInfo | undefined, asked)
    return answer
  } finally {
    dog.end()
    // One that hangs in the middle of a file would keep it open.
    for (const pieces of bodies) pieces.return(undefined).catch(() => undefined)
  }
}

async function* moving(body: ObjectBody, dog: Watchdog): AsyncGenerator<Uint8Array> {
  for await (const piece of body) {
    dog.signal.throwIfAborted()
    dog.moved()
    yield piece
    dog.moved()
  }
}

function planned(plan: Partial<RetainPlan>): void {
  for (const key of ['remove', 'merge', 'notes'] as const)
    if (!Array.isArray(plan[key])) throw new Error(`its plan has no list \`${key}\``)
}

async function encode(
  run: (asked: EncodeRequest) => Promise<unknown>,
  asked: EncodeRequest,
  call: TapCall,
): Promise<EncodeRequest> {
  const source = asked.body && new Source(asked.body)
  const answer = (await run(source ? { ...asked, body: source } : asked)) as EncodeRequest
  const { body, codecs } = answer
  if (!body && source) throw new Error('it returned no `body`')
  if (!Array.isArray(codecs) || asked.codecs.some((codec, i) => codec !== codecs[i]))
    throw new Error('it changed the names of those before it in `codecs`')
  // The first tap makes the body, of pages that others may have seen before it; one that only looks hands on what it got.
  if (!source || !body) return answer
  if (body === source && codecs.length === asked.codecs.length) return { ...answer, body: source.body }
  if (codecs.length !== asked.codecs.length + 1)
    throw new Error('it changed the file without adding one name to `codecs`: nobody would know how to read it')
  if (!call.hooks.decode.taps.some(({ name }) => name === call.tap))
    throw new Error('it taps `encode` and not `decode`: nobody could read what it writes')
  return { ...answer, body: watched(body, source, call) }
}

async function decode(
  run: (asked: DecodeRequest) => Promise<unknown>,
  asked: DecodeRequest,
  call: TapCall,
): Promise<DecodeRequest> {
  const source = new Source(asked.body)
  const answer = (await run({ ...asked, body: source })) as DecodeRequest
  const { body, codecs } = answer
  if (
    !Array.isArray(codecs) ||
    codecs.length > asked.codecs.length ||
    codecs.some((name, i) => name !== asked.codecs[i])
  )
    throw new Error('it changed the names of others in `codecs`')
  if (body === source) return { ...answer, body: asked.body }
  return { ...answer, body: watched(body, source, call) }
}

/** The body that a tap is given. Its failures are not those of the tap, nor is the time that it takes. */
class Source implements AsyncIterable<Uint8Array> {
  failure: unknown
  /** Whether it is being waited for, and since when it is not. */
  #busy = false
  #idleSince = 0

  constructor(readonly body: ObjectBody) {}

  /** Milliseconds for which it has not been waited for. */
  get idle(): number {
    return this.#busy ? 0 : performance.now() - this.#idleSince
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      this.#busy = true
      for await (const piece of this.body) {
        this.#rest()
        yield piece
        this.#busy = true
      }
    } catch (error) {
      this.failure = error
      throw error
    } finally {
      this.#rest()
    }
  }

  #rest(): void {
    this.#busy = false
    this.#idleSince = performance.now()
  }
}

/** A body that a tap has made: its failures carry the name of the tap, and every piece has to come in time. */
async function* watched(body: ObjectBody, source: Source, { deadline, stamp }: TapCall): AsyncGenerator<Uint8Array> {
  const pieces = body[Symbol.asyncIterator]()
  let open = true
  try {
    for (;;) {
      const next = await within(deadline, pieces.next(), () => source.idle)
      if (next.done) break
      yield next.value
    }
    open = false
  } catch (error) {
    open = false
    if (source.failure === undefined) throw stamp(error)
    throw source.failure as Error
  } finally {
    // Left early: whoever makes the pieces may let go of what it holds.
    if (open) await pieces.return?.()
  }
}
