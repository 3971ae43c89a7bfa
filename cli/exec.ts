import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants } from 'node:os'
import { messageOf, WalrustError } from '../core/errors.js'
import type { Service } from '../core/service/service.js'
import { timerDelay } from '../core/timers.js'
import type { StopSignals } from './signals.js'

/** An application that runs as our child and has our terminal. */
export class Application {
  readonly #child: ChildProcess
  /** Its exit code once it has ended; as shells say it, 128 + n, if signal n ended it. */
  readonly ended: Promise<number>

  private constructor(child: ChildProcess) {
    this.#child = child
    this.ended = once(child, 'exit').then(([code, signal]) => {
      return (code as number | null) ?? 128 + constants.signals[signal as NodeJS.Signals]
    })
  }

  /** Starts it. Errors: `E_USAGE` if it cannot be run. */
  static async start(command: string): Promise<Application> {
    const [program, ...args] = splitCommand(command)
    const child = spawn(program, args, { stdio: 'inherit' })
    const application = new Application(child)
    application.ended.catch(() => undefined)
    try {
      await once(child, 'spawn')
    } catch (error) {
      throw new WalrustError('E_USAGE', `cannot run ${program}: ${messageOf(error)}`, {
        hint: 'Check what was given to --exec. It is run without a shell; for one, write: sh -c "…".',
        cause: error,
      })
    }
    return application
  }

  /** Passes a signal on. */
  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }
}

/**
 * Runs an application and ships what it commits, until it has ended by itself or after a signal that was passed on to
 * it. What it does not do within `timeout` milliseconds after that it does not do at all.
 *
 * @returns its exit code, when it has ended and every database it made is being followed
 */
export async function runWith(
  command: string,
  service: Service,
  signals: StopSignals,
  timeout: number,
): Promise<number> {
  if (signals.stop.aborted) return 0
  const application = await Application.start(command)
  let killing: NodeJS.Timeout | undefined
  const pass = (signal: NodeJS.Signals) => {
    // What is typed at a terminal has reached the application already, and many take a second one for impatience.
    if (signal !== 'SIGINT' || !process.stdin.isTTY) application.signal(signal)
    if (signals.stop.aborted) killing ??= setTimeout(() => application.signal('SIGKILL'), timerDelay(timeout))
  }
  signals.passTo(pass, () => application.signal('SIGKILL'))
  const ended = new AbortController()
  const shipping = service.run(ended.signal)
  try {
    return await application.ended
  } finally {
    clearTimeout(killing)
    ended.abort()
    await shipping
    // It may have made a database in its last moment.
    await service.rescan()
  }
}

/** The words of a command line, with quotes and backslashes as a shell has them, and nothing else of a shell. */
export function splitCommand(text: string): string[] {
  const words: string[] = []
  const pattern = /\s*((?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+)/gsy
  while (/\S/.test(text.slice(pattern.lastIndex))) {
    const at = pattern.lastIndex
    const match = pattern.exec(text)
    if (!match) throw new WalrustError('E_USAGE', `a quote is not closed in: ${text.slice(at).trim()}`)
    words.push(match[1].replace(/\\(.)|"((?:[^"\\]|\\.)*)"|'([^']*)'/gs, unquote))
  }
  if (words.length === 0) throw new WalrustError('E_USAGE', '--exec needs a command')
  return words
}

function unquote(_all: string, escaped?: string, double?: string, single?: string): string {
  return escaped ?? single ?? double?.replace(/\\(["\\$`])/g, '$1') ?? ''
}
