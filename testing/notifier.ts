import type { EventName, WalrustEvent } from '../core/events.js'
import { messageOf } from '../core/errors.js'
import type { Plugin } from '../core/plugin.js'
import { VERSION } from '../core/version.js'
import { type ConformanceCase, conformanceCase, ConformanceError, expect } from './conformance.js'
import { besides, pluginCases, stopped } from './plugin.js'
import { hostOf } from './scene.js'

/** A notifier together with whoever it tells. */
export interface NotifierScene {
  plugin: Plugin
  /** The events that have arrived at the other end so far, in order of arrival. */
  received(): readonly Arrival[] | Promise<readonly Arrival[]>
  /** Closes the other end. */
  close?(): Promise<void> | void
}

/** As much of an event as can be made out at the other end. */
export interface Arrival {
  event: string
  database: string
  /** The error's text, if the notifier passes it on. */
  error?: string
}

export interface NotifierSubject {
  /** Makes a notifier that passes on every event, with a receiver that takes all. Called for every case. */
  open(): NotifierScene | Promise<NotifierScene>
  /** The same with a receiver that cannot be reached, or refuses. Without it, that case is left out. */
  openUnreachable?(): NotifierScene | Promise<NotifierScene>
  /** Milliseconds that `stop` may take. 15 s if not given. */
  stopWithin?: number
  /** Milliseconds that a case may take before it counts as hanging. 55 s if not given. */
  limit?: number
}

/** Cases for plugins that tap `notify`, and those for every plugin. */
export function notifierCases(subject: NotifierSubject): ConformanceCase[] {
  const { stopWithin = 15_000 } = subject
  const one = (name: string, run: () => Promise<void>) => conformanceCase(name, run, subject.limit)

  async function send(open: NotifierSubject['open'], events: readonly WalrustEvent[]): Promise<readonly Arrival[]> {
    const scene = await open()
    try {
      const host = hostOf(scene.plugin)
      await host.start()
      // As the engine does it: nobody waits for one before raising the next.
      await Promise.all(events.map((event) => host.hooks.notify.promise(event)))
      await stopped(host, stopWithin)
      return await scene.received()
    } finally {
      await scene.close?.()
    }
  }

  const cases = [
    one('passes an event on, with what it is and which database it concerns', async () => {
      const got = first(await send(() => subject.open(), [eventOf('gap_healed', 'app')]))
      const mend = 'tap `notify`, and send at least `event` and `database`'
      expect(got?.event === 'gap_healed' && got.database === 'app', `of one event ${JSON.stringify(got)} came`, mend)
    }),
    one('takes an event that has nothing but its name, database and time', async () => {
      const got = await send(() => subject.open(), [eventOf('recovered', 'tenants/42/app')])
      expect(got.length === 1, 'it did not come', '`error`, `attempts` and `context` may be missing')
    }),
    one('takes text of every kind', async () => {
      const error = 'disk "A"\n$HOME `x` \u{1F9AD} \\ <b>&amp;</b> %s'
      const got = first(await send(() => subject.open(), [{ ...eventOf('disk_full', 'a b/ü'), error }]))
      expect(got?.database === 'a b/ü', `the database came as ${JSON.stringify(got?.database)}`, 'escape, do not cut')
      if (got.error !== undefined) expect(got.error === error, `the error came as ${got.error}`, 'escape, do not cut')
    }),
    one('loses none of a hundred at once, and keeps their order', async () => {
      const events = Array.from({ length: 100 }, (_, i) => eventOf('sync_failed', `db${i}`))
      const got = (await send(() => subject.open(), events)).map(({ database }) => database)
      const mend = 'queue them: one after the other to each receiver'
      expect(got.length === 100, `${got.length} of 100 came`, mend)
      expect(got.join() === events.map(({ database }) => database).join(), 'they came in another order', mend)
    }),
    one('delivers what is left before stop is over', async () => {
      const scene = await subject.open()
      try {
        const host = hostOf(scene.plugin)
        await host.start()
        await host.hooks.notify.promise(eventOf('writer_fenced', 'last'))
        await stopped(host, stopWithin)
        const mend = '`stop` has to wait, for a bounded time, until what was raised is delivered'
        expect((await scene.received()).length === 1, 'an event raised right before `stop` did not come', mend)
      } finally {
        await scene.close?.()
      }
    }),
  ]
  if (subject.openUnreachable) {
    const openUnreachable = subject.openUnreachable.bind(subject)
    cases.push(
      one('holds nobody up when its receiver is away', async () => {
        try {
          await send(openUnreachable, [eventOf('sync_failed', 'app'), eventOf('recovered', 'app')])
        } catch (error) {
          if (error instanceof ConformanceError) throw error
          const mend = 'catch it, log it once, try again a bounded number of times'
          throw new ConformanceError(`it fails as a whole: ${messageOf(error)}`, mend, error)
        }
      }),
    )
  }
  return [...ofEveryPlugin(subject, stopWithin), ...cases]
}

/** The cases for every plugin. The receivers are not the plugin's, and are closed behind it. */
function ofEveryPlugin(subject: NotifierSubject, stopWithin: number): ConformanceCase[] {
  const scenes: NotifierScene[] = []
  const make = async () => {
    const scene = await besides(() => subject.open())
    scenes.push(scene)
    return scene.plugin
  }
  return pluginCases({ make, stopWithin, limit: subject.limit }).map(({ name, run }) => ({
    name,
    run: async () => {
      try {
        await run()
      } finally {
        for (const scene of scenes.splice(0)) await scene.close?.()
      }
    },
  }))
}

function first<T>(all: readonly T[]): T | undefined {
  return all[0]
}

function eventOf(event: EventName, database: string): WalrustEvent {
  return { event, database, timestamp: new Date().toISOString(), version: VERSION }
}
