import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { isError } from '../../../core/errors.js'
import { Claim } from '../../../core/fence/claim.js'
import { openRemoval } from '../../../core/fence/entry.js'
import { Heartbeats } from '../../../core/fence/heartbeats.js'
import { Lease } from '../../../core/fence/lease.js'
import { Host } from '../../../core/host.js'
import { SILENT } from '../../../core/log.js'
import { Remote } from '../../../core/remote.js'
import { MemoryStore } from '../../../plugins/storage-memory/index.js'

/** Short enough to be waited for. */
const TTL = 200
const OLD_FILE = { level: 1, minTxid: 2, maxTxid: 9 }

describe('claims', () => {
  const { signal } = new AbortController()
  const leases: Lease[] = []
  let store: MemoryStore
  let remote: Remote
  beforeEach(() => {
    store = new MemoryStore('memory://claims')
    remote = new Remote(store, 'app', new Host(SILENT).hooks)
  })
  afterEach(async () => {
    for (const lease of leases.splice(0)) await lease.end()
  })

  /** A process of a machine, and its claim on the database. */
  function writer(machine: string, ttl = TTL) {
    const lease = new Lease(store, ttl)
    leases.push(lease)
    return { lease, claim: new Claim(remote, { lease, heartbeats: new Heartbeats(store, TTL) }, machine, SILENT) }
  }

  /** Its heartbeat is renewed no more. */
  async function sleeps({ lease }: { lease: Lease }): Promise<void> {
    lease.leaveSilent()
    await lease.end()
  }

  const epoch = async () => (await remote.inventory()).epoch
  const keys = async (prefix: string) => {
    const found: string[] = []
    for await (const { key } of store.list({ prefix })) found.push(key)
    return found
  }

  /** What a start does. */
  async function enter(claim: Claim): Promise<string> {
    const at = await epoch()
    const before = await claim.survey(at, signal)
    assert.equal(await claim.take(at, signal), true)
    return before
  }

  const fenced = (error: unknown) => isError(error, 'E_FENCED')

  it('of two that saw the same, one gets the database', async () => {
    const [one, two] = [writer('a'), writer('b')]
    for (const { claim } of [one, two]) assert.equal(await claim.survey(0, signal), 'nobody')
    const taken = await Promise.all([one.claim.take(0, signal), two.claim.take(0, signal)])
    assert.deepEqual(taken.sort(), [false, true])
    assert.equal(await epoch(), 1)
  })

  it('a claim whose answer was lost is still a claim', async () => {
    const one = writer('a')
    const put = store.put.bind(store)
    store.put = async (key, body, options) => {
      const info = await put(key, body, options)
      if (!key.includes('/claims/')) return info
      store.put = put
      throw new Error('the answer is lost')
    }
    await one.claim.survey(0, signal)
    await assert.rejects(one.claim.take(0, signal))
    assert.equal(await one.claim.take(0, signal), true)
  })

  it('the same machine goes on at once, another one waits until the heartbeat is silent', async () => {
    const one = writer('a')
    await enter(one.claim)
    const two = writer('a')
    assert.equal(await enter(two.claim), 'ours')
    await sleeps(two)
    assert.equal(await enter(writer('b').claim), 'silent')
  })

  it('whoever watches a process that was killed does not find it gone before its successor has claimed the database', async () => {
    const dead = writer('a')
    await enter(dead.claim)
    await sleeps(dead)
    const [again, other] = [writer('a'), writer('b')]
    const watching = other.claim.survey(1, signal)
    assert.equal(await again.claim.survey(1, signal), 'ours')
    assert.ok((await keys('.walrust/')).includes(dead.lease.key))
    assert.equal(await again.claim.take(1, signal), true)
    assert.equal(await watching, 'silent')
    assert.equal(await other.claim.take(1, signal), false)
    await assert.rejects(other.claim.survey(2, signal), fenced)
    // Its heartbeat is not needed any more, and not left behind.
    const gone = async () => !(await keys('.walrust/')).includes(dead.lease.key)
    for (let waited = 0; !(await gone()) && waited < 20 * TTL; waited += TTL / 4) await sleep(TTL / 4)
    assert.equal(await gone(), true)
  })

  it('a heartbeat that was outlived goes with its successor at the latest', async () => {
    const dead = writer('a')
    await enter(dead.claim)
    await sleeps(dead)
    const again = writer('a')
    await enter(again.claim)
    await again.lease.end()
    assert.deepEqual(await keys('.walrust/'), [])
  })

  it('whoever finds a heartbeat that moves is refused', async () => {
    const one = writer('a')
    await enter(one.claim)
    await assert.rejects(writer('b').claim.survey(1, signal), fenced)
  })

  it('nobody waits for a process that has ended, or has let go of the database', async () => {
    const one = writer('a')
    await enter(one.claim)
    await one.lease.end()
    assert.deepEqual(await keys('.walrust/'), [])
    const two = writer('b')
    assert.equal(await enter(two.claim), 'released')
    await two.claim.release()
    assert.equal(await enter(writer('c').claim), 'released')
  })

  it('a process of which something may still arrive is waited for', async () => {
    const one = writer('a')
    await enter(one.claim)
    await sleeps(one)
    assert.equal(await enter(writer('b').claim), 'silent')
  })

  it('a removal and a takeover need the same number: the later one of the two does not get it', async () => {
    const one = writer('a')
    await enter(one.claim)
    await sleeps(one)
    await enter(writer('b').claim)
    await assert.rejects(one.claim.begin([OLD_FILE], signal), fenced)
    assert.throws(() => one.claim.check(), fenced)
  })

  it('a successor finds what was to be removed, removes it, and does not make it again', async () => {
    const one = writer('a')
    await enter(one.claim)
    await one.claim.begin([OLD_FILE], signal)
    const key = remote.key(OLD_FILE)
    await store.put(key, () => [Buffer.from('x')] as never, { size: 1 })
    assert.ok((await openRemoval(remote, await remote.inventory(), signal)).avoided.has(key))
    await sleeps(one)
    const two = writer('b')
    await enter(two.claim)
    assert.deepEqual(await two.claim.finishRemoval(signal), [OLD_FILE])
    assert.deepEqual(await keys(key), [])
    assert.ok(two.claim.avoided.has(key))
    // The one that slept is kept out, whatever it was about to do; and the next one knows of its file, too.
    await assert.rejects(one.claim.begin([OLD_FILE], signal), fenced)
    const three = writer('b')
    await enter(three.claim)
    assert.deepEqual(await three.claim.finishRemoval(signal), [])
    assert.ok(three.claim.avoided.has(key))
  })

  it('what was removed is written down as done', async () => {
    const one = writer('a')
    await enter(one.claim)
    await one.claim.begin([OLD_FILE], signal)
    await one.claim.done(signal)
    const two = writer('a')
    await enter(two.claim)
    assert.deepEqual(await two.claim.finishRemoval(signal), [])
  })

  it('who sleeps through many claims gets none of the numbers that are free again', async () => {
    const sleeper = writer('a')
    await enter(sleeper.claim)
    await sleeps(sleeper)
    const late = writer('z')
    for (let i = 0; i < 8; i++) await enter(writer('b').claim)
    assert.equal((await keys('app/walrust/claims/')).length, 4)
    await assert.rejects(sleeper.claim.begin([OLD_FILE], signal), fenced)
    assert.equal(await late.claim.take(1, signal), false)
  })

  it('a gap of the heartbeat is a reason to ask, once', async () => {
    const one = writer('a', 40)
    await enter(one.claim)
    const renewed = new Promise<void>((resolve) => one.claim.onDoubt(resolve))
    const put = store.put.bind(store)
    store.put = () => Promise.reject(new Error('away'))
    await new Promise((resolve) => setTimeout(resolve, 120))
    store.put = put
    await renewed
    let lists = 0
    const list = store.list.bind(store)
    store.list = (options) => (lists++, list(options))
    while (!one.claim.doubtful) await new Promise((resolve) => setTimeout(resolve, 5))
    await one.claim.confirm(signal)
    assert.ok(lists > 0)
  })
})
