// @ts-check
import { spawn } from 'node:child_process'
import { once } from 'node:events'

const NAME = 'walrust-plugin-notifier-exec'

/** What the user may write beside the plugin's name. walrust holds it against this before the plugin is made. */
export const schema = {
  type: 'object',
  additionalProperties: false,
  required: ['command'],
  properties: {
    command: { type: 'array', items: { type: 'string' }, minItems: 1, description: 'Programme and its arguments.' },
    events: { type: 'array', items: { type: 'string' }, description: 'Only these events; all without it.' },
    timeout: { type: 'integer', minimum: 1, default: 10_000, description: 'Milliseconds that one run may take.' },
  },
}

/**
 * Runs a command for every event, one after the other: an event is passed on when the one before it has been.
 *
 * @param {{ command: [string, ...string[]], events?: string[], timeout?: number }} options
 * @returns {import('walrust').Plugin}
 */
export default function notifierExec({ command, events, timeout = 10_000 }) {
  /** @type {Promise<void>} */
  let last = Promise.resolve()
  /** @type {import('walrust').PluginHost} */
  let host

  /** @param {import('walrust').WalrustEvent} event */
  async function pass(event) {
    const [program, ...args] = command
    try {
      const child = spawn(program, args, { stdio: ['pipe', 'ignore', 'ignore'], timeout })
      // Whoever does not read its input is no failure of ours.
      child.stdin.on('error', () => undefined)
      child.stdin.end(JSON.stringify(event))
      const [code, signal] = await once(child, 'close')
      if (code !== 0) throw new Error(`it ended with ${signal ?? code}`)
    } catch (error) {
      host.log.warn('an event was not passed on', { plugin: NAME, event: event.event, error: String(error) })
    }
  }

  return {
    name: NAME,
    walrust: '>=0.1 <1',
    apply(given) {
      host = given
      host.hooks.notify.tap(NAME, (event) => {
        if (!events || events.includes(event.event)) last = last.then(() => pass(event))
      })
    },
    // What was raised is passed on before the process ends.
    stop: () => last,
  }
}
