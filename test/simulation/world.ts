import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isError } from '../../core/errors.js'
import { Host } from '../../core/host.js'
import type { Inventory } from '../../core/inventory.js'
import { SILENT } from '../../core/log.js'
import { formatChecksum } from '../../core/ltx/checksum.js'
import { LEVEL_SHIPPED, LEVEL_SNAPSHOT } from '../../core/object-keys.js'
import { Remote } from '../../core/remote.js'
import { planRestore, restorablePoints } from '../../core/restore/plan.js'
import { readFile } from '../../core/restore/read-file.js'
import { pointInTime } from '../../core/restore/point-in-time.js'
import { restore } from '../../core/restore/restore.js'
import { DEFAULT_SETTINGS } from '../../core/settings.js'
import { findingText } from '../../core/verify/finding.js'
import { verify } from '../../core/verify/verify.js'
import { EPOCH } from './clock.js'
import { Oracle, Violation } from './oracle.js'
import { promisedPoints, readLedger } from './promises.js'
import type { Command, EngineOptions, Reply, Said } from './protocol.js'
import { QUIET_NETWORK, simStorage } from './sim-store.js'
import type { Deed, DeedReply } from './writer-child.js'

const file = (name: string) => fileURLToPath(new URL(`./${name}.js`, import.meta.url))

/** Resident bytes that the engine may have in these small worlds. */
const MEMORY = 192 * 1024 * 1024

/** The engine as a process, driven by commands. */
class EngineProcess {
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
class Application {
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

export interface WorldOptions extends Omit<EngineOptions, 'path' | 'storages' | 'adopt' | 'clock'> {
  /** How many storages there are. */
  storages: number
}

/** One storage, and what is known of it. */
interface Shelf {
  readonly folder: string
  readonly oracle: Oracle
}

/** Some of what can be chosen from. */
type Choose<T> = (from: readonly T[]) => readonly T[]

/** One database, its application, the engine that follows it, its storages, and what is known of all of them. */
export class World {
  readonly path: string
  readonly shelves: readonly Shelf[]
  /** What happened, for people. */
  readonly trace: string[] = []
  /** Requests as they came, for comparing two runs. */
  readonly requests: string[] = []
  /** Whether the state on this machine was harmed so that it may have to be told to adopt. */
  strange = false
  /** Milliseconds that the wall clock has gone since the first engine began, jumps with it; and the most it ever was. */
  #clock = 0
  #latest = 0
  kills = 0
  restores = 0
  /** Promised points that were looked for. */
  promises = 0
  events = new Map<string, number>()
  last: Reply | undefined
  #engine: EngineProcess | undefined
  #application: Application | undefined
  readonly #options: WorldOptions
  /** What was begun in the engine that runs, by token: the state that was the newest then. */
  readonly #begun = new Map<number, { what: string; state: number }>()
  readonly #ended = new Map<number, { code: string; message: string } | undefined>()

  constructor(
    readonly folder: string,
    options: WorldOptions,
  ) {
    this.path = join(folder, 'app.db')
    this.#options = options
    const states: string[] = []
    this.shelves = Array.from({ length: options.storages }, (_, index) => ({
      folder: join(folder, `storage${index === 0 ? '' : index}`),
      oracle: new Oracle(states),
    }))
    for (const shelf of this.shelves) mkdirSync(shelf.folder, { recursive: true })
  }

  get stateFolder(): string {
    return join(this.folder, '.app.db-walrust')
  }

  get running(): boolean {
    return this.#engine !== undefined
  }

  /** What is known of the first storage, and of the states in any. */
  get oracle(): Oracle {
    return this.shelves[0].oracle
  }

  // The application.

  async application(deed: Deed): Promise<DeedReply> {
    this.#application ??= new Application()
    const reply = await this.#application.tell(deed)
    this.trace.push(`app ${JSON.stringify(deed)} → ${reply.result} ${reply.pages} ${reply.image?.slice(0, 8)}`)
    if (reply.image !== undefined) this.oracle.committed(reply.image)
    return reply
  }

  /** Holds the database against what the application made it. Nobody has written since. */
  async checkUntouched(): Promise<void> {
    const before = this.oracle.newest
    const reply = await this.application({ do: 'check' })
    if (reply.said !== 'ok') throw new Violation('untouched', `SQLite finds the database damaged: ${reply.said}`)
    if (reply.image !== before) throw new Violation('untouched', 'the database is not what the application made it')
  }

  async killApplication(): Promise<void> {
    this.trace.push('app killed')
    await this.#application?.kill()
    this.#application = undefined
  }

  // The engine.

  /** Makes an engine, which waits for commands. */
  async start(adopt = false): Promise<void> {
    this.trace.push(`start${adopt ? ' adopting' : ''}`)
    const storages = this.shelves.map((shelf) => shelf.folder)
    const options = { ...this.#options, path: this.path, storages, adopt, clock: this.#clock }
    this.#engine = new EngineProcess(options, (said) => this.#hear(said))
    this.#begun.clear()
    this.#ended.clear()
    await this.#engine.ready()
  }

  /** Tells the engine to begin, and waits until it follows the database. False if it was killed or refused. */
  async follow(): Promise<boolean> {
    const token = await this.begin('start')
    const error = await this.wait(token, 120_000)
    if (error === 'killed') return false
    if (error) throw new Violation('alive', `the engine does not start: ${error.code} ${error.message}`)
    return true
  }

  /** Gives a command; `undefined` if the engine was killed at it. */
  async tell(command: Command): Promise<Reply | undefined> {
    const engine = this.#engine
    if (!engine) return undefined
    const reply = await engine.tell(command)
    if (!reply) {
      this.trace.push(`engine died at ${JSON.stringify(command)}`)
      if ('milliseconds' in command) this.#passed(this.#clock + command.milliseconds)
      this.kills++
      this.#engine = undefined
      return undefined
    }
    this.last = reply
    this.#passed(reply.wall - EPOCH)
    if (reply.memory > MEMORY) throw new Violation('bounded', `the engine has ${reply.memory} bytes`)
    for (const { token, error } of reply.ended) {
      this.#ended.set(token, error)
      const begun = this.#begun.get(token)
      if (begun?.what === 'flush' && !error) for (const { oracle } of this.shelves) oracle.promised(begun.state)
    }
    return reply
  }

  #passed(clock: number): void {
    this.#clock = clock
    this.#latest = Math.max(this.#latest, clock)
  }

  /** Begins something that takes its time; a token to {@link wait} for, or `undefined` if the engine was killed. */
  async begin(what: 'start' | 'flush' | 'snapshot' | 'tidy' | 'close'): Promise<number | undefined> {
    const token = this.#begun.size + 1
    this.#begun.set(token, { what, state: this.oracle.now })
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
    throw new Violation(
      'alive',
      `${this.#begun.get(token)?.what} does not end: ${this.last?.state} ${this.last?.error}`,
    )
  }

  async kill(): Promise<void> {
    if (!this.#engine) return
    this.trace.push('engine killed')
    this.kills++
    await this.#engine.kill()
    this.#engine = undefined
  }

  /** Lets the engine end as it is meant to. */
  async close(): Promise<void> {
    const error = await this.wait(await this.begin('close'), 60_000)
    this.trace.push(`closed ${JSON.stringify(error)}`)
    await this.#engine?.kill()
    this.#engine = undefined
  }

  async dispose(): Promise<void> {
    await this.#engine?.kill()
    await this.#application?.kill()
  }

  #hear({ level, message, fields }: Said): void {
    if (message === 'request') {
      this.requests.push(`${String(fields.operation)} ${String(fields.key)}`)
      this.trace.push(`  ${String(fields.operation)} ${String(fields.key)}`)
      return
    }
    if (level === 'event') this.events.set(message, (this.events.get(message) ?? 0) + 1)
    else this.trace.push(`  ${level} ${message} ${JSON.stringify(fields)}`)
    if (message !== 'shipped') return
    const shelf = this.shelves.find(({ folder }) => fields.storage === `sim://${folder}`)
    if (!shelf) throw new Violation('alive', `shipped to ${String(fields.storage)}, which nobody knows`)
    shelf.oracle.shipped(Number(fields.txid), String(fields.checksum))
  }

  // Storage.

  async remote({ folder }: Shelf): Promise<Remote> {
    const host = new Host(SILENT)
    host.use(simStorage(QUIET_NETWORK, this.#options.metadata))
    return new Remote(await host.store(`sim://${folder}`), 'app', host.hooks)
  }

  /** Restores a transaction as a user does, and holds it against what is known. */
  async #restore({ oracle }: Shelf, remote: Remote, inventory: Inventory, txid: number): Promise<void> {
    this.restores++
    const target = join(this.folder, 'restored.db')
    rmSync(target, { force: true })
    try {
      const plan = planRestore(inventory, txid, 'app')
      const result = await restore(remote, plan, { target, force: false, integrityCheck: 'quick' })
      const image = createHash('sha256').update(readFileSync(target)).digest('hex')
      oracle.restored(txid, image, result.checksum.toString(16))
      if (txid === inventory.newest) oracle.restoredNewest(txid, image)
    } catch (error) {
      if (error instanceof Violation) throw error
      throw new Violation('durable', `transaction ${txid} cannot be restored: ${(error as Error).message}`)
    }
  }

  /** Restores the newest transaction and some others, and some moments, from each storage; looks at what was promised. */
  async checkRestores(pick: Choose<number>, moments: Choose<number> = pick): Promise<void> {
    for (const shelf of this.shelves) await this.#checkShelf(shelf, pick, moments)
  }

  async #checkShelf(shelf: Shelf, pick: Choose<number>, moments: Choose<number>): Promise<void> {
    const remote = await this.remote(shelf)
    const inventory = await remote.inventory()
    if (inventory.size === 0) {
      if (shelf.oracle.reported.length > 0) throw new Violation('durable', 'storage is empty')
      return
    }
    const points = restorablePoints(inventory)
    if (points.at(-1) !== inventory.newest) throw new Violation('durable', 'the newest transaction cannot be restored')
    for (const txid of new Set([...pick(points), inventory.newest])) {
      await this.#restore(shelf, remote, inventory, txid)
    }
    this.#checkPromised(shelf, inventory, points)
    await this.#checkMoments(shelf, remote, inventory, points, moments)
  }

  /** Every point that is promised is there, and what is not there is refused. */
  #checkPromised({ folder }: Shelf, inventory: Inventory, points: readonly number[]): void {
    const promised = promisedPoints(readLedger(folder, 'app'), this.#kept, EPOCH + this.#latest)
    const there = new Set(points)
    for (let txid = 1; txid <= inventory.newest; txid++) {
      if (there.has(txid)) continue
      if (promised.has(txid)) throw new Violation('promised', `transaction ${txid} is promised and cannot be restored`)
      try {
        planRestore(inventory, txid, 'app')
      } catch (error) {
        if (isError(error, 'E_POINT_UNAVAILABLE')) continue
        throw error
      }
      throw new Violation('promised', `transaction ${txid} is not there, and something is given for it`)
    }
    this.promises += promised.size
  }

  /** What may be let go. Without upkeep nothing may. */
  get #kept(): Parameters<typeof promisedPoints>[1] {
    const { upkeep, settings } = this.#options
    return {
      compaction: { ...DEFAULT_SETTINGS.compaction, ...settings.compaction },
      retention: upkeep ? ({ ...DEFAULT_SETTINGS.retention, ...settings.retention } as never) : false,
    }
  }

  async #checkMoments(
    { folder }: Shelf,
    remote: Remote,
    inventory: Inventory,
    points: readonly number[],
    pick: Choose<number>,
  ): Promise<void> {
    const { times, gaps } = readLedger(folder, 'app')
    const now = EPOCH + this.#clock
    const at = (txid: number) => times.get(txid) ?? Infinity
    const known = points.map(at)
    for (const moment of pick([...known, ...known.map((time) => time - 1), ...known.map((time) => time + 1), now])) {
      const after = points.find((txid) => at(txid) > moment)
      const wanted = points.filter((txid) => at(txid) <= moment).at(-1)
      let found: number | undefined
      try {
        found = await pointInTime(remote, inventory, moment, { now })
      } catch (error) {
        if (!isError(error, 'E_POINT_UNAVAILABLE')) throw error
      }
      // Commits that were found by comparing may have been there at any moment since the state before them. A merged
      // file knows of those in all of it; of those that are between two points, and nowhere else, nobody knows.
      const unseen = [...gaps].some(
        ([txid, since]) => txid > (wanted ?? 0) && after !== undefined && txid <= after && moment > since,
      )
      const expected = moment > now || unseen ? undefined : wanted
      if (found !== expected && !(found === wanted && after !== undefined && !gaps.has(after))) {
        const text = `${new Date(moment).toISOString()} leads to transaction ${found}, and ${expected} is right`
        throw new Violation('timed', text)
      }
    }
  }

  /** Goes through the whole history of each storage and holds each state against what is known. */
  async checkHistory(): Promise<void> {
    for (const shelf of this.shelves) {
      const remote = await this.remote(shelf)
      const inventory = await remote.inventory()
      if (this.#options.upkeep) {
        for (const txid of restorablePoints(inventory)) await this.#restore(shelf, remote, inventory, txid)
      } else await this.#checkEvery(shelf, remote, inventory)
      shelf.oracle.checkOrder()
      const { findings } = await verify(remote)
      if (findings.length > 0) throw new Violation('verified', findings.map(findingText).join('; '))
    }
  }

  /** One file after the other: nothing was let go. */
  async #checkEvery({ oracle }: Shelf, remote: Remote, inventory: Inventory): Promise<void> {
    const base = inventory.level(LEVEL_SNAPSHOT).find(({ maxTxid }) => maxTxid === 1)
    const files = inventory.level(LEVEL_SHIPPED)
    let image = Buffer.alloc(0)
    let reached = 0
    for (const stored of base ? [base, ...files] : []) {
      if (stored.maxTxid !== ++reached) throw new Violation('kept', `transaction ${reached} is not there`)
      const facts = await remote.facts(stored)
      let pageSize = 0
      const header = await readFile(remote, stored, await remote.ltx(stored, facts.codecs), {
        begin: (header) => {
          pageSize = header.pageSize
          image = resized(image, header.commit * pageSize)
        },
        page: (page, bytes) => {
          image.set(bytes, (page - 1) * pageSize)
        },
      })
      const sum = createHash('sha256').update(image).digest('hex')
      oracle.restored(stored.maxTxid, sum, formatChecksum(header.post))
    }
  }

  /** A copy of the database as it lies there: nobody may have it open. */
  copy(): Buffer | undefined {
    return existsSync(this.path) ? readFileSync(this.path) : undefined
  }
}

function resized(image: Buffer, size: number): Buffer<ArrayBuffer> {
  const next = Buffer.alloc(size)
  image.copy(next, 0, 0, Math.min(size, image.length))
  return next
}
