import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Violation } from './oracle.js'
import type { Command, EngineOptions, Reply, Said } from './protocol.js'
import type { Deed, DeedReply } from './writer-child.js'

const file = (name: string) => fileURLToPath(new URL(`./${name}.js`, import.meta.url))

/** The engine as a process, driven by commands. */
export class EngineProcess {
  readonly child: ChildProcess
  readonly said: Said[] = []
  readonly #gone: Promise<unknown>
  #id = 0
  #errors = ''
  #reply: ((reply: Reply | undefined) => void) | undefined
  #ready: (() => void) | undefined

  constructor(
    options: EngineOptions,
    readonly hear: (said: Said) => void,
  ) {
    this.child = fork(file('engine-child'), [JSON.stringify(options)], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
    this.child.stderr?.on('data', (data: Buffer) => (this.#errors += data.toString()))
    this.child.on('message', (message: Reply | Said) => {
      if ('id' in message) this.#reply?.(message)
      else this.#hear(message)
    })
    this.#gone = once(this.child, 'close').then(() => {
      this.#ready?.()
      this.#reply?.(undefined)
    })
  }

  async ready(): Promise<void> {
    if (!this.said.some(({ message }) => message === 'ready')) {
      await new Promise<void>((resolve) => (this.#ready = resolve))
    }
    this.#check()
  }

  /** What came of a command; `undefined` if the process was killed at it. */
  async tell(command: Command): Promise<Reply | undefined> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return undefined
    const reply = await new Promise<Reply | undefined>((resolve) => {
      this.#reply = resolve
      this.child.send({ id: ++this.#id, command }, (error) => error && resolve(undefined))
    })
    if (!reply) await this.#gone
    this.#check()
    return reply
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL')
    await this.#gone
  }

  #hear(said: Said): void {
    this.said.push(said)
    if (said.message === 'ready') this.#ready?.()
    else this.hear(said)
  }

  /** A process that ends by itself has met a defect. */
  #check(): void {
    const { exitCode } = this.child
    if (exitCode !== null && exitCode !== 0)
      throw new Violation('alive', `the engine ended with ${exitCode}: ${this.#errors}`)
  }
}

/** The application as a process. */
export class Application {
  readonly child: ChildProcess
  readonly #gone: Promise<unknown>
  #errors = ''

  constructor() {
    this.child = fork(file('writer-child'), [], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
    this.child.stderr?.on('data', (data: Buffer) => (this.#errors += data.toString()))
    this.#gone = once(this.child, 'close')
  }

  async tell(deed: Deed): Promise<DeedReply> {
    this.child.send(deed)
    const [reply] = (await Promise.race([
      once(this.child, 'message'),
      this.#gone.then(() => {
        throw new Violation('untouched', `the application ended at ${JSON.stringify(deed)}: ${this.#errors}`)
      }),
    ])) as [DeedReply]
    return reply
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL')
    await this.#gone
  }
}
