import assert from 'node:assert/strict'
import { Host } from '../../core/host.js'
import {
  type ObjectBody,
  type ObjectStore,
  type Plugin,
  type PutOptions,
  StoreError,
  WalrustError,
} from '../../core/index.js'
import { proveCodecs } from '../../core/ship/prove-codecs.js'
import { Remote } from '../../core/remote.js'
import { MemoryStore } from '../../plugins/storage-memory/index.js'
import { someDatabase, TestLog } from '../../testing/scene.js'
import gzipCodec from '../helpers/gzip-codec.js'
import { emptyBody } from '../../core/store-rules.js'

const plugin = (more: Partial<Plugin>): Plugin => ({ name: 'theirs', apply: () => undefined, ...more })

describe('Host: what a store of a third party declares is tried before the first byte', () => {
  async function checking(store: ObjectStore, name = 'theirs'): Promise<{ log: TestLog; checked: Promise<void> }> {
    const log = new TestLog()
    const host = new Host(log)
    host.use(plugin({ name, apply: (to) => to.registerStorage('odd', () => store) }))
    const opened = await host.store('odd:x')
    return { log, checked: host.check([opened]) }
  }

  const lies: Array<[declared: string, store: () => MemoryStore]> = [
    [
      'createIfAbsent',
      () =>
        new (class extends MemoryStore {
          override put(key: string, body: () => ObjectBody, { ifAbsent: _, ...options }: PutOptions = {}) {
            return super.put(key, body, options)
          }
        })(),
    ],
    [
      'replaceIfMatch',
      () =>
        new (class extends MemoryStore {
          override put(key: string, body: () => ObjectBody, { ifMatch: _, ...options }: PutOptions = {}) {
            return super.put(key, body, options)
          }
        })(),
    ],
    [
      'metadata',
      () =>
        new (class extends MemoryStore {
          override put(key: string, body: () => ObjectBody, { metadata: _, ...options }: PutOptions = {}) {
            return super.put(key, body, options)
          }
        })(),
    ],
  ]
  for (const [declared, store] of lies) {
    it(`${declared}, and it is not so`, async () => {
      const { checked } = await checking(store())
      await assert.rejects(checked, {
        code: 'E_HOOK',
        plugin: 'theirs',
        message: new RegExp(`theirs.*\`${declared}\``),
      })
    })
  }

  it('nothing, where safety needs it', async () => {
    const store = new (class extends MemoryStore {
      override readonly capabilities = { ...new MemoryStore().capabilities, createIfAbsent: false }
    })()
    await assert.rejects((await checking(store)).checked, { code: 'E_STORAGE', message: /theirs/ })
  })

  it('the truth: nothing is said, at the second start neither', async () => {
    const store = new MemoryStore()
    for (let i = 0; i < 2; i++) {
      const { log, checked } = await checking(store)
      await checked
      assert.deepEqual(log.lines, [])
    }
  })

  it('and cannot be asked just now: that is said, and no reason not to start', async () => {
    const store = new (class extends MemoryStore {
      override put(): Promise<never> {
        return Promise.reject(new StoreError('transient', 'away'))
      }
    })()
    const { log, checked } = await checking(store)
    await checked
    assert.match(log.lines.join(), /cannot be used now.*away/)
  })
})

describe('Host: check and start', () => {
  for (const what of ['check', 'start'] as const) {
    const asked = async (work: () => unknown): Promise<void> => {
      const host = new Host(new TestLog())
      host.use(plugin({ name: 'theirs', [what]: work }))
      await (what === 'check' ? host.check([], 50) : host.start(50))
    }

    it(`names a plugin whose ${what} hangs, or throws: it does not keep everything waiting`, async () => {
      const hangs = asked(() => new Promise(() => undefined))
      await assert.rejects(hangs, { code: 'E_HOOK', plugin: 'theirs', message: /theirs failed at .*0\.05 s/ })
      const throws = asked(() => {
        throw new Error('boom')
      })
      await assert.rejects(throws, { code: 'E_HOOK', plugin: 'theirs', message: /theirs failed at .*boom/ })
      const ours = asked(() => Promise.reject(new WalrustError('E_CONFIG', 'no key')))
      await assert.rejects(ours, { code: 'E_CONFIG', message: 'no key' })
    })
  }
})

describe('Host: stop', () => {
  it('gives every plugin its time, the last first, and goes on without one that does not end or fails', async () => {
    const log = new TestLog()
    const host = new Host(log)
    const stopped: string[] = []
    host.use(plugin({ name: 'first', start: () => undefined, stop: () => void stopped.push('first') }))
    host.use(plugin({ name: 'hanging', start: () => undefined, stop: () => new Promise(() => undefined) }))
    host.use(plugin({ name: 'failing', start: () => undefined, stop: () => Promise.reject(new Error('boom')) }))
    host.use(plugin({ name: 'last', start: () => undefined, stop: () => void stopped.push('last') }))
    await host.start()
    await host.stop(50)
    assert.deepEqual(stopped, ['last', 'first'])
    assert.match(log.lines.join('\n'), /did not stop.*failing.*boom[^]*did not stop.*hanging.*0.05 s/)
  })

  it('lets go of stores, one that hangs or could not be opened among them', async () => {
    const log = new TestLog()
    const host = new Host(log)
    let closed = 0
    const close = () => {
      closed++
      return Promise.resolve()
    }
    const store = (close: () => Promise<void>) => Object.assign(new MemoryStore(), { close })
    host.use(
      plugin({
        apply(to) {
          to.registerStorage('hanging', () => store(() => new Promise(() => undefined)))
          to.registerStorage('broken', () => Promise.reject(new Error('no store')))
          to.registerStorage('good', () => store(close))
        },
      }),
    )
    await host.store('hanging:x')
    await assert.rejects(host.store('broken:x'))
    await host.store('good:x')
    await host.stop(50)
    assert.equal(closed, 1)
  })
})

describe('codecs are proved before the first file goes through them', () => {
  const header = {
    ...{ pageSize: 4096, commit: 1, minTxid: 1, maxTxid: 1, timestamp: 1, checksums: 'portable' as const, pre: 0n },
    ...{ post: 0n, walOffset: 0, walSize: 0, walSalt1: 0, walSalt2: 0, nodeId: 0n },
  }
  async function prove(codec: Plugin): Promise<void> {
    const host = new Host(new TestLog())
    host.use(codec)
    const { hooks } = host
    await proveCodecs(someDatabase(), header, hooks, new Remote(new MemoryStore(), 'app', hooks))
  }
  const codec = (
    undo: (body: ObjectBody) => ObjectBody,
    names: (codecs: readonly string[]) => readonly string[],
    wrap = turned,
  ) =>
    plugin({
      apply({ hooks }) {
        hooks.encode.tap('theirs', (request) => ({
          ...request,
          body: wrap(request.body ?? emptyBody()),
          codecs: [...request.codecs, 'theirs'],
        }))
        hooks.decode.tap('theirs', (request) => ({
          ...request,
          body: undo(request.body),
          codecs: names(request.codecs),
        }))
      },
    })
  const dropLast = (codecs: readonly string[]) => codecs.slice(0, -1)

  it('one that gives back what it was given', () => prove(gzipCodec()))
  it('one that turns bits and turns them back', () => prove(codec(turned, dropLast)))
  it('one that gives back something else', () =>
    assert.rejects(prove(codec((body) => body, dropLast)), { code: 'E_HOOK', message: /theirs.*something else/ }))
  it('one that drops the end', () =>
    assert.rejects(prove(codec((body) => short(turned(body)), dropLast)), { message: /theirs.*something else/ }))
  it('one that leaves the beginning of a file as it is', () => {
    const same = async function* (body: ObjectBody): ObjectBody {
      yield* body
    }
    const message = /theirs.*begins as the file itself does/
    return assert.rejects(prove(codec(same, dropLast, same)), { code: 'E_HOOK', message })
  })
  it('one that takes itself for somebody else', () =>
    assert.rejects(prove(codec(turned, (codecs) => codecs)), { message: /theirs.*nothing takes it off/ }))
})

async function* turned(body: ObjectBody): ObjectBody {
  for await (const piece of body) yield piece.map((byte) => byte ^ 0xff)
}

async function* short(body: ObjectBody): ObjectBody {
  let before: Uint8Array | undefined
  for await (const piece of body) {
    if (before) yield before
    before = Buffer.from(piece)
  }
}
