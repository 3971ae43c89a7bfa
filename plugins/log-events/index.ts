import type { EventName, Plugin } from '../../core/index.js'

const NAME = 'walrust:log-events'

/** Events that say that all is well. */
const GOOD = new Set<EventName>(['snapshot_completed', 'recovered', 'circuit_breaker_closed', 'checkpoint_detected'])

/** Writes every event into the log, with what is known about it. */
export function logEvents(): Plugin {
  return {
    name: NAME,
    apply({ hooks, log }) {
      hooks.notify.tap(NAME, ({ event, database, error, attempts, context }) => {
        log[GOOD.has(event) ? 'info' : 'warn'](event, { ...context, database, error, attempts })
      })
    },
  }
}
