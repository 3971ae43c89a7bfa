import type { ResolvedConfig } from '../config/resolved.js'
import { WalrustError } from '../errors.js'

/** A heartbeat that is renewed more often than twice a second would be late on every busy machine. */
const SHORTEST_LEASE = 1000

/** What is configured and would not be done is an error, not a silence. Errors: `E_CONFIG`. */
export function checkHonoured({ databases, lease }: ResolvedConfig, validates: boolean): void {
  // What ships once and ends validates nothing by the clock, whatever the configuration wants of a watch.
  const validated = databases.some(({ settings }) => settings.validation.interval > 0 && !settings.giveUp)
  if (!validates && validated) {
    throw new WalrustError('E_CONFIG', 'validation.interval is not there yet: nothing would come of it', {
      hint: 'Leave it out, and run `walrust verify` by a timer.',
    })
  }
  if (lease.ttl < SHORTEST_LEASE) throw new WalrustError('E_CONFIG', 'lease.ttl is at least 1s')
}
