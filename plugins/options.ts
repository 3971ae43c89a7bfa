import { parseDuration } from '../core/config/units.js'
import { WalrustError } from '../core/index.js'
import { timerDelay } from '../core/timers.js'

/** A time such as `500ms`, `5s` or `1h`; a bare number is seconds. */
export type Duration = string | number

/** A URL to talk HTTP to. Errors: `E_CONFIG`, which does not repeat the text: there may be a secret in it. */
export function webUrl(plugin: string, text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url && (url.protocol === 'https:' || url.protocol === 'http:')) return url
  throw new WalrustError('E_CONFIG', `${plugin}: \`url\` is not an http: or https: URL`, { plugin })
}

/** A duration in milliseconds, as long as a timer takes at most. Errors: `E_CONFIG`. */
export function milliseconds(plugin: string, key: string, value: Duration): number {
  const time = parseDuration(String(value))
  if (time !== undefined && time > 0) return timerDelay(time)
  throw new WalrustError('E_CONFIG', `${plugin}: \`${key}\` is not a duration such as 500ms, 5s or 1h`, { plugin })
}
