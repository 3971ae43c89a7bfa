import { resolve } from 'node:path'
import type { WalrustConfig } from '../config/generated/types.js'
import { messageOf, WalrustError } from '../errors.js'
import type { WalrustEvent } from '../events.js'
import { type Log, SILENT } from '../log.js'
import { asWalrustError, EngineClient, EngineGone, type EngineMessage } from './engine-client.js'
import type { EngineCalls, EngineSetup } from './protocol.js'
import { SharedPasses } from './shared-passes.js'

/** Waits before an engine that crashed is started again, in milliseconds, doubling. */
const FIRST_RESTART = 250
const LONGEST_RESTART = 30_000
/** An engine that ran for so long was well: the next crash is a first one again. */
const WELL = 60_000

export interface WalrustOptions {
  /** Where relative paths of the configuration start; by default the working folder. */
  folder?: string
  /** Hears what walrust does. Without one nothing is said anywhere. */
  log?: Log
  /** Told of every event of the engine, and when it has crashed. */
  onEvent?: (event: WalrustEvent) => void
  onCrash?: (error: WalrustError) => void
}

export interface SyncOptions {
  /** URLs of the storages to wait for; all by default. */
  storages?: readonly string[]
  /** Milliseconds. */
  timeout?: number
  signal?: AbortSignal
}

/**
 * Walrust inside a program. The engine runs in a process of its own: a second copy of SQLite in the application's
 * process that opens and closes the database would drop the locks of the first one. It is started again when it
 * crashes, and ends when the application does, however that ends.
 */
export class Walrust {
  readonly #setup: EngineSetup
  readonly #options: WalrustOptions
  readonly #log: Log
  readonly #passes = new SharedPasses()
  #engine: EngineClient | undefined
  /** What is to be waited for before the engine can be asked: a start, or one again. */
  #ready: Promise<void> | undefined
  #started = false
  #crashes = 0

  /** @param config a configuration, or the path of a file that holds one. Errors: `E_CONFIG` for functions in it */
  constructor(config: WalrustConfig | string, options: WalrustOptions = {}) {
    const folder = resolve(options.folder ?? '.')
    if (typeof config !== 'string') refuseFunctions(config, '')
    this.#setup = { config, folder }
    this.#options = options
    this.#log = options.log ?? SILENT
  }

  /** Process number of the engine, while there is one. */
  get enginePid(): number | undefined {
    return this.#engine?.pid
  }

  /** Starts to follow the databases. Errors: everything that is wrong with the configuration, storage or databases. */
  async start(): Promise<void> {
    if (this.#started) return
    this.#started = true
    this.#ready = this.#launch()
    try {
      await this.#ready
    } catch (error) {
      this.#started = false
      await this.#engine?.end()
      this.#engine = undefined
      throw asWalrustError(error)
    }
  }

  /** Ships what is pending within `shutdownTimeout`, and ends the engine. Errors: `E_UNSHIPPED` and what is as grave. */
  async stop(): Promise<void> {
    const engine = this.#engine
    this.#started = false
    this.#engine = undefined
    if (!engine) return
    try {
      await engine.call('stop', [])
    } catch (error) {
      throw asWalrustError(error)
    } finally {
      await engine.end()
    }
  }

  /**
   * Resolves when everything committed to a database before the call is durable in storage: the answer to "is my
   * commit safe?". Callers at once share one pass.
   *
   * Errors: `E_UNSHIPPED` after `timeout`, the signal's reason, why the database is not followed.
   */
  async sync(name: string, { storages, timeout, signal }: SyncOptions = {}): Promise<void> {
    const late = timeout === undefined ? undefined : AbortSignal.timeout(timeout)
    const signals = [late, signal].filter((one) => one !== undefined)
    const key = JSON.stringify([name, storages])
    try {
      const pass = (ended: AbortSignal) => this.#call('sync', [name, storages], ended)
      await this.#passes.join(key, pass, signals.length > 0 ? AbortSignal.any(signals) : undefined)
    } catch (error) {
      if (!late?.aborted || signal?.aborted) throw error
      throw new WalrustError('E_UNSHIPPED', `commits of ${name} are not in storage after ${timeout} ms`, {
        database: name,
        cause: error,
      })
    }
  }

  /** Takes a snapshot. Resolves with its transaction when it is durable. */
  async snapshot(
    name: string,
    { storages, signal }: { storages?: readonly string[]; signal?: AbortSignal } = {},
  ): Promise<number> {
    return await this.#call('snapshot', [name, storages], signal)
  }

  /**
   * Brings a database of the configuration back if its file is not there: for the start with an empty disk, before the
   * application opens it. Nothing has to be started for that.
   *
   * @returns `no-backup` if every storage could be listed and none has anything of it. Errors: those of a restore
   */
  async ensureRestored(
    path: string,
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<'restored' | 'present' | 'no-backup'> {
    const engine = new EngineClient((message) => this.#hear(message))
    try {
      return await engine.call('ensureRestored', [this.#setup, path], signal)
    } catch (error) {
      throw asWalrustError(error)
    } finally {
      await engine.end()
    }
  }

  async #call<Call extends keyof EngineCalls>(
    call: Call,
    args: Parameters<EngineCalls[Call]>,
    signal?: AbortSignal,
  ): Promise<ReturnType<EngineCalls[Call]>> {
    for (;;) {
      if (!this.#started) throw new WalrustError('E_NOT_WATCHED', 'walrust has not been started')
      await untilAborted(this.#ready, signal)
      const engine = this.#engine
      if (!engine) continue
      try {
        return await engine.call(call, args, signal)
      } catch (error) {
        // Both calls ask for a state and not for a change: the next engine is asked the same.
        if (!(error instanceof EngineGone)) throw error
        await engine.ended
      }
    }
  }

  async #launch(): Promise<void> {
    const engine = new EngineClient((message) => this.#hear(message))
    this.#engine = engine
    const began = performance.now()
    await engine.call('start', [this.#setup])
    void engine.ended.then((gone) => {
      if (this.#engine === engine) this.#restart(gone, performance.now() - began)
    })
  }

  #restart(gone: EngineGone, lived: number): void {
    this.#crashes = lived > WELL ? 1 : this.#crashes + 1
    const wait = Math.min(LONGEST_RESTART, FIRST_RESTART * 2 ** (this.#crashes - 1))
    const error = asWalrustError(gone) as WalrustError
    this.#log.error('the engine crashed and is started again', { error: gone.message, wait })
    this.#ready = this.#again(wait)
    this.#ready.catch(() => undefined)
    this.#options.onCrash?.(error)
  }

  async #again(wait: number): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, wait))
    if (!this.#started) return
    try {
      await this.#launch()
    } catch (error) {
      this.#log.error('the engine did not start', { error: messageOf(error) })
      const longer = Math.min(LONGEST_RESTART, wait * 2)
      await this.#again(longer)
    }
  }

  #hear(message: EngineMessage): void {
    if ('event' in message) this.#options.onEvent?.(message.event)
    else this.#log[message.log.level](message.log.message, message.log.fields)
  }
}

/** Walrust for a configuration. Nothing happens before it is asked for something. */
export function createWalrust(config: WalrustConfig | string, options?: WalrustOptions): Walrust {
  return new Walrust(config, options)
}

/** Functions, and objects with functions such as plugins, cannot pass to another process. */
function refuseFunctions(value: unknown, path: string): void {
  if (typeof value === 'function') {
    throw new WalrustError('E_CONFIG', `${path} is or has a function, and the engine runs in another process`, {
      hint: 'Name plugins by package or path, or give the path of a configuration file instead of an object.',
    })
  }
  if (typeof value !== 'object' || value === null) return
  for (const [key, inner] of Object.entries(value)) refuseFunctions(inner, path === '' ? key : `${path}.${key}`)
}

async function untilAborted(promise: Promise<void> | undefined, signal: AbortSignal | undefined): Promise<void> {
  if (!signal) return await promise
  signal.throwIfAborted()
  let end: (() => void) | undefined
  const aborted = new Promise<never>((_resolve, reject) => {
    end = () => reject(signal.reason as Error)
    signal.addEventListener('abort', end, { once: true })
  })
  try {
    await Promise.race([promise, aborted])
  } finally {
    if (end) signal.removeEventListener('abort', end)
  }
}
