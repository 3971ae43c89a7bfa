import assert from 'node:assert/strict'
import type { EventName, WalrustEvent } from '../../core/events.js'
import { Host } from '../../core/host.js'
import type { LogFields } from '../../core/log.js'
import { webhook, type WebhookOptions } from '../../plugins/webhook/index.js'
import { answer, isSigned, Receiver } from '../helpers/receiver.js'

const SECRET = 'a key that nobody may read'

function eventOf(event: EventName, more: Partial<WalrustEvent> = {}): WalrustEvent {
  return { event, database: 'app', timestamp: '2026-11-24T10:00:00.000Z', version: '0.1.0', ...more }
}

describe('walrust:webhook', () => {
  let receiver: Receiver
  let logged: string[]

  beforeEach(async () => {
    receiver = await Receiver.listen()
    logged = []
  })
  afterEach(async () => {
    await receiver.close()
    for (const line of logged) assert.doesNotMatch(line, /a key that nobody|token-in-the-path/)
  })

  function hostWith(options: WebhookOptions): Host {
    const line = (message: string, fields: LogFields = {}) => void logged.push(JSON.stringify({ message, ...fields }))
    const host = new Host({ debug: line, info: line, warn: line, error: line })
    host.use(webhook(options))
    return host
  }

  async function send(options: WebhookOptions, ...events: WalrustEvent[]): Promise<void> {
    const host = hostWith(options)
    await host.start()
    for (const event of events) await host.hooks.notify.promise(event)
    await host.stop()
  }

  const url = () => `${receiver.origin}/token-in-the-path?and=more`

  it('posts an event as JSON, signed over exactly the bytes it sends', async () => {
    const event = eventOf('gap_healed', { error: 'füñf 🦭', attempts: 3, context: { txid: 7, reason: 'ä' } })
    await send({ url: url(), secret: SECRET }, event)
    const [got] = receiver.received
    assert.deepEqual(got.event, event)
    assert.equal(got.method, 'POST')
    assert.equal(got.path, '/token-in-the-path?and=more')
    assert.equal(got.headers['content-type'], 'application/json')
    assert.match(String(got.headers['user-agent']), /^walrust\//)
    assert.ok(isSigned(got, SECRET))
    assert.ok(!isSigned(got, 'another key'))
    assert.ok(!isSigned({ ...got, body: Buffer.concat([got.body, Buffer.from(' ')]) }, SECRET))
  })

  it('sends no signature without a secret, and the headers it was given', async () => {
    await send({ url: url(), headers: { authorization: 'Bearer x' } }, eventOf('recovered'))
    assert.equal(receiver.received[0].headers['x-walrust-signature'], undefined)
    assert.equal(receiver.received[0].headers.authorization, 'Bearer x')
  })

  it('sends each receiver only the events that it asked for', async () => {
    const hooks = [
      { url: `${receiver.origin}/all` },
      { url: `${receiver.origin}/some`, events: ['disk_full', 'sync_failed'] as const },
    ]
    await send({ hooks }, eventOf('recovered'), eventOf('disk_full'), eventOf('gap_healed'))
    const at = (path: string) => receiver.received.filter((got) => got.path === path).map(({ event }) => event.event)
    assert.deepEqual(at('/all'), ['recovered', 'disk_full', 'gap_healed'])
    assert.deepEqual(at('/some'), ['disk_full'])
  })

  it('refuses an event that does not exist, a URL that is none, an empty secret', () => {
    const events = ['sync_failled'] as unknown as EventName[]
    assert.throws(() => webhook({ url: url(), events }), { code: 'E_CONFIG', message: /sync_failled/ })
    assert.throws(() => webhook({ url: 'ftp://token-in-the-path' }), { code: 'E_CONFIG', message: /^[^/]*$/ })
    assert.throws(() => webhook({ url: url(), secret: '' }), { code: 'E_CONFIG' })
  })

  it('tries again where it may help, with the same delivery id, in order', async () => {
    await Promise.all(
      [500, 503, 429, 408].map(async (status) => {
        const own = await Receiver.listen()
        own.next = [answer(status), answer(status)]
        await send({ url: own.origin, secret: SECRET }, eventOf('disk_full'), eventOf('recovered'))
        assert.deepEqual(
          own.received.map(({ event }) => event.event),
          ['disk_full', 'disk_full', 'disk_full', 'recovered'],
        )
        const ids = own.received.map(({ headers }) => headers['x-walrust-delivery'])
        assert.equal(new Set(ids).size, 2)
        assert.ok(own.received.every((got) => isSigned(got, SECRET)))
        await own.close()
      }),
    )
  })

  for (const status of [400, 401, 404, 410]) {
    it(`does not try again after ${status}, and goes on with the next event`, async () => {
      receiver.next = [answer(status)]
      await send({ url: url() }, eventOf('disk_full'), eventOf('recovered'))
      assert.deepEqual(
        receiver.received.map(({ event }) => event.event),
        ['disk_full', 'recovered'],
      )
      assert.ok(logged.some((line) => line.includes(`it answered ${status}`)))
    })
  }

  it('gives up after so many attempts', async () => {
    receiver.next = [answer(500), answer(500), answer(500)]
    await send({ url: url(), retries: 1 }, eventOf('disk_full'))
    assert.equal(receiver.received.length, 2)
    assert.ok(logged.some((line) => line.includes('a webhook was not delivered')))
  })

  it('waits as long as the receiver asks', async () => {
    receiver.next = [answer(503, { 'retry-after': '1' })]
    const start = performance.now()
    await send({ url: url() }, eventOf('disk_full'))
    assert.equal(receiver.received.length, 2)
    assert.ok(performance.now() - start >= 990)
  })

  it('does not follow a redirect: the body is for the one who was named', async () => {
    const other = await Receiver.listen()
    receiver.next = [answer(302, { location: other.origin }), answer(307, { location: other.origin })]
    await send({ url: url() }, eventOf('disk_full'), eventOf('recovered'))
    assert.equal(other.received.length, 0)
    assert.equal(receiver.received.length, 2)
    assert.equal(logged.filter((line) => line.includes('a redirect, which is not followed')).length, 2)
    await other.close()
  })

  it('tries again when the connection is dropped, before and in the middle of the answer', async () => {
    receiver.next = [
      (request) => request.socket.destroy(),
      (request, response) => {
        response.writeHead(200, { 'content-length': 1000 }).write('only a part')
        setTimeout(() => request.socket.destroy(), 20)
      },
    ]
    await send({ url: url() }, eventOf('disk_full'))
    assert.equal(receiver.received.length, 3)
  })

  it('gives up on an answer that does not come in time, also one that trickles', async () => {
    const timers: NodeJS.Timeout[] = []
    receiver.next = [
      () => undefined,
      (_request, response) => void timers.push(setInterval(() => response.write('.'), 20)),
    ]
    await send({ url: url(), timeout: '200ms' }, eventOf('disk_full'))
    assert.equal(receiver.received.length, 3)
    timers.forEach(clearInterval)
  })

  it('holds up neither the hook nor another receiver while one does not answer', async () => {
    receiver.next = [() => undefined]
    const other = await Receiver.listen()
    const host = hostWith({
      hooks: [
        { url: url(), timeout: '1s', retries: 0 },
        { url: other.origin, secret: SECRET },
      ],
    })
    await host.start()
    await host.hooks.notify.promise(eventOf('disk_full'))
    await other.requests(1)
    assert.ok(isSigned(other.received[0], SECRET))
    await host.stop()
    await other.close()
  })

  it('delivers what is left before it ends', async () => {
    receiver.next = [(request, response) => void setTimeout(() => answer(200)(request, response), 300)]
    await send({ url: url() }, ...Array.from({ length: 20 }, () => eventOf('recovered')))
    assert.equal(receiver.received.length, 20)
  })

  it('keeps a bounded number of events for a receiver that does not take them, the newest', async () => {
    receiver.next = [(request, response) => void setTimeout(() => answer(200)(request, response), 200)]
    const events = Array.from({ length: 500 }, (_, i) => eventOf('recovered', { context: { i } }))
    await send({ url: url() }, ...events)
    const last = receiver.received.map(({ event }) => Number(event.context?.i)).slice(-200)
    assert.deepEqual(
      last,
      Array.from({ length: 200 }, (_, i) => 300 + i),
    )
    assert.equal(receiver.received.length, 201)
    assert.ok(logged.some((line) => line.includes('are dropped')))
  })

  it('does not wait for ever at the end', async () => {
    receiver.next = Array.from({ length: 10 }, () => () => undefined)
    const start = performance.now()
    await send({ url: url(), timeout: '1h', drain: '300ms' }, eventOf('disk_full'))
    assert.ok(performance.now() - start < 25_000)
    assert.ok(logged.some((line) => line.includes('events were not delivered')))
  })
})
