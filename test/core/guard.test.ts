import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { WalrustError } from '../../core/errors.js'
import type { WalrustEvent } from '../../core/events.js'
import { guardHooks } from '../../core/guard.js'
import { createHooks, HOOK_POLICIES, type HookName, type UploadRequest } from '../../core/hooks.js'
import type { ObjectBody, ObjectInfo } from '../../core/object-store.js'
import { MemoryStore } from '../../plugins/storage-memory/index.js'

const event: WalrustEvent = { event: 'recovered', database: 'app', timestamp: '', version: '0' }
const request = { database: 'app', body: (async function* () {})(), codecs: [] }

function guarded(deadlines: Partial<Record<HookName, number>> = {}) {
  const hooks = createHooks()
  const counted: WalrustError[] = []
  guardHooks(hooks, (error) => counted.push(error), (name) => deadlines[name] ?? HOOK_POLICIES[name].deadline) // prettier-ignore
  return { hooks, counted }
}

describe('what a plugin does wrong', () => {
  it('is stamped with plugin and hook', async () => {
    const { hooks } = guarded()
    hooks.decode.tapPromise('their-plugin', () => Promise.reject(new Error('boom')))
    await assert.rejects(hooks.decode.promise(request), (error: WalrustError) => {
      assert.equal(error.code, 'E_HOOK')
      assert.equal(error.plugin, 'their-plugin')
      assert.equal(error.hook, 'decode')
      assert.match(error.message, /their-plugin.*decode.*boom/)
      assert.match((error.cause as Error).message, /boom/)
      return true
    })
  })

  it('is the same for taps that throw at once, by callback, or with something that is no error', async () => {
    for (const add of [
      (hooks: ReturnType<typeof createHooks>) => hooks.decode.tap('p', () => { throw new Error('boom') }), // prettier-ignore
      (hooks: ReturnType<typeof createHooks>) =>
        hooks.decode.tapAsync('p', (_request, done) => done(new Error('boom'))),
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- plugins do that, too
      (hooks: ReturnType<typeof createHooks>) => hooks.decode.tapPromise('p', () => Promise.reject('boom')), // prettier-ignore
    ]) {
      const { hooks } = guarded()
      add(hooks)
      await assert.rejects(hooks.decode.promise(request), { code: 'E_HOOK', plugin: 'p', message: /boom/ })
    }
  })

  it('keeps the code of an error of ours', async () => {
    const { hooks } = guarded()
    hooks.decode.tapPromise('p', () => Promise.reject(new WalrustError('E_STORAGE_AUTH', 'no')))
    await assert.rejects(hooks.decode.promise(request), { code: 'E_STORAGE_AUTH', plugin: 'p', hook: 'decode' })
  })

  it('is noticed when a waterfall tap hands nothing on: tapable alone would go on with the old value', async () => {
    const { hooks } = guarded()
    hooks.decode.tapPromise('forgetful', () => Promise.resolve(undefined as never))
    await assert.rejects(hooks.decode.promise(request), { plugin: 'forgetful', message: /returned nothing/ })
  })

  it('is noticed when it does not settle by the deadline of its hook', async () => {
    const { hooks } = guarded({ decode: 20 })
    hooks.decode.tapPromise('hanging', () => new Promise(() => undefined))
    await assert.rejects(hooks.decode.promise(request), { plugin: 'hanging', message: /did not settle/ })
  })

  it('in notify is counted, never raised, and keeps nobody else from being told', async () => {
    const { hooks, counted } = guarded()
    const told: string[] = []
    hooks.notify.tapPromise('failing', () => Promise.reject(new Error('boom')))
    hooks.notify.tapPromise('slow', async () => {
      await new Promise((resolve) => setTimeout(resolve, 20))
      told.push('slow')
    })
    hooks.notify.tap('sync', () => void told.push('sync'))
    await hooks.notify.promise(event)
    assert.deepEqual(told.sort(), ['slow', 'sync'])
    assert.deepEqual(counted.map(({ plugin, hook }) => [plugin, hook]), [['failing', 'notify']]) // prettier-ignore
  })

  it('is guarded against whenever it was tapped, before or after others', async () => {
    const { hooks } = guarded()
    hooks.decode.tapPromise({ name: 'late', stage: 10 }, () => Promise.reject(new Error('boom')))
    hooks.decode.tapPromise({ name: 'first', before: 'late' }, (value) => Promise.resolve(value))
    await assert.rejects(hooks.decode.promise(request), { plugin: 'late' })
  })
})

describe('bodies that a codec makes', () => {
  const bodyOf = (body: ObjectBody) => ({ database: 'app', body, codecs: ['p'] })
  const drain = async (body: ObjectBody) => {
    for await (const _piece of body);
  }
  async function* source(fails?: Error, wait = 0): ObjectBody {
    yield Buffer.from('one')
    await sleep(wait)
    if (fails) throw fails
    yield Buffer.from('two')
  }

  it('fail with the name of plugin and hook', async () => {
    const { hooks } = guarded()
    hooks.decode.tap('p', (request) => ({
      ...request,
      body: (async function* () {
        yield* request.body
        throw new Error('no end')
      })(),
    }))
    const { body } = await hooks.decode.promise(bodyOf(source()))
    await assert.rejects(drain(body), { code: 'E_HOOK', plugin: 'p', hook: 'decode', message: /no end/ })
  })

  const passing = (hooks: ReturnType<typeof createHooks>) =>
    hooks.decode.tap('p', (request) => ({
      ...request,
      body: (async function* () {
        for await (const piece of request.body) yield piece
      })(),
    }))

  it('are not blamed for what they were given, neither its failures nor its time', async () => {
    const { hooks } = guarded({ decode: 30 })
    passing(hooks)
    const failure = new Error('the storage is gone')
    const { body } = await hooks.decode.promise(bodyOf(source(failure)))
    await assert.rejects(drain(body), (error) => error === failure)
    const slow = await hooks.decode.promise(bodyOf(source(undefined, 150)))
    await drain(slow.body)
  })

  it('have to bring every piece in time', async () => {
    const { hooks } = guarded({ decode: 30 })
    hooks.decode.tap('p', (request) => ({
      ...request,
      body: (async function* () {
        yield* request.body
        await new Promise(() => undefined)
      })(),
    }))
    const { body } = await hooks.decode.promise(bodyOf(source()))
    await assert.rejects(drain(body), { plugin: 'p', hook: 'decode', message: /did not settle within 0.03 s/ })
  })

  it('are let go when nobody reads on', async () => {
    const { hooks } = guarded()
    let ended = false
    hooks.decode.tap('p', (request) => ({
      ...request,
      body: (async function* () {
        try {
          yield* request.body
        } finally {
          ended = true
        }
      })(),
    }))
    const { body } = await hooks.decode.promise(bodyOf(source()))
    for await (const _piece of body) break
    assert.ok(ended)
  })
})

describe('uploads', () => {
  const pieces = [Buffer.from('one'), Buffer.from('two'), Buffer.from('three')]
  let ended = 0

  /** A file that tells when whoever reads it has let it go. */
  async function* file(wait = 0): ObjectBody {
    try {
      for (const piece of pieces) {
        await sleep(wait)
        yield piece
      }
    } finally {
      ended++
    }
  }

  function asked(signal = new AbortController().signal, wait = 0): UploadRequest {
    return {
      database: { name: 'app', path: '/app.db', stateDir: '/state' },
      store: new MemoryStore('memory:'),
      file: { level: 0, minTxid: 1, maxTxid: 1 },
      key: 'key',
      body: () => file(wait),
      metadata: {},
      size: undefined,
      sha256: undefined,
      timestamp: 0,
      signal,
    }
  }

  const drain = async (request: UploadRequest): Promise<ObjectInfo> => {
    let size = 0
    for await (const piece of request.body()) size += piece.length
    return { key: request.key, size, timestamp: 0 }
  }

  it('may take as long as they need while something moves, on either side', async () => {
    for (const wait of [0, 40]) {
      const { hooks } = guarded({ upload: 100 })
      hooks.upload.tapPromise('slow', async (request) => {
        const { body, key } = request
        let size = 0
        for await (const piece of body()) {
          size += piece.length
          await sleep(40 - wait)
        }
        await sleep(70)
        return { key, size, timestamp: 0 }
      })
      assert.equal((await hooks.upload.promise(asked(undefined, wait)))?.size, 11)
    }
  })

  it('are given up when nothing moves: before, within and behind the file', async () => {
    for (const read of [0, 1, 3]) {
      ended = 0
      const { hooks } = guarded({ upload: 30 })
      let signal: AbortSignal | undefined
      hooks.upload.tapPromise('hanging', async (request) => {
        ;({ signal } = request)
        const steps = request.body()[Symbol.asyncIterator]()
        for (let i = 0; i < read; i++) await steps.next()
        return await new Promise<never>(() => undefined)
      })
      const late = { code: 'E_HOOK', plugin: 'hanging', hook: 'upload', message: /nothing has moved for 0.03 s/ }
      await assert.rejects(hooks.upload.promise(asked()), late)
      assert.ok(signal?.aborted)
      await sleep(5)
      // What nobody has begun to read need not be let go.
      assert.equal(ended, read === 0 ? 0 : 1, `${read} pieces`)
    }
  })

  it('read nothing more once they are given up', async () => {
    const { hooks } = guarded({ upload: 30 })
    let wake: (() => void) | undefined
    let got: IteratorResult<Uint8Array> | undefined
    hooks.upload.tapPromise('late', async (request) => {
      const steps = request.body()[Symbol.asyncIterator]()
      await steps.next()
      await new Promise<void>((resolve) => (wake = resolve))
      got = await steps.next()
      return await drain(request)
    })
    await assert.rejects(hooks.upload.promise(asked()), { plugin: 'late' })
    wake?.()
    await sleep(5)
    assert.equal(got?.done, true)
  })

  it('that do not listen hold up nobody who wants to end', async () => {
    const { hooks } = guarded()
    hooks.upload.tapPromise('deaf', () => new Promise(() => undefined))
    const end = new AbortController()
    const running = hooks.upload.promise(asked(end.signal))
    end.abort(new WalrustError('E_ABORTED', 'enough'))
    await assert.rejects(running, { code: 'E_ABORTED' })
  })
})

describe('the hook table', () => {
  it('is frozen, in the order in which data meets it, with a policy for each', () => {
    const hooks = createHooks()
    assert.ok(Object.isFrozen(hooks))
    assert.ok(Object.isFrozen(HOOK_POLICIES))
    assert.deepEqual(Object.keys(hooks), ['frameRead', 'pageDedup', 'encode', 'decode', 'upload', 'retain', 'notify'])
    assert.deepEqual(Object.keys(HOOK_POLICIES), Object.keys(hooks))
  })
})
