import { createHash, randomBytes } from 'node:crypto'
import type { ObjectBody, ObjectInfo, ObjectStore } from '../../core/object-store.js'
import { expect } from '../conformance.js'

/** The store under test. */
export interface StoreSubject {
  /** Opens the place. Called for every case; what an earlier case has stored may still be there. */
  open(): ObjectStore | Promise<ObjectStore>
  /**
   * How many objects the case about long listings stores: more than the service returns on one page (1,000 on most).
   * Fewer where each request costs money.
   */
  manyObjects?: number
  /** Bytes of the large object; more than the store sends in one piece. 20 MiB if not given. */
  largeObject?: number
  /** Milliseconds that a case may take before it counts as hanging. 55 s if not given. */
  limit?: number
}

/** One case's view of the store: keys in a folder of its own, so that cases do not meet. */
export class Scene {
  readonly prefix = `conformance-${randomBytes(6).toString('hex')}/`

  constructor(readonly store: ObjectStore) {}

  key(name: string): string {
    return this.prefix + name
  }

  async put(name: string, text: string | Uint8Array): Promise<ObjectInfo> {
    const bytes = typeof text === 'string' ? Buffer.from(text) : text
    return this.store.put(this.key(name), () => pieces(bytes), { size: bytes.length, sha256: sha256(bytes) })
  }

  /** The bytes under a name, or of a range of them; `undefined` if there is no object. */
  async read(name: string, range?: { start: number; end?: number }): Promise<Buffer | undefined> {
    const answer = await this.store.get(this.key(name), { range })
    return answer && (await bytesOf(answer.body))
  }

  async text(name: string): Promise<string | undefined> {
    return (await this.read(name))?.toString()
  }

  /** Names in listing order. */
  async names(prefix = '', after?: string): Promise<string[]> {
    const options = { prefix: this.prefix + prefix, after: after === undefined ? undefined : this.prefix + after }
    return (await this.list(options)).map(({ key }) => key.slice(this.prefix.length))
  }

  async list(options: { prefix: string; after?: string }): Promise<ObjectInfo[]> {
    const infos: ObjectInfo[] = []
    for await (const info of this.store.list(options)) infos.push(info)
    return infos
  }

  /** Fails unless nothing at all is to be seen of an object. */
  async expectNothing(name: string, after: string): Promise<void> {
    const mend =
      'make an object appear whole or not at all: upload first, publish as the last step, clean up on failure'
    expect((await this.store.head(this.key(name))) === undefined, `${after}, \`head\` finds an object`, mend)
    expect((await this.store.get(this.key(name))) === undefined, `${after}, \`get\` finds an object`, mend)
    expect(!(await this.names()).includes(name), `${after}, the listing shows an object`, mend)
  }

  async clean(): Promise<void> {
    const keys = (await this.list({ prefix: this.prefix })).map(({ key }) => key)
    if (keys.length > 0) await this.store.delete(keys)
  }
}

/** A body of these pieces. All are handed out in one buffer, as the core does it: a piece lives until the next one. */
// eslint-disable-next-line @typescript-eslint/require-await -- a body is asynchronous, these bytes are there
export async function* pieces(...parts: Uint8Array[]): ObjectBody {
  const shared = Buffer.alloc(Math.max(0, ...parts.map(({ length }) => length)))
  for (const part of parts) {
    shared.set(part)
    yield shared.subarray(0, part.length)
    shared.fill(0xee)
  }
}

/** Bytes that no compression and no repetition makes equal to others; the same for the same seed. */
export function* noise(size: number, seed = 1, piece = 65_536): Generator<Uint8Array> {
  let state = seed >>> 0 || 1
  const shared = new Uint32Array(piece / 4)
  for (let done = 0; done < size; done += piece) {
    for (let i = 0; i < shared.length; i++) {
      state ^= state << 13
      state ^= state >>> 17
      state ^= state << 5
      shared[i] = state
    }
    yield Buffer.from(shared.buffer, 0, Math.min(piece, size - done))
  }
}

// eslint-disable-next-line @typescript-eslint/require-await -- a body is asynchronous, these bytes are made at once
export async function* noiseBody(size: number, seed?: number, piece?: number): ObjectBody {
  yield* noise(size, seed, piece)
}

export async function bytesOf(body: ObjectBody): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const piece of body) parts.push(Buffer.from(piece))
  return Buffer.concat(parts)
}

export async function hashOf(body: ObjectBody | Iterable<Uint8Array>): Promise<{ sha256: string; size: number }> {
  const hash = createHash('sha256')
  let size = 0
  for await (const piece of body) {
    hash.update(piece)
    size += piece.length
  }
  return { sha256: hash.digest('hex'), size }
}

export function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex')
}
