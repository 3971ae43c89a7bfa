import { AsyncLocalStorage, createHook } from 'node:async_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import satisfies from 'semver/functions/satisfies.js'
import validRange from 'semver/ranges/valid.js'
import { messageOf } from '../core/errors.js'
import type { Plugin } from '../core/plugin.js'
import { VERSION } from '../core/version.js'
import { type ConformanceCase, conformanceCase, ConformanceError, expect } from './conformance.js'
import { hostOf } from './scene.js'

/** What is expected of every plugin, whatever it does. */
export interface PluginSubject {
  /** Makes one with options that work. Called for every case, several times in some. */
  make(): Plugin | Promise<Plugin>
  /** Milliseconds that `stop` may take. 10 s if not given, which is what the shutdown timeout is by default. */
  stopWithin?: number
  /** Milliseconds that a case may take before it counts as hanging. 55 s if not given. */
  limit?: number
}

/** How long sockets and timers may take to be gone after `stop`, in milliseconds. */
const GRACE = 2000

/** Cases for any plugin: its name and range, and that it only taps in `apply`, starts, and lets everything go again. */
export function pluginCases(subject: PluginSubject): ConformanceCase[] {
  const { stopWithin = 10_000 } = subject
  const one = (name: string, run: () => Promise<void>) => conformanceCase(name, run, subject.limit)
  return [
    one('has a name of its own', async () => {
      const { name } = await subject.make()
      const mend =
        'give the plugin a `name`, best that of its package; it stands in errors, in `explain` and in the log'
      expect(typeof name === 'string' && name.trim() !== '', `its name is ${JSON.stringify(name)}`, mend)
      const again = await subject.make()
      expect(again.name === name, `it is called ${name} and then ${again.name}`, 'use the same name every time')
    }),
    one('says for which versions of walrust it is made, and this is one', async () => {
      const { name, walrust } = await subject.make()
      if (walrust === undefined) {
        const mend =
          'set `walrust` to a range such as ">=0.1 <1": a later walrust then says so instead of failing oddly'
        expect(name.startsWith('walrust:'), 'it names no versions of walrust', mend)
        return
      }
      expect(validRange(walrust) !== null, `"${walrust}" is no range of versions`, 'write it as npm does: ">=0.1 <1"')
      const fits = satisfies(VERSION, walrust, { includePrerelease: true })
      expect(fits, `it works with ${walrust}, this is ${VERSION}`, 'widen the range when it passes here')
    }),
    one('names what it needs', async () => {
      const { needs = [] } = await subject.make()
      const names = Array.isArray(needs) && needs.every((name) => typeof name === 'string' && name !== '')
      expect(names, `\`needs\` is ${JSON.stringify(needs)}`, 'list the names of other plugins, or leave it out')
    }),
    one('opens nothing before it is started', async () => {
      const mend = 'only tap and register in `apply`; open sockets and timers in `start`'
      await new Opened().during(async () => void hostOf(await subject.make()), '`apply` leaves', mend)
    }),
    one('starts, and lets go of everything when it is stopped', async () => {
      const cycle = async () => {
        const host = hostOf(await subject.make())
        await host.check([])
        await host.start()
        await stopped(host, stopWithin)
      }
      await new Opened().during(cycle, '`stop` leaves', 'close in `stop` what `start` has opened, and await it')
    }),
    one('can be there twice', async () => {
      const hosts = [hostOf(await subject.make()), hostOf(await subject.make())]
      try {
        for (const host of hosts) await host.start()
        await stopped(hosts[0], stopWithin)
      } catch (error) {
        const mend = 'keep state in what the factory makes, not in the module'
        throw new ConformanceError(`with another one beside it, it fails: ${messageOf(error)}`, mend, error)
      } finally {
        await stopped(hosts[1], stopWithin)
      }
    }),
  ]
}

/** Stops a host and fails if a plugin takes too long. */
export async function stopped(host: { stop(): Promise<void> }, within: number): Promise<void> {
  const abort = new AbortController()
  const late = sleep(within, 'late', { signal: abort.signal }).catch(() => undefined)
  const result = await Promise.race([host.stop(), late])
  abort.abort()
  const mend = 'bound what `stop` waits for: the process has to end within the shutdown timeout'
  expect(result !== 'late', `\`stop\` was not over after ${within / 1000} s`, mend)
}

const tracked = new AsyncLocalStorage<Opened>()

/** Does work that is not the plugin's: what it opens is not held against it. */
export function besides<T>(work: () => T): T {
  return tracked.exit(work)
}

/** What a plugin has opened and not let go, by kind. Only what is opened in `work`, or by what that has set going. */
class Opened {
  readonly #open = new Map<number, { type: string; resource: { hasRef?: () => boolean } }>()
  readonly #hook = createHook({
    init: (id, type, _trigger, resource) => {
      if (KINDS.test(type) && tracked.getStore() === this) this.#open.set(id, { type, resource })
    },
    destroy: (id) => void this.#open.delete(id),
  })

  async during(work: () => Promise<void>, seen: string, mend: string): Promise<void> {
    this.#hook.enable()
    try {
      await tracked.run(this, work)
      const end = performance.now() + GRACE
      while (this.kinds.length > 0) {
        expect(
          performance.now() < end,
          `${seen} something that keeps the process alive: ${this.kinds.join(', ')}`,
          mend,
        )
        await sleep(20)
      }
    } finally {
      this.#hook.disable()
    }
  }

  get kinds(): string[] {
    const alive = [...this.#open.values()].filter(({ resource }) => resource.hasRef?.() ?? true)
    return [...new Set(alive.map(({ type }) => type))]
  }
}

/** What Node calls the things that keep a process alive. */
const KINDS = /^(Timeout|TCP\w*WRAP|TLSWRAP|PIPE\w*WRAP|PROCESSWRAP|UDPWRAP|FSEVENTWRAP|STATWATCHER|WORKER)$/
