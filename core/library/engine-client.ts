import { type ChildProcess, fork } from 'node:child_process'
import type { Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { unpackError } from '../error-transfer.js'
import type { EngineAnswer, EngineCalls, FromEngine, Progress, ToEngine } from './protocol.js'

const PROGRAM = fileURLToPath(new URL('../../cli/engine-process.js', import.meta.url))

/** Characters of what the process said last, for the error that tells of its end. */
const LAST_WORDS = 2000

interface Pending {
  resolve: (result: unknown) => void
  reject: (error: Error) => void
  onProgress: ((progress: Progress) => void) | undefined
}

export interface CallOptions {
  signal?: AbortSignal
  onProgress?: (progress: Progress) => void
}

/** The engine process has ended, and with it what it was asked for. */
export class EngineGone extends Error {
  override readonly name = 'EngineGone'
}

export type EngineMessage = Exclude<FromEngine, { id: number }>

/**
 * One engine process. It keeps the application alive only while something is asked of it, and ends by itself when the
 * application is gone.
 */
export class EngineClient {
  readonly #child: ChildProcess
  readonly #pending = new Map<number, Pending>()
  #next = 1
  #words = ''
  /** Resolves when it has ended, with why. */
  readonly ended: Promise<EngineGone>

  constructor(onMessage: (message: EngineMessage) => void) {
    const child = fork(PROGRAM, [], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      serialization: 'advanced',
      // What the application was started with (inspectors, loaders) is not meant for us.
      execArgv: [],
      // Or glibc keeps memory of its own for each thread: measured, three to five megabytes beside a busy writer.
      env: { MALLOC_ARENA_MAX: '1', ...process.env },
    })
    this.#child = child
    const { stderr } = child
    stderr?.setEncoding('utf8').on('data', (text: string) => (this.#words = (this.#words + text).slice(-LAST_WORDS)))
    ;(stderr as Socket | null)?.unref()
    child.unref()
    child.channel?.unref()
    child.on('message', (message) => {
      const said = message as FromEngine
      if ('id' in said) this.#settle(said)
      else onMessage(said)
    })
    this.ended = new Promise((resolve) => {
      const end = (how: string) => {
        const gone = new EngineGone(`the engine process ended (${how})${this.#words && `: ${this.#words.trim()}`}`)
        for (const { reject } of this.#pending.values()) reject(gone)
        this.#pending.clear()
        resolve(gone)
      }
      child.once('error', (error) => end(error.message))
      child.once('exit', (code, signal) => end(signal ?? `code ${code}`))
    })
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** Asks for something. Errors: its own, `EngineGone`, the signal's reason. */
  async call<Call extends keyof EngineCalls>(
    call: Call,
    args: Parameters<EngineCalls[Call]>,
    { signal, onProgress }: CallOptions = {},
  ): Promise<ReturnType<EngineCalls[Call]>> {
    signal?.throwIfAborted()
    const id = this.#next++
    const cancel = () => {
      this.#send({ cancel: id })
      this.#pending.get(id)?.reject(signal?.reason as Error)
    }
    this.#child.channel?.ref()
    signal?.addEventListener('abort', cancel, { once: true })
    try {
      const answer = new Promise<unknown>((resolve, reject) => this.#pending.set(id, { resolve, reject, onProgress }))
      this.#send({ id, call, arguments: args })
      return (await answer) as ReturnType<EngineCalls[Call]>
    } finally {
      signal?.removeEventListener('abort', cancel)
      this.#pending.delete(id)
      if (this.#pending.size === 0) this.#child.channel?.unref()
    }
  }

  /** Hangs up: it ships what is left and ends. Resolves when it has. */
  async end(): Promise<void> {
    this.#child.ref()
    if (this.#child.connected) this.#child.disconnect()
    await this.ended
  }

  /** Ends it as it is. That loses nothing: commits stay in the database and in the spool. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.ended
  }

  #send(message: ToEngine): void {
    if (!this.#child.connected) {
      const id = 'id' in message ? message.id : message.cancel
      this.#pending.get(id)?.reject(new EngineGone('the engine process has ended'))
      return
    }
    // A failure to send is the end of the process, which is told of by itself.
    this.#child.send(message, () => undefined)
  }

  #settle(answer: EngineAnswer): void {
    const pending = this.#pending.get(answer.id)
    if ('error' in answer) pending?.reject(unpackError(answer.error))
    else if ('progress' in answer) pending?.onProgress?.(answer.progress)
    else pending?.resolve(answer.result)
  }
}
