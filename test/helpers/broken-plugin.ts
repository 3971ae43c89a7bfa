import type { HookName, Plugin } from '../../core/index.js'
import { emptyBody } from '../../core/store-rules.js'

export interface BrokenOptions {
  hook: HookName
  /** What it does instead of its work. */
  how: keyof typeof WAYS
  /** So often; after that it does nothing wrong. */
  times: number
  /** Calls that go well before. */
  after?: number
}

/** Ways to be wrong. They get what the tap got. */
const WAYS = {
  throws: () => {
    throw new Error('it is broken')
  },
  hangs: () => new Promise<never>(() => undefined),
  'returns nothing': () => undefined,
  'says something else': () => ({ remove: 'all of it', key: 'elsewhere', to: { generation: 9, frame: 9 }, size: 1 }),
  'changes the file in secret': (request: object) => ({ ...request, body: emptyBody() }),
  'is named and changes': (request: { codecs: string[] }) => ({ ...request, body: emptyBody(), codecs: [...request.codecs, 'broken'] }), // prettier-ignore
} as const

/** A plugin that is wrong in one hook, for a while. */
export default function broken({ hook, how, times, after = 0 }: BrokenOptions): Plugin {
  const first = after
  let calls = 0
  return {
    name: 'broken',
    apply({ hooks }) {
      const wrong = (asked: never) => {
        calls++
        // A bail hook takes the first that answers, a waterfall needs an answer.
        if (calls <= first || calls > first + times)
          return hook === 'frameRead' || hook === 'upload' ? undefined : asked
        return WAYS[how](asked)
      }
      const tap = hooks[hook] as unknown as {
        tapPromise(options: object, work: (asked: never) => Promise<unknown>): void
      }
      // Before the tap of any storage, after those of the core.
      tap.tapPromise({ name: 'broken', stage: -1 }, async (asked) => await wrong(asked))
    },
  }
}
