import { createHmac, randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Log, messageOf, type WalrustEvent } from '../../core/index.js'
import { type Answer, request, shownUrl } from '../request.js'
import type { CheckedTarget } from './index.js'

/** Events that may wait for one receiver; beyond that the oldest are dropped, and counted. */
const CAPACITY = 200

/** Between attempts, in milliseconds: the first, doubling; and the longest, also where the receiver asks for more. */
const FIRST_WAIT = 500
const LONGEST_WAIT = 30_000

/** What can go better the next time: the receiver is overloaded or broken, not what it was sent. */
const PASSING: ReadonlySet<number> = new Set([408, 425, 429])

/** The events for one receiver, delivered one after the other. */
export class Mailbox {
  readonly #target: CheckedTarget
  readonly #log: Log
  readonly #version: string
  readonly #abort = new AbortController()
  #waiting: WalrustEvent[] = []
  #dropped = 0
  #delivering: Promise<void> | undefined

  constructor(target: CheckedTarget, log: Log, version: string) {
    this.#target = target
    this.#log = log
    this.#version = version
  }

  /** Takes an event in; returns at once. */
  post(event: WalrustEvent): void {
    if (this.#target.events?.has(event.event) === false) return
    this.#waiting.push(event)
    if (this.#waiting.length > CAPACITY) {
      this.#waiting.shift()
      if (this.#dropped++ === 0) this.#warn('events for a webhook are dropped: it does not take them', {})
    }
    this.#delivering ??= this.#deliverAll()
  }

  /** Delivers what is left, for a bounded time. */
  async drain(): Promise<void> {
    const timer = setTimeout(() => this.#abort.abort(new Error('walrust is ending')), this.#target.drain)
    try {
      await this.#delivering
    } finally {
      clearTimeout(timer)
    }
    if (this.#waiting.length > 0) this.#warn('events were not delivered', { count: this.#waiting.length })
  }

  async #deliverAll(): Promise<void> {
    for (;;) {
      const event = this.#waiting.at(0)
      if (!event) break
      await this.#deliver(event)
      // Not taken away before: what is cut off in the middle counts as not delivered.
      if (this.#abort.signal.aborted) break
      if (this.#waiting.at(0) === event) this.#waiting.shift()
    }
    this.#delivering = undefined
  }

  async #deliver(event: WalrustEvent): Promise<void> {
    const body = Buffer.from(JSON.stringify(event))
    const headers = this.#headers(event, body)
    const { url, timeout, retries } = this.#target
    const { signal } = this.#abort
    for (let attempt = 0; ; attempt++) {
      let failure: string
      let asked = 0
      try {
        const answer = await request({ method: 'POST', url, headers, body, timeout, signal })
        if (answer.status >= 200 && answer.status < 300) return
        failure = reasonOf(answer)
        asked = answer.retryAfter ?? 0
        if (answer.status < 500 && !PASSING.has(answer.status)) attempt = retries
      } catch (error) {
        if (signal.aborted) return
        failure = messageOf(error)
      }
      if (attempt >= retries) {
        this.#warn('a webhook was not delivered', { event: event.event, database: event.database, error: failure })
        return
      }
      const wait = Math.min(LONGEST_WAIT, Math.max(asked, FIRST_WAIT * 2 ** attempt))
      await sleep(wait, undefined, { signal }).catch(() => undefined)
      if (signal.aborted) return
    }
  }

  #headers(event: WalrustEvent, body: Buffer): Record<string, string | number> {
    const { secret, headers } = this.#target
    const own: Record<string, string | number> = {
      ...headers,
      'content-type': 'application/json',
      'content-length': body.length,
      'user-agent': `walrust/${this.#version}`,
      'x-walrust-event': event.event,
      // The same for every attempt, so that a receiver can tell a repetition.
      'x-walrust-delivery': randomUUID(),
    }
    if (secret !== undefined) {
      own['x-walrust-signature'] = `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`
    }
    return own
  }

  #warn(message: string, fields: object): void {
    this.#log.warn(message, { url: shownUrl(this.#target.url), ...fields })
  }
}

function reasonOf({ status }: Answer): string {
  if (status < 300 || status >= 400) return `it answered ${status}`
  return `it answered ${status}, a redirect, which is not followed: give the URL it leads to`
}
