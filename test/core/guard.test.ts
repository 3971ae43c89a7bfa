import assert from 'node:assert/strict'
import { WalrustError } from '../../core/errors.js'
import type { WalrustEvent } from '../../core/events.js'
import { guardHooks } from '../../core/guard.js'
import { createHooks, HOOK_POLICIES, type HookName } from '../../core/hooks.js'

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

describe('the hook table', () => {
  it('is frozen, in the order in which data meets it, with a policy for each', () => {
    const hooks = createHooks()
    assert.ok(Object.isFrozen(hooks))
    assert.ok(Object.isFrozen(HOOK_POLICIES))
    assert.deepEqual(Object.keys(hooks), ['frameRead', 'pageDedup', 'encode', 'decode', 'upload', 'retain', 'notify'])
    assert.deepEqual(Object.keys(HOOK_POLICIES), Object.keys(hooks))
  })
})
