import { expect } from '../conformance.js'
import type { Scene, StoreSubject } from './subject.js'

type Work = (scene: Scene, subject: StoreSubject) => Promise<void>

/** Listings: whoever takes a part for the whole deletes or overwrites what it did not see. */
export const listingCases: Readonly<Record<string, Work>> = {
  async 'lists in the order of the bytes of keys'(scene) {
    // Folders and files that sort differently by name than by key, by locale than by byte, by UTF-16 than by UTF-8.
    const names = ['a/1', 'a-1', 'a.1', 'a0', 'A', 'b/2/3', 'b/10', 'é', 'z', '\uff5e', '\u{10348}']
    for (const name of names) await scene.put(name, name)
    const sorted = names.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    const listed = await scene.names()
    expect(
      JSON.stringify(listed) === JSON.stringify(sorted),
      `the order is ${JSON.stringify(listed)} instead of ${JSON.stringify(sorted)}`,
      'sort by the bytes of the whole key in UTF-8, a slash being a byte like any other',
    )
    for (const [i, after] of sorted.entries()) {
      const rest = await scene.names('', after)
      expect(
        JSON.stringify(rest) === JSON.stringify(sorted.slice(i + 1)),
        `behind ${JSON.stringify(after)} come ${JSON.stringify(rest)}`,
        '`after` leaves out everything up to and including that key, in the order of bytes',
      )
    }
  },

  async 'lists by prefix'(scene) {
    for (const name of ['db0', 'db/1', 'db/2/x', 'db-other', 'dc']) await scene.put(name, name)
    const wanted: Array<[string, string | undefined, string]> = [
      ['', undefined, 'db-other db/1 db/2/x db0 dc'],
      ['db/', undefined, 'db/1 db/2/x'],
      ['db', undefined, 'db-other db/1 db/2/x db0'],
      ['db/2', undefined, 'db/2/x'],
      ['nothing', undefined, ''],
      ['db/', 'db/1', 'db/2/x'],
      ['db/', 'a', 'db/1 db/2/x'],
      ['db/', 'db/1zzz', 'db/2/x'],
      ['db/', 'z', ''],
    ]
    for (const [prefix, after, expected] of wanted) {
      const listed = (await scene.names(prefix, after)).join(' ')
      expect(
        listed === expected,
        `prefix "${prefix}"${after === undefined ? '' : ` after "${after}"`} lists "${listed}" instead of "${expected}"`,
        'a prefix is the beginning of keys, not a folder; keys are relative to the prefix of the store',
      )
    }
  },

  async 'leaves out of a listing what nobody wants to know of, at most'(scene) {
    for (const name of ['a', 'b', 'c', 'd']) await scene.put(name, name)
    const unwanted = new Set(['b', 'd'].map((name) => scene.key(name)))
    const listed: string[] = []
    const options = { prefix: scene.key(''), skip: (key: string) => unwanted.has(key) }
    for await (const { key } of scene.store.list(options)) if (!unwanted.has(key)) listed.push(key)
    expect(
      listed.join() === [scene.key('a'), scene.key('c')].join(),
      `with \`skip\` for b and d the rest of the listing is ${listed.join()}`,
      '`skip` says of a whole key whether it may be left out; whoever does not leave it out does not need it',
    )
  },

  async 'shows what was stored at once, and what was deleted no more'(scene) {
    for (let i = 0; i < 10; i++) {
      await scene.put(`fresh-${i}`, 'x')
      const mend =
        'use strongly consistent listings; a service that has none (or has to be asked for them) must be asked'
      expect((await scene.names()).join() === `fresh-${i}`, 'a listing does not show what was just stored', mend)
      await scene.store.delete([scene.key(`fresh-${i}`)])
      expect((await scene.names()).length === 0, 'a listing shows what was just deleted', mend)
    }
  },

  async 'lists everything when there is more than a page of it'(scene, { manyObjects = 1100 }) {
    const names = Array.from({ length: manyObjects }, (_, i) => `many/${i.toString().padStart(5, '0')}`)
    for (let i = 0; i < names.length; i += 50) {
      await Promise.all(names.slice(i, i + 50).map((name) => scene.put(name, 'x')))
    }
    const listed = await scene.names('many/')
    expect(
      JSON.stringify(listed) === JSON.stringify(names),
      `of ${names.length} objects ${listed.length} are listed`,
      'go on with the token of the page before until the service says that there is no more; throw if a page fails',
    )
    const half = names[Math.floor(names.length / 2)]
    const rest = await scene.names('many/', half)
    expect(rest.length === names.length - names.indexOf(half) - 1, 'the second half is not whole', 'pass `after` on')
    await scene.store.delete(names.map((name) => scene.key(name)))
    const left = await scene.names('many/')
    expect(left.length === 0, `${left.length} of ${names.length} objects are left after deleting them all`, 'split it')
  },

  async 'ends a listing when nobody wants more'(scene) {
    for (const name of ['a', 'b', 'c']) await scene.put(name, name)
    for (let i = 0; i < 30; i++) {
      for await (const { key } of scene.store.list({ prefix: scene.prefix })) if (key) break
    }
    expect((await scene.names()).length === 3, 'after listings that were left early, a whole one fails', 'clean up')
  },
}
