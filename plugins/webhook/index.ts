import { EVENT_NAMES, type EventName, type Plugin, WalrustError } from '../../core/index.js'
import { type Duration, milliseconds, webUrl } from '../options.js'
import { Mailbox } from './mailbox.js'

/** One receiver of events. */
export interface WebhookTarget {
  /** Where to POST: http or https. Shown in logs without its path, which is a secret with many services. */
  url: string
  /** Key for the signature in `X-Walrust-Signature`. */
  secret?: string
  /** Only these events; all without it. */
  events?: readonly EventName[]
  /** Sent along with every request. */
  headers?: Readonly<Record<string, string>>
  /** For one attempt. */
  timeout?: Duration
  /** Attempts after the first. */
  retries?: number
  /** How long what is left is delivered for when the process ends. */
  drain?: Duration
}

/** One receiver, or several. */
export type WebhookOptions = WebhookTarget | { hooks: readonly WebhookTarget[] }

const NAME = 'walrust:webhook'

/**
 * POSTs events as JSON. Each receiver gets them one after the other, in the order in which they were raised; one that is
 * slow or away holds up neither the others nor shipping. What is still to be delivered when the process ends is given
 * a bounded time.
 */
export function webhook(options: WebhookOptions): Plugin {
  const targets = ('hooks' in options ? options.hooks : [options]).map(checked)
  let boxes: Mailbox[] = []
  return {
    name: NAME,
    apply({ hooks, log, version }) {
      boxes = targets.map((target) => new Mailbox(target, log, version))
      hooks.notify.tap(NAME, (event) => {
        for (const box of boxes) box.post(event)
      })
    },
    async stop() {
      await Promise.all(boxes.map((box) => box.drain()))
    },
  }
}

/** A target with everything decided. */
export interface CheckedTarget {
  url: URL
  secret: string | undefined
  events: ReadonlySet<EventName> | undefined
  headers: Readonly<Record<string, string>>
  retries: number
  /** Milliseconds. */
  timeout: number
  drain: number
}

function checked({ url, secret, events, headers = {}, retries = 4, ...times }: WebhookTarget): CheckedTarget {
  const unknown = events?.find((event) => !EVENT_NAMES.includes(event))
  if (unknown !== undefined) {
    throw new WalrustError('E_CONFIG', `${NAME}: there is no event "${unknown}"`, {
      plugin: NAME,
      hint: `Events are: ${EVENT_NAMES.join(', ')}`,
    })
  }
  if (secret === '') throw new WalrustError('E_CONFIG', `${NAME}: the secret is empty`, { plugin: NAME })
  return {
    url: webUrl(NAME, url),
    secret,
    events: events && new Set(events),
    headers,
    retries,
    timeout: milliseconds(NAME, 'timeout', times.timeout ?? '10s'),
    drain: milliseconds(NAME, 'drain', times.drain ?? '10s'),
  }
}
