import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { isError } from '../../core/errors.js'
import { Host } from '../../core/host.js'
import type { Inventory } from '../../core/inventory.js'
import { SILENT } from '../../core/log.js'
import { formatChecksum } from '../../core/ltx/checksum.js'
import { LEVEL_SHIPPED, LEVEL_SNAPSHOT } from '../../core/object-keys.js'
import { Remote } from '../../core/remote.js'
import { rememberRestored } from '../../core/restore/note-restored.js'
import { planRestore, restorablePoints } from '../../core/restore/plan.js'
import { readFile } from '../../core/restore/read-file.js'
import { pointInTime } from '../../core/restore/point-in-time.js'
import { restore } from '../../core/restore/restore.js'
import { DEFAULT_SETTINGS } from '../../core/settings.js'
import { findingText } from '../../core/verify/finding.js'
import { verify } from '../../core/verify/verify.js'
import { EPOCH } from './clock.js'
import { type Begun, Machine, type Surroundings } from './machine.js'
import { Oracle, Violation } from './oracle.js'
import { promisedPoints, readLedger } from './promises.js'
import type { Command, EngineOptions, Reply, Said } from './protocol.js'
import { Rivals } from './rivals.js'
import { QUIET_NETWORK, simStorage } from './sim-store.js'
import type { Deed, DeedReply } from './writer-child.js'

export interface WorldOptions extends Omit<EngineOptions, 'path' | 'machine' | 'storages' | 'adopt' | 'clock'> {
  /** How many storages there are. */
  storages: number
}

/** One storage, and what is known of it. */
interface Shelf {
  readonly folder: string
  readonly oracle: Oracle
  readonly rivals: Rivals
}

/** Some of what can be chosen from. */
type Choose<T> = (from: readonly T[]) => readonly T[]

/** One database, the machines that have it one after the other, its storages, and what is known of all of them. */
export class World implements Surroundings {
  readonly shelves: readonly Shelf[]
  /** What happened, for people. */
  readonly trace: string[] = []
  /** Requests as they came, for comparing two runs. */
  readonly requests: string[] = []
  /** The machine that has the database, and the one that had it before, as long as it is there. */
  machine: Machine
  before: Machine | undefined
  /** Whether the state on this machine was harmed so that it may have to be told to adopt. */
  strange = false
  /** The most that any wall clock has gone since the first engine began, milliseconds. */
  #latest = 0
  kills = 0
  restores = 0
  /** Promised points that were looked for. */
  promises = 0
  /** Machines that took the database over from one that slept, and those that were refused. */
  takeovers = 0
  refusals = 0
  events = new Map<string, number>()
  readonly #options: WorldOptions
  /** Every state that was committed, in order. */
  readonly #states: string[] = []
  #machines = 0
  /** The transaction that the newest machine got, and what the database was on the one before it then. */
  #moved: { txid: number; image: string | undefined } | undefined
  /** What was found while nobody could be told. */
  #broken: unknown

  constructor(
    readonly folder: string,
    options: WorldOptions,
  ) {
    this.#options = options
    this.shelves = Array.from({ length: options.storages }, (_, index) => ({
      folder: join(folder, `storage${index === 0 ? '' : index}`),
      oracle: new Oracle(this.#states),
      rivals: new Rivals('app'),
    }))
    for (const shelf of this.shelves) mkdirSync(shelf.folder, { recursive: true })
    this.machine = this.#newMachine(folder, 0)
  }

  get path(): string {
    return this.machine.path
  }

  get stateFolder(): string {
    return this.machine.stateFolder
  }

  get running(): boolean {
    return this.machine.running
  }

  get last(): Reply | undefined {
    return this.machine.last
  }

  /** What is known of the first storage, and of the states in any. */
  get oracle(): Oracle {
    return this.shelves[0].oracle
  }

  get now(): number {
    return this.#states.length - 1
  }

  /** The most that was looked at in any storage while two machines had the database. */
  get looked(): number {
    return Math.max(...this.shelves.map(({ rivals }) => rivals.looked))
  }

  // The application.

  async application(deed: Deed): Promise<DeedReply> {
    return await this.machine.application(deed)
  }

  committed(machine: Machine, image: string): void {
    this.oracle.committed(image)
    // Of two databases, that of the machine which has it now is the newer one.
    if (machine !== this.machine && this.machine.newest !== undefined) this.oracle.committed(this.machine.newest)
  }

  /** Holds the database against what the application made it. Nobody has written since. */
  async checkUntouched(): Promise<void> {
    const before = this.oracle.newest
    const reply = await this.application({ do: 'check' })
    if (reply.said !== 'ok') throw new Violation('untouched', `SQLite finds the database damaged: ${reply.said}`)
    if (reply.image !== before) throw new Violation('untouched', 'the database is not what the application made it')
  }

  async killApplication(): Promise<void> {
    await this.machine.killApplication()
  }

  // The engine.

  /** Makes an engine, which waits for commands. */
  async start(adopt = false): Promise<void> {
    await this.machine.start(adopt)
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
    return await this.machine.tell(command)
  }

  async begin(what: Parameters<Machine['begin']>[0]): Promise<number | undefined> {
    return await this.machine.begin(what)
  }

  async wait(token: number | undefined, most: number): ReturnType<Machine['wait']> {
    return await this.machine.wait(token, most)
  }

  async kill(): Promise<void> {
    await this.machine.kill()
  }

  /** Lets the engine end as it is meant to. */
  async close(): Promise<void> {
    await this.machine.close()
  }

  async dispose(): Promise<void> {
    await this.machine.dispose()
    await this.before?.dispose()
  }

  died(): void {
    this.kills++
  }

  passed(machine: Machine): void {
    this.#latest = Math.max(this.#latest, machine.clock)
    for (const { folder, rivals } of this.shelves) rivals.read(folder)
    if (this.#broken) throw this.#broken as Error
  }

  flushed(machine: Machine, { state, image }: Begun): void {
    if (machine === this.machine) for (const { oracle } of this.shelves) oracle.promised(state)
    else if (this.#moved && image !== this.#moved.image && this.shelves[0].rivals.since === this.#moved.txid + 1) {
      throw new Violation('fenced', `machine ${machine.number}, which was given up, says that all of it is durable`)
    }
  }

  heard(machine: Machine, said: Said): void {
    try {
      this.#hear(machine, said)
    } catch (error) {
      // It came by itself: whoever asks next is told.
      this.#broken ??= error
    }
  }

  #hear(machine: Machine, { level, message, fields }: Said): void {
    const who = machine.number === 0 ? '' : `${machine.number} `
    if (message === 'request') {
      this.requests.push(`${who}${String(fields.operation)} ${String(fields.key)}`)
      this.trace.push(`  ${who}${String(fields.operation)} ${String(fields.key)}`)
      return
    }
    if (level === 'event') this.events.set(message, (this.events.get(message) ?? 0) + 1)
    else this.trace.push(`  ${who}${level} ${message} ${JSON.stringify(fields)}`)
    if (message !== 'shipped') return
    const shelf = this.shelves.find(({ folder }) => fields.storage === `sim://${folder}`)
    if (!shelf) throw new Violation('alive', `shipped to ${String(fields.storage)}, which nobody knows`)
    shelf.rivals.read(shelf.folder)
    shelf.rivals.shipped(machine.number, Number(fields.txid))
    shelf.oracle.shipped(Number(fields.txid), String(fields.checksum))
  }

  #newMachine(folder: string, clock: number): Machine {
    const storages = this.shelves.map((shelf) => shelf.folder)
    return new Machine(folder, this.#machines++, { ...this.#options, storages, clock }, this)
  }

  // Machines.

  /**
   * Another machine gets the database as it is in the first storage, by a restore, and is the one that has it from now
   * on; the one that had it stays as it is.
   *
   * @param known whether it is noted there that the database was restored
   * @returns false if there is nothing to restore
   */
  async move(known: boolean): Promise<boolean> {
    const next = this.#newMachine(join(this.folder, `machine${this.#machines}`), this.machine.clock)
    const remote = await this.remote(this.shelves[0])
    const inventory = await remote.inventory()
    if (inventory.size === 0) return false
    const plan = planRestore(inventory, inventory.newest, 'app')
    const { txid, checksum } = await restore(remote, plan, { target: next.path, force: false, integrityCheck: 'quick' })
    const place = { name: 'app', path: next.path, settings: DEFAULT_SETTINGS }
    if (known) await rememberRestored({ ...place, checksum, stores: [remote.store], hooks: remote.hooks })
    this.trace.push(`machine ${next.number} has the database of transaction ${txid}${known ? ', and knows it' : ''}`)
    await this.before?.dispose()
    this.#moved = { txid, image: this.machine.newest }
    this.before = this.machine
    this.machine = next
    return true
  }

  /** The machine that had the database has it still: the other one is given up. */
  async stay(): Promise<void> {
    if (!this.before) return
    await this.machine.dispose()
    this.machine = this.before
    this.before = undefined
    if (this.machine.newest !== undefined) this.oracle.committed(this.machine.newest)
  }

  /** The machine that had the database before is gone. */
  async forget(): Promise<void> {
    await this.before?.dispose()
    this.before = undefined
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
    const now = EPOCH + this.machine.clock
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
