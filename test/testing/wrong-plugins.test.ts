import assert from 'node:assert/strict'
import { createGzip, createGunzip } from 'node:zlib'
import { Readable } from 'node:stream'
import type { EncodeRequest, ObjectBody, Plugin, WalrustEvent } from '../../core/index.js'
import { codecCases, type ConformanceCase, ConformanceError, notifierCases, pluginCases } from '../../testing/index.js'

/** The one case fails, says what was seen and what to mend; and it is the only one, or others fail along with it. */
async function failsAt(cases: ConformanceCase[], name: string, says: RegExp): Promise<void> {
  const found = cases.find((one) => one.name === name)
  assert.ok(found, `there is no case "${name}"`)
  await assert.rejects(found.run(), (error) => {
    assert.ok(error instanceof ConformanceError, String(error))
    assert.match(error.message, says)
    return true
  })
}

const plugin = (more: Partial<Plugin> = {}): Plugin => ({
  name: 'mine',
  walrust: '>=0.1 <1',
  apply: () => undefined,
  ...more,
})

describe('a wrong plugin is told what to mend', () => {
  const wrong: Array<{ what: string; make: () => Plugin; at: string; says: RegExp }> = [
    { what: 'without a name', make: () => plugin({ name: ' ' }), at: 'has a name of its own', says: /package/ },
    {
      what: 'for other versions',
      make: () => plugin({ walrust: '>=99' }),
      at: 'says for which versions of walrust it is made, and this is one',
      says: /works with >=99, this is/,
    },
    {
      what: 'with no range at all',
      make: () => plugin({ walrust: 'newest' }),
      at: 'says for which versions of walrust it is made, and this is one',
      says: /no range of versions/,
    },
    {
      what: 'with needs that are no names',
      make: () => plugin({ needs: [''] }),
      at: 'names what it needs',
      says: /names of other plugins/,
    },
    {
      what: 'with a stop that does not end',
      make: () => plugin({ start: () => undefined, stop: () => new Promise(() => undefined) }),
      at: 'starts, and lets go of everything when it is stopped',
      says: /not over after 0.2 s/,
    },
  ]
  for (const { what, make, at, says } of wrong) {
    it(what, () => failsAt(pluginCases({ make, stopWithin: 200 }), at, says))
  }

  it('that opens something in apply', async () => {
    let timer: NodeJS.Timeout | undefined
    const make = () => plugin({ apply: () => void (timer = setInterval(() => undefined, 1000)) })
    await failsAt(pluginCases({ make }), 'opens nothing before it is started', /Timeout[^]*in `start`/)
    clearInterval(timer)
  })

  it('that leaves something after stop', async () => {
    let timer: NodeJS.Timeout | undefined
    const make = () => plugin({ start: () => void (timer = setInterval(() => undefined, 1000)) })
    const at = 'starts, and lets go of everything when it is stopped'
    await failsAt(pluginCases({ make }), at, /Timeout[^]*what `start` has opened/)
    clearInterval(timer)
  })

  it('that keeps its state in the module', async () => {
    let there = false
    const make = () =>
      plugin({
        start: () => {
          if (there) throw new Error('there is one already')
          there = true
        },
      })
    await failsAt(pluginCases({ make }), 'can be there twice', /there is one already[^]*not in the module/)
  })
})

describe('a wrong notifier is told what to mend', () => {
  /** One that delivers after a moment, in a way that `deliver` decides. */
  function subject(deliver: (event: WalrustEvent, into: WalrustEvent[]) => unknown, stop?: () => Promise<void>) {
    return {
      open() {
        const received: WalrustEvent[] = []
        const made = plugin({
          apply: ({ hooks }) =>
            hooks.notify.tap('mine', (event) => {
              deliver(event, received)
            }),
          stop,
        })
        return { plugin: made, received: () => received }
      },
      stopWithin: 1000,
    }
  }

  it('that drops some', () =>
    failsAt(
      notifierCases(subject((event, into) => into.length < 60 && into.push(event))),
      'loses none of a hundred at once, and keeps their order',
      /60 of 100/,
    ))
  it('that mixes up their order', () =>
    failsAt(
      notifierCases(subject((event, into) => into.unshift(event))),
      'loses none of a hundred at once, and keeps their order',
      /another order/,
    ))
  it('that does not wait at its end', () =>
    failsAt(
      notifierCases(subject((event, into) => setTimeout(() => into.push(event), 50).unref())),
      'delivers what is left before stop is over',
      /right before `stop`/,
    ))
  it('that cuts text off', () =>
    failsAt(
      notifierCases(subject((event, into) => into.push({ ...event, error: event.error?.split('\n')[0] }))),
      'takes text of every kind',
      /escape/,
    ))
})

describe('codecs', () => {
  const unzipped = async function* (body: ObjectBody): ObjectBody {
    yield* Readable.from(copied(body)).pipe(createGunzip()) as AsyncIterable<Uint8Array>
  }
  const copied = async function* (body: ObjectBody): ObjectBody {
    for await (const piece of body) yield Buffer.from(piece)
  }
  const zipped = async function* (body: ObjectBody): ObjectBody {
    const source = Readable.from(copied(body))
    const gzip = createGzip({ level: 1 })
    source.on('error', (error) => gzip.destroy(error))
    yield* source.pipe(gzip) as AsyncIterable<Uint8Array>
  }
  const gzip = (change: { encode?: (request: EncodeRequest) => EncodeRequest; always?: boolean } = {}): Plugin =>
    plugin({
      name: 'gzip',
      apply({ hooks }) {
        hooks.encode.tap('gzip', (request) => {
          const { body, codecs } = request
          if (change.encode) return change.encode(request)
          return { ...request, body: body && zipped(body), codecs: [...codecs, 'gzip'] }
        })
        hooks.decode.tap('gzip', (request) =>
          request.codecs.at(-1) === 'gzip' || change.always
            ? { ...request, body: unzipped(request.body), codecs: request.codecs.slice(0, -1) }
            : request,
        )
      },
    })

  describe('gzip, as somebody would write it', () => {
    for (const { name, run } of codecCases({ make: () => gzip(), codec: 'gzip', detectsDamage: true })) it(name, run)
  })

  it('one that does not say that it was there is told so', () =>
    failsAt(
      codecCases({ make: () => gzip({ encode: (request) => request }), codec: 'gzip' }),
      'adds its name to the codecs of a file, behind those that are there',
      /codecs: \[\.\.\.request\.codecs, 'gzip'\]/,
    ))
  it('one that leaves the beginning of a file as it is is told so', () =>
    failsAt(
      codecCases({
        make: () => gzip({ encode: (request) => ({ ...request, codecs: [...request.codecs, 'gzip'] }) }),
        codec: 'gzip',
      }),
      'makes something that does not begin as a file itself does',
      /LTX1/,
    ))
  it('one that decodes whatever comes is told so', async () => {
    const cases = codecCases({ make: () => gzip({ always: true }), codec: 'gzip' })
    await assert.rejects(cases.find(({ name }) => name === 'leaves alone what it is not around')!.run())
  })
})
