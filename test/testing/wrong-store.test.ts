import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ListOptions, type ObjectBody, type ObjectInfo, type PutOptions, WalrustError } from '../../core/index.js'
import { MemoryStore } from '../../plugins/storage-memory/index.js'
import { ConformanceError, storeCases } from '../../testing/index.js'

/** Stores that look right at first sight. Each lies in one way; the suite has to say which, and what to do. */
const wrong: Array<{ what: string; store: () => MemoryStore; fails: string; says: RegExp }> = [
  {
    what: 'looks first and writes then',
    store: () =>
      new (class extends MemoryStore {
        override async put(key: string, body: () => ObjectBody, { ifAbsent, ...options }: PutOptions = {}) {
          if (ifAbsent && (await this.head(key))) throw new WalrustError('E_OBJECT_EXISTS', key)
          await sleep(1)
          return super.put(key, body, options)
        }
      })(),
    fails: 'lets exactly one of many create an object',
    says: /8 of 8 at once succeeded with `ifAbsent`[^]*To mend: let the service decide in one step/,
  },
  {
    what: 'does not know ifAbsent',
    store: () =>
      new (class extends MemoryStore {
        override put(key: string, body: () => ObjectBody, { ifAbsent: _, ...options }: PutOptions = {}) {
          return super.put(key, body, options)
        }
      })(),
    fails: 'refuses to create what is there already',
    says: /replaced an object[^]*If-None-Match/,
  },
  {
    what: 'reports an unmet condition as it came',
    store: () =>
      new (class extends MemoryStore {
        override put(key: string, body: () => ObjectBody, options?: PutOptions) {
          return super.put(key, body, options).catch(() => Promise.reject(new Error('412 Precondition Failed')))
        }
      })(),
    fails: 'refuses to create what is there already',
    says: /reported as Error: 412[^]*E_OBJECT_EXISTS/,
  },
  {
    what: 'returns the first page of a listing',
    store: () =>
      new (class extends MemoryStore {
        override async *list(options: ListOptions) {
          let count = 0
          for await (const info of super.list(options)) if (count++ < 1000) yield info
        }
      })(),
    fails: 'lists everything when there is more than a page of it',
    says: /of 1100 objects 1000 are listed[^]*token/,
  },
  {
    what: 'lists what is stored only later',
    store: () =>
      new (class extends MemoryStore {
        readonly #born = new Map<string, number>()
        override async put(key: string, body: () => ObjectBody, options?: PutOptions) {
          this.#born.set(key, performance.now())
          return super.put(key, body, options)
        }
        override async *list(options: ListOptions) {
          for await (const info of super.list(options)) {
            if (performance.now() - (this.#born.get(info.key) ?? 0) > 50) yield info
          }
        }
      })(),
    fails: 'shows what was stored at once, and what was deleted no more',
    says: /does not show what was just stored[^]*strongly consistent/,
  },
  {
    what: 'lists only what it is told to skip',
    store: () =>
      new (class extends MemoryStore {
        override async *list(options: ListOptions) {
          for await (const info of super.list(options)) if (options.skip?.(info.key) ?? true) yield info
        }
      })(),
    fails: 'leaves out of a listing what nobody wants to know of, at most',
    says: /with `skip` for b and d[^]*whole key/,
  },
  {
    what: 'sorts as people do',
    store: () =>
      new (class extends MemoryStore {
        override async *list(options: ListOptions) {
          const infos: ObjectInfo[] = []
          for await (const info of super.list(options)) infos.push(info)
          yield* infos.sort((a, b) => a.key.localeCompare(b.key))
        }
      })(),
    fails: 'lists in the order of the bytes of keys',
    says: /bytes of the whole key/,
  },
  {
    what: 'keeps the pieces it was lent',
    store: () =>
      new (class extends MemoryStore {
        override put(key: string, body: () => ObjectBody, options?: PutOptions) {
          const kept = async function* (): ObjectBody {
            const parts: Uint8Array[] = []
            for await (const piece of body()) parts.push(piece)
            yield* parts
          }
          return super.put(key, kept, { ...options, sha256: undefined })
        }
      })(),
    fails: 'takes a body in pieces that share one buffer',
    says: /garbled[^]*copy it/,
  },
  {
    what: 'keeps what has come when a body fails',
    store: () =>
      new (class extends MemoryStore {
        override async put(key: string, body: () => ObjectBody, options?: PutOptions) {
          let failed: unknown
          const kept = async function* (): ObjectBody {
            try {
              yield* body()
            } catch (error) {
              failed = error
            }
          }
          const info = await super.put(key, kept, { ...options, size: undefined })
          if (failed) throw failed as Error
          return info
        }
      })(),
    fails: 'stores nothing when the body fails',
    says: /after a body that failed[^]*`head` finds an object[^]*whole or not at all/,
  },
  {
    what: 'never answers',
    store: () =>
      new (class extends MemoryStore {
        override head(key: string): Promise<ObjectInfo | undefined> {
          return key.endsWith('nothing') ? new Promise(() => undefined) : super.head(key)
        }
      })(),
    fails: 'says nothing about an object that is not there',
    says: /was not over after 0.2 s[^]*deadline/,
  },
  {
    what: 'throws where there is nothing',
    store: () =>
      new (class extends MemoryStore {
        override async head(key: string): Promise<ObjectInfo | undefined> {
          const info = await super.head(key)
          if (!info) throw new Error('404')
          return info
        }
      })(),
    fails: 'says nothing about an object that is not there',
    says: /404/,
  },
  {
    what: 'declares that it checks hashes',
    store: () =>
      new (class extends MemoryStore {
        override put(key: string, body: () => ObjectBody, options?: PutOptions) {
          return super.put(key, body, { ...options, sha256: undefined })
        }
      })(),
    fails: 'stores nothing when the bytes are not those announced',
    says: /`verifiesSha256` is declared[^]*x-amz-checksum-sha256/,
  },
  {
    what: 'declares metadata and loses it',
    store: () =>
      new (class extends MemoryStore {
        override put(key: string, body: () => ObjectBody, options?: PutOptions) {
          return super.put(key, body, { ...options, metadata: undefined })
        }
      })(),
    fails: 'keeps metadata, or says that it does not',
    says: /does not return litestream-timestamp/,
  },
]

describe('walrust/testing: stores that are wrong', () => {
  for (const { what, store, fails, says } of wrong) {
    it(`finds a store that ${what}`, async () => {
      const opened = store()
      const named = storeCases({ open: () => opened, limit: what === 'never answers' ? 200 : undefined }).find(
        ({ name }) => name === fails,
      )
      assert.ok(named, `there is a case "${fails}"`)
      await assert.rejects(named.run(), (error: Error) => {
        const told = `${error.message}\n${String(error.cause)}`
        assert.match(told, says)
        if (what !== 'throws where there is nothing') assert.ok(error instanceof ConformanceError)
        return true
      })
    })
  }
})
