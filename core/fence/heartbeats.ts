import { setTimeout as sleep } from 'node:timers/promises'
import type { ObjectStore } from '../object-store.js'
import { fieldsOf, getText } from './small-object.js'

/** How often a heartbeat is read within a TTL: whoever is alive is noticed before it is over. */
const READS = 4

/** Nobody is waited for longer than this, whatever TTL he wrote down, in milliseconds. */
const LONGEST = 3_600_000

/**
 * - `alive`: it moved while we watched
 * - `silent`: it did not for a TTL, by our own monotonic clock
 * - `gone`: it was taken away, as a process does at its end
 */
export type Verdict = 'alive' | 'silent' | 'gone'

interface Seen {
  text: string
  /** When it was first seen like this, and when last; monotonic. */
  since: number
  read: number
}

/** Watches other processes' heartbeats. However many databases ask about one, it is read once. */
export class Heartbeats {
  readonly #store: ObjectStore
  readonly #ttl: number
  readonly #watching = new Map<string, Promise<Verdict>>()
  readonly #seen = new Map<string, Seen>()
  readonly #end = new AbortController()

  constructor(store: ObjectStore, ttl: number) {
    this.#store = store
    this.#ttl = ttl
  }

  /** Watches an object for a TTL. Errors: what reading it fails with; the next call goes on where it was. */
  watch(key: string): Promise<Verdict> {
    const watching = this.#watching.get(key) ?? this.#watch(key).finally(() => this.#watching.delete(key))
    this.#watching.set(key, watching)
    return watching
  }

  end(): void {
    this.#end.abort(new Error('nobody wants to know any more'))
  }

  async #watch(key: string): Promise<Verdict> {
    const { signal } = this.#end
    for (;;) {
      const begun = performance.now()
      const text = await getText(this.#store, key, signal)
      if (text === undefined) return 'gone'
      const ttl = this.#ttlOf(text)
      const seen = this.#seen.get(key)
      // What was seen long ago says nothing: in between it may have moved and then stopped.
      if (seen && seen.text !== text && begun - seen.read < ttl) return 'alive'
      if (seen?.text === text && begun - seen.since >= ttl) return 'silent'
      const read = performance.now()
      const since = seen?.text === text ? seen.since : read
      this.#seen.set(key, { text, since, read })
      await sleep(Math.max(1, Math.min(ttl / READS, since + ttl - read)), undefined, { signal })
    }
  }

  /** The process behind it may renew it less often than we do. */
  #ttlOf(text: string): number {
    const { ttl } = fieldsOf(text)
    return Math.max(this.#ttl, typeof ttl === 'number' ? Math.min(LONGEST, ttl) : 0)
  }
}
