import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { storageFailure } from '../failures.js'
import type { ObjectStore } from '../object-store.js'
import { VERSION } from '../version.js'
import { heartbeatKey } from './keys.js'
import { letGo, putJson, RELEASE, within } from './small-object.js'

/** So much of the TTL passes between two renewals, and between two attempts while they fail. */
const RENEW = 1 / 2
const RETRY = 1 / 4

/** After so many TTLs everybody who watches a heartbeat that does not move has his verdict, ours has been there for long. */
const OUTLIVED = 2

/** A renewal has at least so long, in milliseconds. */
const LEAST = 1000

/** Milliseconds between two renewals of a heartbeat, each of which is one `PUT`. */
export function renewalInterval(ttl: number): number {
  return ttl * RENEW
}

/**
 * One object that says that this process is alive, renewed however many databases it ships to the prefix. Only this
 * process ever writes it, so no condition is needed; whoever doubts it compares two reads, a TTL apart.
 *
 * It is about being alive and nothing else. A process that slept and does not know yet that it was given up is kept out
 * by create-if-absent: docs/fencing.md.
 */
export class Lease {
  readonly key = heartbeatKey(randomBytes(12).toString('hex'))
  /** How often it was not renewed in time: each time somebody else may have taken it for our end. */
  gaps = 0
  readonly #store: ObjectStore
  readonly #about = { host: hostname(), pid: process.pid, version: VERSION }
  readonly #listeners = new Set<() => void>()
  /** Heartbeats of dead processes, and since when we know of them; monotonic. */
  readonly #outlived = new Map<string, number>()
  #beat = 0
  /** When the last renewal that succeeded had begun, by both clocks: the monotonic one stands still in a suspended VM. */
  #renewed = { monotonic: -Infinity, wall: -Infinity }
  #renewing: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  #ended = false
  #silent = false

  /** @param ttl milliseconds after which somebody else may take us for dead */
  constructor(
    store: ObjectStore,
    readonly ttl: number,
  ) {
    this.#store = store
  }

  /** Whether nobody who watches can have taken us for dead since the last renewal. */
  get fresh(): boolean {
    const { monotonic, wall } = this.#renewed
    return performance.now() - monotonic < this.ttl && Math.abs(Date.now() - wall) < this.ttl
  }

  /** Tells whenever it could be renewed again after a gap. Returns how to end that. */
  onGap(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Makes sure that it is there and fresh. Callers at the same time share one request. Errors: `E_STORAGE`…. */
  async ensure(): Promise<void> {
    if (this.fresh) return
    await this.#renew()
  }

  /**
   * An earlier process of this machine is dead: its heartbeat is deleted, but not before this process has claimed what it
   * shipped. Whoever watches it would find it gone, and nobody in its place.
   */
  outlive(key: string): void {
    if (!this.#outlived.has(key)) this.#outlived.set(key, performance.now())
  }

  /** Something of ours may still arrive at the storage: at the end it is left to go silent, so that others take care. */
  leaveSilent(): void {
    this.#silent = true
  }

  /** Ends it: nobody has to wait for us. What cannot be deleted is left to go silent. */
  async end(): Promise<void> {
    this.#ended = true
    clearTimeout(this.#timer)
    // A renewal that arrives after the end would be taken for a sign of life.
    if (this.#renewing) await Promise.race([this.#renewing.catch(() => undefined), sleep(RELEASE)])
    if (this.#silent || !this.fresh || this.#renewing) return
    await letGo(this.#store, [this.key, ...this.#outlived.keys()])
  }

  #renew(): Promise<void> {
    this.#renewing ??= this.#beatOnce().finally(() => (this.#renewing = undefined))
    return this.#renewing
  }

  async #beatOnce(): Promise<void> {
    const began = { monotonic: performance.now(), wall: Date.now() }
    const value = { ...this.#about, ttl: this.ttl, beat: ++this.#beat, time: new Date(began.wall).toISOString() }
    try {
      await within(Math.max(LEAST, renewalInterval(this.ttl)), (signal) =>
        putJson(this.#store, this.key, value, { signal }),
      )
    } catch (error) {
      this.#schedule(RETRY)
      throw storageFailure(error, this.#store.url, 'renewing the heartbeat in')
    }
    // Now, not when it began: it may have been under way for long.
    const late = this.#renewed.monotonic > -Infinity && !this.fresh
    this.#renewed = began
    this.#schedule(RENEW)
    if (late) {
      this.gaps++
      for (const listener of [...this.#listeners]) listener()
    }
    void this.#deleteOutlived(began.monotonic - OUTLIVED * this.ttl)
  }

  async #deleteOutlived(since: number): Promise<void> {
    const keys = [...this.#outlived].flatMap(([key, known]) => (known <= since ? [key] : []))
    if (keys.length === 0) return
    for (const key of keys) this.#outlived.delete(key)
    await letGo(this.#store, keys)
  }

  #schedule(part: number): void {
    clearTimeout(this.#timer)
    if (this.#ended) return
    this.#timer = setTimeout(() => void this.#renew().catch(() => undefined), this.ttl * part)
    this.#timer.unref()
  }
}
