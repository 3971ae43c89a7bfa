import assert from 'node:assert/strict'
import type { EventName } from '../../../core/events.js'
import { type FailureKind, StoreError } from '../../../core/object-store.js'
import { StorageHealth } from '../../../core/storage/health.js'

describe('storage health', () => {
  const { signal } = new AbortController()
  let events: EventName[]
  const announce = (event: EventName) => void events.push(event)
  beforeEach(() => (events = []))

  const fail = (health: StorageHealth, kind: FailureKind = 'transient', retryAfter?: number) =>
    assert.rejects(health.run(() => Promise.reject(new StoreError(kind, kind, retryAfter)), { signal }, announce))

  it('leaves a storage alone after failures in a row, and lets one request through at a time to see', async () => {
    const health = new StorageHealth('x:', { threshold: 3, cooldown: 3200 })
    await fail(health)
    await fail(health)
    await health.run(() => Promise.resolve(), { signal }, announce)
    for (let i = 0; i < 3; i++) {
      assert.equal(health.open, false)
      await fail(health)
    }
    assert.equal(health.open, true)
    assert.deepEqual(events, ['circuit_breaker_open'])
    let [started, probes] = [0, 0]
    let answer: ((error?: Error) => void) | undefined
    const ask = () =>
      health.run(
        () => {
          started++
          if (probes > 1) return Promise.resolve()
          probes++
          return new Promise<void>((resolve, reject) => (answer = (error) => (error ? reject(error) : resolve())))
        },
        { signal },
        announce,
      )
    const asked = [ask(), ask(), ask()].map((one) => one.then(() => true).catch(() => false))
    assert.equal(started, 0)
    const until = async (test: () => boolean) => {
      while (!test()) await new Promise((resolve) => setTimeout(resolve, 5))
    }
    await until(() => started === 1)
    await new Promise((resolve) => setTimeout(resolve, 50))
    assert.equal(started, 1, 'the others wait for what becomes of the first')
    const failed = performance.now()
    answer?.(new StoreError('transient', 'still'))
    await until(() => started === 2)
    assert.ok(performance.now() - failed >= 199, 'a probe that fails makes the next one wait for longer')
    assert.deepEqual(events, ['circuit_breaker_open'], 'told once')
    await new Promise((resolve) => setTimeout(resolve, 50))
    assert.equal(started, 2)
    answer?.()
    assert.deepEqual((await Promise.all(asked)).sort(), [false, true, true])
    assert.deepEqual(events, ['circuit_breaker_open', 'circuit_breaker_closed'])
    assert.equal(health.open, false)
  })

  it('fails at once, saying why, if somebody cannot wait; and ends with its signal', async () => {
    const health = new StorageHealth('x:', { threshold: 1, cooldown: 3_200_000 })
    await fail(health)
    const asked = () => Promise.reject(new Error('asked'))
    await assert.rejects(health.run(asked, { signal, impatient: true }, announce), /too often in a row: transient/)
    const stop = new AbortController()
    const waiting = health.run(asked, { signal: stop.signal }, announce)
    stop.abort(new Error('stopped'))
    await assert.rejects(waiting, /stopped/)
  })

  it('does not count what does not pass, and can be told never to leave a storage alone', async () => {
    const health = new StorageHealth('x:', { threshold: 2, cooldown: 1000 })
    for (const kind of ['auth', 'missing', 'permanent', 'auth'] as const) await fail(health, kind)
    const patient = new StorageHealth('x:', false)
    for (let i = 0; i < 20; i++) await fail(patient)
    assert.equal(health.open || patient.open, false)
    assert.deepEqual(events, [])
  })

  it('slows down for as long as the storage asks, for every database', async () => {
    const health = new StorageHealth('x:', false)
    const before = performance.now()
    await fail(health, 'throttled', 200)
    const starts: number[] = []
    const ask = () => health.run(() => Promise.resolve(starts.push(performance.now())), { signal }, announce)
    await Promise.all([ask(), ask()])
    assert.ok(starts[0] - before >= 199, 'not before the time')
    assert.ok(starts[1] - starts[0] >= 20, 'and not both at once')
  })
})
