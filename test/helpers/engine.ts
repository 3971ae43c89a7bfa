import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { WalrustEvent } from '../../core/events.js'
import type { EngineStatus } from '../../core/status.js'
import type { EngineCommand, EngineSetup, Fault } from './engine-process.js'
import { assertMatches } from './schemas.js'

const PROGRAM = fileURLToPath(new URL('./engine-process.js', import.meta.url))

interface Message {
  event?: WalrustEvent
  log?: { level: string; message: string; [field: string]: unknown }
  answer?: number
  value?: unknown
  error?: string
  ready?: boolean
  failed?: string
}

type Unnumbered<T> = T extends unknown ? Omit<T, 'id'> : never

/** An engine in a process of its own. What it has to say of its databases is heard here as it is said there. */
export class EngineProcess {
  readonly child: ChildProcess
  readonly events: WalrustEvent[] = []
  readonly logs: Array<{ level: string; message: string; [field: string]: unknown }> = []
  /** The code or message of what kept it from starting. */
  failed: string | undefined
  #changed: Array<() => void> = []
  #ready = false
  #next = 1
  #ended = false
  readonly #answers = new Map<number, (message: Message) => void>()
  readonly #exit: Promise<unknown>

  constructor(setup: EngineSetup, env: NodeJS.ProcessEnv = {}) {
    this.child = fork(PROGRAM, [JSON.stringify(setup)], { env: { ...process.env, ...env } })
    this.child.on('message', (message: Message) => this.#take(message))
    this.#exit = once(this.child, 'close').then(() => {
      this.#ended = true
      this.#notify()
    })
  }

  static async start(setup: EngineSetup, env?: NodeJS.ProcessEnv): Promise<EngineProcess> {
    const engine = new EngineProcess(setup, env)
    await engine.until(() => engine.#ready || engine.failed !== undefined, 'it has started')
    return engine
  }

  /** Resolves when something holds; asked whenever something was heard. */
  async until(test: () => boolean, what: string): Promise<void> {
    while (!test()) {
      if (this.#ended) throw new Error(`the engine ended before ${what}: ${this.tail()}`)
      await new Promise<void>((resolve) => this.#changed.push(resolve))
    }
  }

  /** Resolves with the first event of a kind, past or future, after the first `skip` of them. */
  async event(name: WalrustEvent['event'], skip = 0): Promise<WalrustEvent> {
    const found = () => this.events.filter(({ event }) => event === name).at(skip)
    await this.until(() => found() !== undefined, `event ${name}`)
    return found()!
  }

  /** Resolves with the first log line, past or future, with that message. */
  async line(message: string): Promise<Record<string, unknown>> {
    const found = () => this.logs.find((line) => line.message === message)
    await this.until(() => found() !== undefined, `"${message}"`)
    return found()!
  }

  /** Resolves with the status as soon as it passes the test. */
  async statusWhen(test: (status: EngineStatus) => boolean): Promise<EngineStatus> {
    for (;;) {
      const status = await this.status()
      if (test(status)) return status
      await new Promise((resolve) => setTimeout(resolve, 25))
    }
  }

  async status(): Promise<EngineStatus> {
    return (await this.ask({ do: 'status' })) as EngineStatus
  }

  async flush(): Promise<void> {
    await this.ask({ do: 'flush' })
  }

  async fault(fault: Fault): Promise<void> {
    await this.ask({ do: 'fault', fault })
  }

  async snapshot(name: string): Promise<void> {
    await this.ask({ do: 'snapshot', name })
  }

  /** Drains and ends it. Returns the codes of what was not shipped. */
  async close(): Promise<string[]> {
    const codes = (await this.ask({ do: 'close' })) as string[]
    await this.#exit
    return codes
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL')
    await this.#exit
  }

  async ask(command: Unnumbered<EngineCommand>): Promise<unknown> {
    const id = this.#next++
    const answer = await new Promise<Message>((resolve, reject) => {
      this.#answers.set(id, resolve)
      this.child.send({ ...command, id })
      void this.#exit.then(() => reject(new Error(`the engine ended: ${this.tail()}`)))
    })
    if (answer.error !== undefined) throw new Error(answer.error)
    return answer.value
  }

  tail(): string {
    return this.logs
      .slice(-12)
      .map((line) => JSON.stringify(line))
      .join('\n')
  }

  #take(message: Message): void {
    if (message.event) {
      assertMatches('event.json', message.event)
      this.events.push(message.event)
    }
    if (message.log) this.logs.push(message.log)
    if (message.ready) this.#ready = true
    this.failed = message.failed ?? this.failed
    if (message.answer !== undefined) {
      this.#answers.get(message.answer)?.(message)
      this.#answers.delete(message.answer)
    }
    this.#notify()
  }

  #notify(): void {
    for (const resolve of this.#changed.splice(0)) resolve()
  }
}
