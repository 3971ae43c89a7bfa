import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { EPOCH } from './clock.js'
import { Violation } from './oracle.js'
import { Application, EngineProcess } from './processes.js'
import type { Command, EngineOptions, Reply, Said } from './protocol.js'
import type { Deed, DeedReply } from './writer-child.js'

/** Resident bytes that the engine may have in these small worlds. */
const MEMORY = 192 * 1024 * 1024

/** Something that was begun. */
export interface Begun {
  what: string
  /** The newest state of all then. */
  state: number
  /** What the database on that machine was then. */
  image: string | undefined
}

/** What a machine tells the world it is in. */
export interface Surroundings {
  readonly trace: string[]
  /** Something that the engine says by itself. */
  heard(machine: Machine, said: Said): void
  /** The application has made the database this. */
  committed(machine: Machine, image: string): void
  /** Number of the newest state of all. */
  readonly now: number
  /** Everything that was committed when a flush was begun was reported as durable. */
  flushed(machine: Machine, begun: Begun): void
  /** The engine was killed. */
  died(): void
  /** Something was done, and time may have passed. */
  passed(machine: Machine): void
}

/** A machine that has a copy of the database, with an application and the engine that follows it. */
export class Machine {
  readonly path: string
  /** Whether the application has the database open. */
  opened = false
  /** SHA-256 of what the application last made the database. */
  newest: string | undefined
  /** Milliseconds that the wall clock has gone since the first engine of all began, jumps with it. */
  clock: number
  last: Reply | undefined
  #engine: EngineProcess | undefined
  #application: Application | undefined
  readonly #world: Surroundings
  readonly #options: EngineOptions
  /** What was begun in the engine that runs, by token: the state that was the newest then. */
  readonly #begun = new Map<number, Begun>()
  readonly #ended = new Map<number, { code: string; message: string } | undefined>()

  /**
   * @param number from 0
   * @param options of its engines
   */
  constructor(
    folder: string,
    readonly number: number,
    options: Omit<EngineOptions, 'path' | 'machine' | 'adopt'>,
    world: Surroundings,
  ) {
    mkdirSync(folder, { recursive: true })
    this.path = join(folder, 'app.db')
    this.#options = { ...options, path: this.path, machine: number, adopt: false }
    this.clock = options.clock
    this.#world = world
  }

  get stateFolder(): string {
    return join(this.path, '../.app.db-walrust')
  }

  get running(): boolean {
    return this.#engine !== undefined
  }

  // The application.

  async application(deed: Deed): Promise<DeedReply> {
    this.#application ??= new Application()
    if (deed.do === 'open') this.opened = true
    if (deed.do === 'close') this.opened = false
    const reply = await this.#application.tell(deed)
    this.#trace(`app ${JSON.stringify(deed)} → ${reply.result} ${reply.pages} ${reply.image?.slice(0, 8)}`)
    if (reply.image !== undefined) {
      this.newest = reply.image
      this.#world.committed(this, reply.image)
    }
    return reply
  }

  async killApplication(): Promise<void> {
    this.#trace('app killed')
    this.opened = false
    await this.#application?.kill()
    this.#application = undefined
  }

  // The engine.

  /** Makes an engine, which waits for commands. */
  async start(adopt = false): Promise<void> {
    this.#trace(`start${adopt ? ' adopting' : ''}`)
    const options = { ...this.#options, adopt, clock: this.clock }
    this.#engine = new EngineProcess(options, (said) => this.#world.heard(this, said))
    this.#begun.clear()
    this.#ended.clear()
    await this.#engine.ready()
  }

  /** Gives a command; `undefined` if the engine was killed at it. */
  async tell(command: Command): Promise<Reply | undefined> {
    const engine = this.#engine
    if (!engine) return undefined
    const reply = await engine.tell(command)
    if (!reply) {
      this.#trace(`engine died at ${JSON.stringify(command)}`)
      if ('milliseconds' in command) this.clock += command.milliseconds
      this.#world.died()
      this.#engine = undefined
      this.#world.passed(this)
      return undefined
    }
    this.last = reply
    this.clock = reply.wall - EPOCH
    this.#world.passed(this)
    if (reply.memory > MEMORY) throw new Violation('bounded', `the engine has ${reply.memory} bytes`)
    for (const { token, error } of reply.ended) {
      this.#ended.set(token, error)
      const begun = this.#begun.get(token)
      if (begun?.what === 'flush' && !error) this.#world.flushed(this, begun)
    }
    return reply
  }

  /** Begins something that takes its time; a token to {@link wait} for, or `undefined` if the engine was killed. */
  async begin(what: 'start' | 'flush' | 'snapshot' | 'tidy' | 'close'): Promise<number | undefined> {
    const token = this.#begun.size + 1
    this.#begun.set(token, { what, state: this.#world.now, image: this.newest })
    return (await this.tell({ do: what })) && token
  }

  /**
   * Lets time pass until something has ended.
   *
   * @param most virtual milliseconds. Errors: `alive`
   */
  async wait(
    token: number | undefined,
    most: number,
  ): Promise<'killed' | { code: string; message: string } | undefined> {
    if (token === undefined) return 'killed'
    for (let passed = 0; passed < most; passed += 250) {
      if (this.#ended.has(token)) return this.#ended.get(token)
      if (!(await this.tell({ do: 'advance', milliseconds: 250 }))) return 'killed'
    }
    const what = this.#begun.get(token)?.what
    throw new Violation('alive', `${what} does not end: ${this.last?.state} ${this.last?.error}`)
  }

  async kill(): Promise<void> {
    if (!this.#engine) return
    this.#trace('engine killed')
    this.#world.died()
    await this.#engine.kill()
    this.#engine = undefined
  }

  /** Lets the engine end as it is meant to. */
  async close(): Promise<void> {
    const error = await this.wait(await this.begin('close'), 60_000)
    this.#trace(`closed ${JSON.stringify(error)}`)
    await this.#engine?.kill()
    this.#engine = undefined
  }

  /** The machine is gone, and everybody on it. */
  async dispose(): Promise<void> {
    await this.#engine?.kill()
    await this.#application?.kill()
    this.#engine = this.#application = undefined
    this.opened = false
  }

  #trace(text: string): void {
    this.#world.trace.push(this.number === 0 ? text : `machine ${this.number}: ${text}`)
  }
}
