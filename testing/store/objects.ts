import { expect, expectFailure } from '../conformance.js'
import { bytesOf, hashOf, noise, noiseBody, pieces, type Scene, sha256, type StoreSubject } from './subject.js'

type Work = (scene: Scene, subject: StoreSubject) => Promise<void>

/** Storing and reading objects. */
export const objectCases: Readonly<Record<string, Work>> = {
  async 'gives back the bytes it was given, of every size'(scene) {
    for (const size of [0, 1, 511, 4096, 65_537, 1_000_003]) {
      const bytes = await bytesOf(noiseBody(size, size + 1))
      const info = await scene.put(`size-${size}`, bytes)
      expect(
        info.key === scene.key(`size-${size}`) && info.size === size,
        `\`put\` of ${size} bytes answers ${JSON.stringify(info)}`,
        'answer `put` with the key and the size of what was stored',
      )
      const back = await scene.read(`size-${size}`)
      expect(
        back?.equals(bytes) === true,
        `${size} bytes were stored, \`get\` gives ${back ? `${back.length} bytes that are not the same` : 'nothing'}`,
        'store and return the bytes as they are: no encoding, no trailing newline, no lost last piece',
      )
    }
  },

  async 'takes a body in pieces that share one buffer'(scene) {
    const parts = ['first piece ', 'second ', 'the third and longest piece ', 'end'].map((text) => Buffer.from(text))
    const whole = Buffer.concat(parts)
    const mend = 'a piece is valid until the next one is asked for: copy it, or write it out before you go on'
    await scene.store.put(scene.key('known'), () => pieces(...parts), { size: whole.length, sha256: sha256(whole) })
    expect((await scene.text('known')) === whole.toString(), 'a body of known size is garbled', mend)
    await scene.store.put(scene.key('stream'), () => pieces(...parts))
    expect((await scene.text('stream')) === whole.toString(), 'a body of unknown size is garbled', mend)
  },

  async 'takes a large body of unknown size'(scene, { largeObject = 20 * 2 ** 20 }) {
    const sent = await hashOf(noise(largeObject))
    const info = await scene.store.put(scene.key('large'), () => noiseBody(largeObject), { ifAbsent: true })
    expect(
      info.size === largeObject,
      `a stream of ${largeObject} bytes was stored as ${info.size}`,
      'count the bytes that went through, and send the last part too',
    )
    const answer = await scene.store.get(scene.key('large'))
    expect(answer !== undefined, 'the object is not there', 'complete the upload before `put` is fulfilled')
    const read = await hashOf(answer.body)
    expect(
      read.sha256 === sent.sha256,
      `a large object reads as ${read.size} bytes with another hash`,
      'check the order and the boundaries of the parts',
    )
  },

  async 'says nothing about an object that is not there'(scene) {
    const mend = 'answer `undefined` for an object that does not exist, and only for that: every other failure throws'
    expect((await scene.store.head(scene.key('nothing'))) === undefined, '`head` found an object', mend)
    expect((await scene.store.get(scene.key('nothing'))) === undefined, '`get` found an object', mend)
    await scene.put('folder/object', 'x')
    expect((await scene.store.head(scene.key('folder'))) === undefined, '`head` of a folder found an object', mend)
  },

  async 'describes an object the same way everywhere'(scene) {
    const before = Date.now()
    const put = await scene.put('described', 'twelve bytes')
    const answer = await scene.store.get(scene.key('described'))
    await answer?.body[Symbol.asyncIterator]().return?.()
    const head = await scene.store.head(scene.key('described'))
    const [listed] = await scene.list({ prefix: scene.key('described') })
    for (const [how, info] of Object.entries({ put, get: answer?.info, head, list: listed })) {
      expect(info !== undefined, `\`${how}\` does not find the object`, 'make what was stored visible at once')
      expect(
        info.size === 12 && info.key === scene.key('described'),
        `\`${how}\` says ${info.key} has ${info.size} bytes, but ${scene.key('described')} has 12`,
        'return keys relative to the prefix of the store, and sizes in bytes',
      )
      expect(
        Math.abs(info.timestamp - before) < 86_400_000,
        `\`${how}\` gives the timestamp ${info.timestamp}`,
        'timestamps are milliseconds since the epoch',
      )
      const same = info.etag === undefined || head?.etag === undefined || info.etag === head.etag
      expect(same, `\`${how}\` and \`head\` give one version different etags`, 'use the same form of etag everywhere')
    }
  },

  async 'reads ranges'(scene) {
    await scene.put('range', '0123456789')
    const wanted: Array<[{ start: number; end?: number }, string]> = [
      [{ start: 0 }, '0123456789'],
      [{ start: 3 }, '3456789'],
      [{ start: 3, end: 4 }, '3'],
      [{ start: 0, end: 10 }, '0123456789'],
      [{ start: 8, end: 100 }, '89'],
      [{ start: 10 }, ''],
      [{ start: 10, end: 20 }, ''],
      [{ start: 20 }, ''],
    ]
    for (const [range, text] of wanted) {
      const back = (await scene.read('range', range))?.toString()
      expect(
        back === text,
        `bytes ${range.start} to ${range.end ?? 'the end'} of 0123456789 read as ${JSON.stringify(back)}`,
        '`start` is the first byte, `end` the one behind the last; beyond the end of the object there is nothing',
      )
      const answer = await scene.store.get(scene.key('range'), { range })
      for await (const _ of answer?.body ?? []) continue
      expect(
        answer?.info.size === 10,
        `the answer to a range says that the object has ${answer?.info.size} bytes`,
        '`info.size` is the size of the whole object',
      )
    }
    const missing = await scene.store.get(scene.key('nothing'), { range: { start: 5 } })
    expect(missing === undefined, 'a range of no object is something', 'answer `undefined`')
  },

  async 'lets a reader walk away from a body'(scene) {
    const size = 3_000_000
    await scene.put('abandoned', await bytesOf(noiseBody(size)))
    for (let i = 0; i < 60; i++) {
      const answer = await scene.store.get(scene.key('abandoned'))
      // As `break` does it in a loop.
      for await (const piece of answer?.body ?? []) if (piece.length > 0) break
    }
    const whole = await scene.read('abandoned')
    expect(
      whole?.length === size,
      'after bodies were left unread, a whole one cannot be read',
      'let connections go when a body is not read to its end (`finally` in the generator)',
    )
  },

  async 'replaces an object when there is no condition'(scene) {
    await scene.put('replaced', 'old bytes, and more of them')
    await scene.put('replaced', 'new')
    expect(
      (await scene.text('replaced')) === 'new',
      'the old object is still there',
      '`put` without condition replaces',
    )
    expect((await scene.names()).length === 1, 'the listing shows the object twice', 'one key is one object')
  },

  async 'keeps keys as they are'(scene) {
    const names = [
      'plain.ltx',
      'deep/er/and/deeper.json',
      'with space',
      'plus+percent%20%2F',
      'question?and=equals&hash#',
      'quotes\'"`<xml>&amp;',
      'ümläut-日本語-🙂',
      '(brackets)[and]{braces}!*~$,;:@',
    ]
    for (const name of names) await scene.put(name, name)
    for (const name of names) {
      const mend = 'encode keys once where they become part of a URL or of XML, and decode them once in listings'
      expect((await scene.text(name)) === name, `the object under ${JSON.stringify(name)} is another one`, mend)
    }
    const listed = await scene.names()
    const missing = names.filter((name) => !listed.includes(name))
    expect(
      missing.length === 0 && listed.length === names.length,
      `the listing lacks ${JSON.stringify(missing)} and has ${JSON.stringify(listed)}`,
      'decode keys in listings once (XML entities, then percent encoding if it was asked for)',
    )
    await scene.store.delete(names.map((name) => scene.key(name)))
    const left = await scene.names()
    expect(left.length === 0, `after deleting them ${JSON.stringify(left)} are left`, 'encode keys in `delete` too')
  },

  async 'works when many requests are under way at once'(scene) {
    const names = Array.from({ length: 40 }, (_, i) => `at-once-${i}`)
    await Promise.all(names.map((name) => scene.put(name, `this is ${name}`)))
    const texts = await Promise.all(names.map((name) => scene.text(name)))
    const wrong = names.filter((name, i) => texts[i] !== `this is ${name}`)
    expect(wrong.length === 0, `${wrong.join(', ')} hold something else`, 'share no buffers or state between requests')
  },

  async deletes(scene) {
    for (const name of ['a', 'b', 'c']) await scene.put(name, name)
    await scene.store.delete([scene.key('a'), scene.key('never-there'), scene.key('c')])
    expect((await scene.names()).join() === 'b', `b should be left, ${(await scene.names()).join()} are`, 'see above')
    await scene.expectNothing('a', 'after it was deleted')
    await scene.store.delete([scene.key('a')])
    await scene.store.delete([])
  },

  async 'keeps metadata, or says that it does not'(scene) {
    const { capabilities } = scene.store
    const metadata = {
      'litestream-timestamp': '2026-01-02T03:04:05.678Z',
      'walrust-sha256': sha256(''),
      'walrust-x': 'y z',
    }
    for (const streamed of [false, true]) {
      const able = streamed ? capabilities.streamedMetadata : capabilities.metadata
      const name = streamed ? 'streamed' : 'known'
      const bytes = Buffer.from('with metadata')
      const size = streamed ? {} : { size: bytes.length, sha256: sha256(bytes) }
      const put = scene.store.put(scene.key(name), () => pieces(bytes), { ...size, metadata })
      const what = streamed ? 'streamedMetadata' : 'metadata'
      if (!able) {
        const mend = `metadata that cannot be kept must be refused: throw, or declare \`${what}\` and keep it`
        await expectFailure(put, `\`${what}\` is not declared, yet \`put\` takes metadata and loses it`, mend)
        continue
      }
      await put
      const answer = await scene.store.get(scene.key(name))
      for await (const _ of answer?.body ?? []) continue
      const [listed] = await scene.list({ prefix: scene.key(name) })
      const seen = { get: answer?.info, head: await scene.store.head(scene.key(name)) }
      for (const [how, info] of Object.entries(capabilities.listMetadata ? { ...seen, list: listed } : seen)) {
        const lost = Object.entries(metadata).filter(([key, value]) => info?.metadata?.[key] !== value)
        expect(
          lost.length === 0,
          `\`${how}\` does not return ${lost.map(([key]) => key).join(', ')} as stored`,
          `keep metadata with keys in lower case, or declare \`${what}\` and \`listMetadata\` as they are`,
        )
      }
    }
  },
}
