import { type EngineStatus, healthOf, messageOf, type Plugin, type PluginHost } from '../../core/index.js'
import { type Duration, milliseconds, webUrl } from '../options.js'
import { request, shownUrl } from '../request.js'

export interface HeartbeatOptions {
  /** What to GET: http or https. Shown in logs without its path, which is a secret with most services. */
  url: string
  /** Between two: one minute without it. */
  interval?: Duration
}

const NAME = 'walrust:heartbeat'

/** Milliseconds that one request may take. */
const TIMEOUT = 10_000

/** The first comes this long after the start, in milliseconds: by then the databases are open. */
const FIRST = 2000

/**
 * GETs a URL as long as every database is durable within `health.maxLag`. Whoever waits for it there raises the alarm
 * when it stays out, which no program can do for itself once it is dead.
 */
export function heartbeat(options: HeartbeatOptions): Plugin {
  const url = webUrl(NAME, options.url)
  const interval = milliseconds(NAME, 'interval', options.interval ?? '1m')
  let host: PluginHost
  let timer: NodeJS.Timeout | undefined
  let beating: Promise<void> | undefined
  const abort = new AbortController()
  let failed = false

  async function beat(): Promise<void> {
    const status = host.status()
    if (!status || !isDurable(status, Date.now())) return
    try {
      const headers = { 'user-agent': `walrust/${host.version}` }
      const answer = await request({ method: 'GET', url, headers, timeout: TIMEOUT, signal: abort.signal })
      if (answer.status < 200 || answer.status >= 300) throw new Error(`it answered ${answer.status}`)
      failed = false
    } catch (error) {
      if (abort.signal.aborted) return
      // Once for a time of trouble: it is tried again anyway.
      if (!failed) host.log.warn('the heartbeat was not taken', { url: shownUrl(url), error: messageOf(error) })
      failed = true
    }
  }

  return {
    name: NAME,
    apply(given) {
      host = given
    },
    start() {
      const due = () => {
        beating ??= beat().finally(() => (beating = undefined))
        timer = setTimeout(due, interval)
      }
      // The first one soon: whoever waits for it knows then that the URL is right.
      timer = setTimeout(due, Math.min(interval, FIRST))
    },
    async stop() {
      clearTimeout(timer)
      abort.abort()
      await beating
    },
  }
}

/** Whether no commit waits for longer than it may, and nothing is halted. */
export function isDurable({ databases, maxLag }: EngineStatus, now: number): boolean {
  return databases.length > 0 && databases.every((database) => healthOf(database, maxLag, now) !== 'unhealthy')
}
