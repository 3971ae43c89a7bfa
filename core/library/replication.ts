import { unpackError } from '../error-transfer.js'
import { messageOf, type WalrustError } from '../errors.js'
import type { Log } from '../log.js'
import type { ReplicaStatus } from '../replica/replica.js'
import { EngineClient, EngineGone, type EngineMessage } from './engine-client.js'
import { untilAborted } from '../timers.js'
import { asCall, asWalrustError } from './failures.js'
import type { Abortable } from './options.js'
import type { EngineSetup, ReplicaWanted } from './protocol.js'
import { alive, Restarts } from './restarts.js'

export interface ReplicationParts {
  setup: EngineSetup
  source: string
  wanted: ReplicaWanted
  log: Log
  onEnd: (error: WalrustError) => void
}

/**
 * A read replica, kept by a process of its own until it is stopped or cannot go on. A process that crashes is started
 * again: what it had not finished is rolled back or completed first.
 */
export class Replication {
  readonly #parts: ReplicationParts
  readonly #restarts = new Restarts()
  #process: EngineClient | undefined
  #ready: Promise<unknown> = Promise.resolve()
  #stopped = false
  #error: WalrustError | undefined

  /** Made by {@link Walrust.replicate}. */
  constructor(parts: ReplicationParts) {
    this.#parts = parts
  }

  /** Process number, while there is one. */
  get pid(): number | undefined {
    return this.#process?.pid
  }

  /** Resolves when the file is there and can be opened. */
  async open(signal?: AbortSignal): Promise<this> {
    return await asCall(signal, async () => {
      try {
        await this.#launch(signal)
        return this
      } catch (error) {
        await this.stop()
        throw error
      }
    })
  }

  /** Resolves when everything that storage has is applied. Errors: why the replica cannot go on, `E_STORAGE`… */
  async catchUp({ signal }: Abortable = {}): Promise<ReplicaStatus> {
    return await asCall(signal, () => this.#call('catchUp', signal))
  }

  /** How far it is. */
  async status({ signal }: Abortable = {}): Promise<ReplicaStatus> {
    return await asCall(signal, () => this.#call('replicaStatus', signal))
  }

  /** Ends it. The file stays as it is and can be taken up again. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#restarts.hurry()
    await this.#process?.end()
    this.#process = undefined
  }

  async #call(call: 'catchUp' | 'replicaStatus', signal: AbortSignal | undefined): Promise<ReplicaStatus> {
    for (;;) {
      if (this.#error) throw this.#error
      await alive(untilAborted(this.#ready, signal))
      if (this.#stopped || !this.#process) throw new EngineGone('the replica was stopped')
      try {
        return await this.#process.call(call, [], { signal })
      } catch (error) {
        if (!(error instanceof EngineGone)) throw error
        await alive(this.#process.ended)
      }
    }
  }

  async #launch(signal?: AbortSignal): Promise<void> {
    const { setup, source, wanted } = this.#parts
    const process = new EngineClient((message) => this.#hear(message))
    this.#process = process
    const began = performance.now()
    await process.call('replicate', [setup, source, wanted], { signal })
    void process.ended.then((gone) => {
      if (this.#stopped) return
      this.#parts.log.error('the replica process crashed and is started again', { error: gone.message })
      this.#ready = this.#again(this.#restarts.next(performance.now() - began))
      this.#ready.catch(() => undefined)
    })
  }

  async #again(first: number): Promise<void> {
    for (let wait = first; ; wait = this.#restarts.next(0)) {
      await this.#restarts.wait(wait)
      if (this.#stopped) return
      try {
        await this.#launch()
        return
      } catch (error) {
        if (!(error instanceof EngineGone)) {
          this.#end(asWalrustError(error))
          return
        }
        this.#parts.log.error('the replica process did not start', { error: messageOf(error) })
      }
    }
  }

  #hear(message: EngineMessage): void {
    if ('log' in message) this.#parts.log[message.log.level](message.log.message, message.log.fields)
    else if ('replicaEnded' in message) this.#end(asWalrustError(unpackError(message.replicaEnded)))
  }

  #end(error: WalrustError): void {
    if (this.#stopped) return
    this.#error = error
    void this.stop()
    this.#parts.onEnd(error)
  }
}
