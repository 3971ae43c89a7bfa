import { messageOf, type WalrustError } from '../errors.js'
import type { Log } from '../log.js'
import { type CallOptions, EngineClient, EngineGone, type EngineMessage } from './engine-client.js'
import { untilAborted } from '../timers.js'
import { asWalrustError } from './failures.js'
import type { EngineCalls, EngineSetup } from './protocol.js'
import { alive, notStarted, Restarts } from './restarts.js'

export interface KeeperParts {
  /** What an engine is to start with: asked for at each start. */
  setup: () => EngineSetup
  log: Log
  onMessage: (message: EngineMessage) => void
  /** Told when an engine has ended by itself; another one is on its way. */
  onCrash: (error: WalrustError) => void
}

/** Keeps one engine running from start to stop: one that crashes is started again, as it was. */
export class EngineKeeper {
  readonly #parts: KeeperParts
  readonly #restarts = new Restarts()
  #engine: EngineClient | undefined
  /** What is to be waited for before the engine can be asked: a start, or one again. `undefined`: none is to run. */
  #ready: Promise<void> | undefined
  #restarting = false
  #stopping = false

  constructor(parts: KeeperParts) {
    this.#parts = parts
  }

  get pid(): number | undefined {
    return this.#engine?.pid
  }

  get started(): boolean {
    return this.#ready !== undefined
  }

  async start(signal?: AbortSignal): Promise<void> {
    const before = this.#ready
    const mine = (this.#ready ??= this.#launch(false, signal))
    try {
      await untilAborted(mine, signal)
    } catch (error) {
      // Whoever only waits along with another start ends nothing.
      if (!before && this.#ready === mine && !this.#restarting) {
        this.#ready = undefined
        const engine = this.#engine
        this.#engine = undefined
        // Aborted: nothing is waited for. Otherwise it has said why it does not start, and has nothing to ship.
        if (signal?.aborted) await engine?.kill()
        else await engine?.end()
      }
      throw error
    }
  }

  /** Ships what is pending and ends. With the signal it ends at once. */
  async stop(signal?: AbortSignal): Promise<void> {
    if (!this.#ready || this.#stopping) return
    this.#stopping = true
    try {
      // One that is about to be started again still has to ship what the crash left.
      this.#restarts.hurry()
      await alive(untilAborted(this.#ready, signal))
      await this.#engine?.call('stop', [], { signal })
    } finally {
      const engine = this.#engine
      this.#engine = undefined
      this.#ready = undefined
      this.#stopping = false
      this.#restarting = false
      if (signal?.aborted) await engine?.kill()
      else await engine?.end()
    }
  }

  /** Asks the engine; if it crashes meanwhile, the next one. */
  async call<Call extends keyof EngineCalls>(
    call: Call,
    args: Parameters<EngineCalls[Call]>,
    options: CallOptions = {},
  ): Promise<ReturnType<EngineCalls[Call]>> {
    for (;;) {
      if (!this.#ready || this.#stopping) throw notStarted()
      await alive(untilAborted(this.#ready, options.signal))
      const engine = this.#engine
      if (!engine) continue
      try {
        return await engine.call(call, args, options)
      } catch (error) {
        // What can be asked for is a state, not a change: the next engine is asked the same.
        if (!(error instanceof EngineGone)) throw error
        await alive(engine.ended)
      }
    }
  }

  async #launch(again: boolean, signal?: AbortSignal): Promise<void> {
    const engine = new EngineClient((message) => this.#parts.onMessage(message))
    this.#engine = engine
    const began = performance.now()
    await engine.call('start', [{ ...this.#parts.setup(), again }], { signal })
    void engine.ended.then((gone) => {
      if (this.#engine === engine && !this.#stopping) this.#restart(gone, performance.now() - began)
    })
  }

  #restart(gone: EngineGone, lived: number): void {
    const wait = this.#restarts.next(lived)
    this.#restarting = true
    this.#ready = this.#again(wait)
    this.#ready.catch(() => undefined)
    this.#parts.log.error('the engine crashed and is started again', { error: gone.message, wait })
    this.#parts.onCrash(asWalrustError(gone))
  }

  async #again(first: number): Promise<void> {
    for (let wait = first; ; wait = this.#restarts.next(0)) {
      await this.#restarts.wait(this.#stopping ? 0 : wait)
      if (!this.#ready) return
      try {
        await this.#launch(true)
        this.#restarting = false
        return
      } catch (error) {
        this.#parts.log.error('the engine did not start', { error: messageOf(error) })
        const engine = this.#engine
        this.#engine = undefined
        await engine?.kill()
        if (this.#stopping) throw error
      }
    }
  }
}
