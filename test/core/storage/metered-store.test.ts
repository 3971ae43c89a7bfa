import assert from 'node:assert/strict'
import { type ObjectBody, type ObjectStore, StoreError } from '../../../core/object-store.js'
import { MeteredStore } from '../../../core/storage/metered-store.js'

const never = <T>() => new Promise<T>(() => undefined)

/** A store that answers as told; what is not given is not asked for. */
function storeOf(some: Partial<ObjectStore>): ObjectStore {
  return { url: 'x:', keyStyle: 'litestream', capabilities: {}, ...some } as ObjectStore
}

async function* pieces(...lengths: number[]): ObjectBody {
  for (const length of lengths) {
    await new Promise((resolve) => setTimeout(resolve, 30))
    yield new Uint8Array(length)
  }
}

describe('metered store', () => {
  const short = { put: 100, other: 100 }
  const info = { key: 'a', size: 3, timestamp: 0 }

  async function drain(body: AsyncIterable<unknown>): Promise<void> {
    for await (const piece of body) assert.ok(piece)
  }

  it('counts requests, failures and bytes', async () => {
    const keys = Array.from({ length: 1001 }, (_, i) => ({ ...info, key: String(i) }))
    const store = new MeteredStore(
      storeOf({
        put: async (_key, body) => {
          await drain(body())
          return info
        },
        get: () => Promise.resolve({ info, body: pieces(4, 5) }),
        head: () => Promise.reject(new StoreError('throttled', 'slow')),
        delete: () => Promise.resolve(),
        // eslint-disable-next-line @typescript-eslint/require-await -- a listing is asynchronous
        list: async function* () {
          yield* keys
        },
      }),
    )
    await store.put('a', () => pieces(1, 2))
    await drain((await store.get('a'))!.body)
    await assert.rejects(store.head('a'), /slow/)
    await drain(store.list({ prefix: '' }))
    await store.delete(keys.map(({ key }) => key))
    const { requests, failures, sent, received } = store.traffic
    assert.deepEqual(requests, { put: 1, get: 1, head: 1, list: 2, delete: 2 })
    assert.deepEqual(failures, { transient: 0, throttled: 1, auth: 0, missing: 0, permanent: 0 })
    assert.deepEqual([sent, received], [3, 9])
  })

  const transient = (error: unknown) => error instanceof StoreError && error.kind === 'transient'

  it('ends what does not answer, and tells whoever is at it', async () => {
    let told: AbortSignal | undefined
    const store = new MeteredStore(
      storeOf({
        head: (_key, options) => {
          told = options?.signal
          return never()
        },
        put: () => never(),
        get: () => Promise.resolve({ info, body: { [Symbol.asyncIterator]: () => ({ next: () => never() }) } }),
        list: () => ({ [Symbol.asyncIterator]: () => ({ next: () => never() }) }),
      }),
      short,
    )
    await assert.rejects(store.head('a'), transient)
    assert.equal(told?.aborted, true)
    await assert.rejects(
      store.put('a', () => pieces()),
      transient,
    )
    await assert.rejects(drain((await store.get('a'))!.body), transient)
    await assert.rejects(drain(store.list({ prefix: '' })), transient)
    assert.equal(store.traffic.failures.transient, 4)
  })

  it('ends when whoever asked does not want it any more, with their reason', async () => {
    const store = new MeteredStore(storeOf({ head: () => never() }))
    const stop = new AbortController()
    const asked = store.head('a', { signal: stop.signal })
    stop.abort(new Error('stopped'))
    await assert.rejects(asked, /stopped/)
  })
})
