import { WalrustError } from '../../core/errors.js'
import { type ObjectBody, StoreError } from '../../core/object-store.js'
import { expect, expectFailure } from '../conformance.js'
import { noiseBody, pieces, type Scene, sha256, type StoreSubject } from './subject.js'

type Work = (scene: Scene, subject: StoreSubject) => Promise<void>

/** What goes wrong must leave nothing behind and be told. */
export const failureCases: Readonly<Record<string, Work>> = {
  async 'stores nothing when the body fails'(scene) {
    for (const before of [0, 1000, 12_000_000]) {
      const body = async function* (): ObjectBody {
        yield* noiseBody(before)
        throw new Error('the body failed')
      }
      for (const size of [undefined, before + 1000]) {
        const put = scene.store.put(scene.key('failed'), body, { size, ifAbsent: true })
        const mend = 'let the error of the body reject `put`, and give up what has been sent so far'
        const error = await expectFailure(put, `a body failed after ${before} bytes, but \`put\` succeeded`, mend)
        const told = hasMessage(error, 'the body failed')
        expect(
          told,
          `the failure of the body is reported as ${error.message}`,
          'keep its error as `cause`, or throw it',
        )
        await scene.expectNothing('failed', `after a body that failed (${before} bytes in)`)
      }
    }
  },

  async 'stores nothing when the body is not of the size announced'(scene) {
    for (const size of [5, 15]) {
      const put = scene.store.put(scene.key('size'), () => pieces(Buffer.from('0123456789')), { size })
      const mend = 'compare the bytes sent with `size` before the object becomes visible'
      await expectFailure(put, `10 bytes were stored where ${size} were announced`, mend)
      await scene.expectNothing('size', 'after a body of another size than announced')
    }
  },

  async 'stores nothing when the bytes are not those announced'(scene) {
    if (!scene.store.capabilities.verifiesSha256) return
    const bytes = Buffer.from('these bytes')
    const put = scene.store.put(scene.key('hash'), () => pieces(bytes), {
      size: bytes.length,
      sha256: sha256('other bytes'),
    })
    const mend =
      'hand the SHA-256 to the service (x-amz-checksum-sha256), or check it before the object becomes visible'
    await expectFailure(put, '`verifiesSha256` is declared, but other bytes than announced were stored', mend)
    await scene.expectNothing('hash', 'after bytes that were not those announced')
  },

  async 'stops when it is told to'(scene) {
    const mend = 'hand `signal` to every request, and look at it between pieces'
    const stopped = new AbortController()
    stopped.abort(new Error('stopped before'))
    const early = scene.store.put(scene.key('stopped'), () => noiseBody(1000), { signal: stopped.signal, size: 1000 })
    await expectFailure(early, '`put` with a signal that was aborted before succeeded', mend)
    await scene.expectNothing('stopped', 'after it was stopped')
    const during = new AbortController()
    // eslint-disable-next-line @typescript-eslint/require-await -- a body is asynchronous, these bytes are there
    const body = async function* (): ObjectBody {
      yield Buffer.alloc(100)
      during.abort(new Error('stopped meanwhile'))
      yield Buffer.alloc(100)
      yield Buffer.alloc(100)
    }
    const late = scene.store.put(scene.key('stopped'), body, { signal: during.signal })
    await expectFailure(late, '`put` succeeded although it was stopped in the middle of its body', mend)
    await scene.expectNothing('stopped', 'after it was stopped')
    await scene.put('there', 'x')
    const read = async () => {
      const answer = await scene.store.get(scene.key('there'), { signal: stopped.signal })
      for await (const _ of answer?.body ?? []) continue
    }
    await expectFailure(read(), '`get` with a signal that was aborted before succeeded', mend)
    const list = async () => {
      for await (const _ of scene.store.list({ prefix: scene.prefix, signal: stopped.signal })) continue
    }
    await expectFailure(list(), '`list` with a signal that was aborted before succeeded', mend)
  },

  async 'can be checked, again and again'(scene) {
    await scene.store.check?.()
    await scene.store.check?.()
    expect((await scene.names()).length === 0, '`check` leaves objects behind', 'delete what `check` has written')
    const left = await scene.list({ prefix: '' })
    // What a store keeps for itself has a name that no database can have.
    const strange = left.filter(({ key }) => !key.startsWith('conformance-') && !key.startsWith('.walrust'))
    expect(strange.length === 0, `\`check\` leaves ${strange[0]?.key} behind`, 'delete what `check` has written')
  },

  async 'goes on after failures'(scene) {
    for (let i = 0; i < 20; i++) {
      const body = () => pieces(Buffer.from('0123456789'))
      await scene.store.put(scene.key('x'), body, { size: 5 }).catch((error: unknown) => {
        const known = error instanceof StoreError || error instanceof WalrustError || error instanceof Error
        expect(known, 'what was thrown is no Error', 'throw errors only')
      })
    }
    await scene.put('after', 'still works')
    expect((await scene.text('after')) === 'still works', 'after failures nothing can be stored', 'let connections go')
  },
}

/** Whether an error or one of its causes has this message. */
function hasMessage(error: unknown, message: string): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) if (cause.message.includes(message)) return true
  return false
}
