import { isError } from '../../core/errors.js'
import type { ObjectBody, ObjectInfo } from '../../core/object-store.js'
import { ConformanceError, expect, expectFailure } from '../conformance.js'
import { noise, noiseBody, hashOf, pieces, type Scene, type StoreSubject } from './subject.js'

type Work = (scene: Scene, subject: StoreSubject) => Promise<void>

const RACERS = 8

const ATOMIC =
  'let the service decide in one step (If-None-Match: *, ifGenerationMatch: 0, O_EXCL, link): looking first and writing then is a race that two writers lose'

/** Conditional writes: what fencing stands on. */
export const conditionCases: Readonly<Record<string, Work>> = {
  'can create an object only if it is absent'(scene) {
    expect(
      scene.store.capabilities.createIfAbsent,
      '`createIfAbsent` is not declared',
      'walrust ships only where two writers cannot both own a transaction: implement `ifAbsent` atomically and declare it',
    )
    return Promise.resolve()
  },

  async 'refuses to create what is there already'(scene) {
    const bytes = Buffer.from('the first')
    for (const [name, size] of [
      ['known', bytes.length],
      ['stream', undefined],
    ] as const) {
      await scene.store.put(scene.key(name), () => pieces(bytes), { ifAbsent: true, size })
      for (const text of ['the second', 'the first']) {
        const put = scene.store.put(scene.key(name), () => pieces(Buffer.from(text)), {
          ifAbsent: true,
          size: size === undefined ? undefined : text.length,
        })
        await expectRefused(put, `\`put\` with \`ifAbsent\` (size ${size ?? 'not known'}) replaced an object`)
        expect((await scene.text(name)) === 'the first', 'the refused `put` changed the object', ATOMIC)
      }
    }
    await scene.store.delete([scene.key('known')])
    await scene.store.put(scene.key('known'), () => pieces(bytes), { ifAbsent: true, size: bytes.length })
  },

  async 'lets exactly one of many create an object'(scene) {
    for (const size of [1000, undefined]) {
      const name = size === undefined ? 'stream' : 'known'
      const body = (i: number) => () => noiseBody(1000, i + 1)
      const winner = await race(
        (i) => scene.store.put(scene.key(name), body(i), { ifAbsent: true, size }),
        '`ifAbsent`',
      )
      const expected = await hashOf(noise(1000, winner + 1))
      const answer = await scene.store.get(scene.key(name))
      expect(
        answer !== undefined && (await hashOf(answer.body)).sha256 === expected.sha256,
        'one `put` with `ifAbsent` succeeded, but what lies there are the bytes of another',
        ATOMIC,
      )
    }
  },

  async 'replaces exactly the version named, or says that it cannot'(scene) {
    const put = (text: string, ifMatch: string) =>
      scene.store.put(scene.key('versioned'), () => pieces(Buffer.from(text)), { ifMatch, size: text.length })
    if (!scene.store.capabilities.replaceIfMatch) {
      await scene.put('versioned', 'one')
      const mend =
        'a condition that cannot be honoured must be refused: throw, or declare `replaceIfMatch` and honour it'
      await expectFailure(put('two', 'x'), '`replaceIfMatch` is not declared, yet `ifMatch` is taken and ignored', mend)
      expect((await scene.text('versioned')) === 'one', 'the refused `put` changed the object', mend)
      return
    }
    const mend =
      'hand `ifMatch` to the service as it is; give every version an etag of its own, in `put`, `head` and `get`'
    const first = await scene.put('versioned', 'one')
    const etag = (info: ObjectInfo) => {
      expect(info.etag !== undefined, '`put` returns no etag', mend)
      return info.etag
    }
    const second = await put('two', etag(first))
    await expectRefused(put('three', etag(first)), '`ifMatch` with the etag of an older version replaced a newer one')
    const head = await scene.store.head(scene.key('versioned'))
    expect(head?.etag === etag(second), `\`head\` gives etag ${head?.etag}, \`put\` gave ${second.etag}`, mend)
    await put('four', etag(second))
    expect((await scene.text('versioned')) === 'four', '`ifMatch` with the right etag did not replace', mend)
    await scene.store.delete([scene.key('versioned')])
    await expectRefused(put('five', etag(second)), '`ifMatch` created an object where none was')
    await scene.expectNothing('versioned', 'after a refused `put`')
  },

  async 'lets exactly one of many replace a version'(scene) {
    if (!scene.store.capabilities.replaceIfMatch) return
    const { etag } = await scene.put('versioned', 'one')
    const winner = await race((i) => {
      const text = `racer ${i}`
      const body = () => pieces(Buffer.from(text))
      return scene.store.put(scene.key('versioned'), body, { ifMatch: etag, size: text.length })
    }, '`ifMatch`')
    const text = await scene.text('versioned')
    expect(text === `racer ${winner}`, `racer ${winner} replaced the object, but ${text ?? 'nothing'} is there`, ATOMIC)
  },

  async 'decides about a stream at its end, and shows nothing of it before'(scene) {
    const slow = async function* (): ObjectBody {
      yield Buffer.from('a piece')
      await scene.expectNothing('slow', 'while its body is still being sent')
      await scene.store.put(scene.key('slow'), () => pieces(Buffer.from('faster')), { ifAbsent: true, size: 6 })
      yield Buffer.from('another')
    }
    await expectRefused(
      scene.store.put(scene.key('slow'), slow, { ifAbsent: true }),
      'an object that another writer had created meanwhile was replaced by a stream',
    )
    expect((await scene.text('slow')) === 'faster', 'the object of the faster writer is gone', ATOMIC)
  },
}

async function expectRefused(put: Promise<unknown>, seen: string): Promise<void> {
  const error = await expectFailure(put, seen, ATOMIC)
  if (isError(error, 'E_OBJECT_EXISTS')) return
  throw new ConformanceError(
    `an unmet condition is reported as ${error.name}: ${error.message}`,
    "throw `new WalrustError('E_OBJECT_EXISTS', …)` for an unmet condition: the core tells it from a failure by its code",
    error,
  )
}

/** Lets many try; returns the only one who succeeded. */
async function race(put: (racer: number) => Promise<unknown>, condition: string): Promise<number> {
  const results = await Promise.allSettled(Array.from({ length: RACERS }, (_, i) => put(i)))
  const winners = results.flatMap(({ status }, i) => (status === 'fulfilled' ? [i] : []))
  expect(winners.length === 1, `${winners.length} of ${RACERS} at once succeeded with ${condition}`, ATOMIC)
  for (const result of results) {
    if (result.status === 'rejected') await expectRefused(Promise.reject(result.reason as Error), '')
  }
  return winners[0]
}
