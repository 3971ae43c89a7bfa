import {
  closeSync,
  existsSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { createDatabase } from '../helpers/databases.js'
import { Violation } from './oracle.js'
import { Random } from './random.js'
import type { Answer } from './sim-store.js'
import { takeOver } from './takeover.js'
import { World, type WorldOptions } from './world.js'
import type { Deed } from './writer-child.js'

const MINUTE = 60_000

export interface ProgrammeOptions {
  seed: number
  folder: string
  /** Steps of the programme. */
  length: number
  /** Whether there are transactions that are larger than what is read in one go. */
  large?: boolean
  /** A defect to plant. */
  sabotage?: string
  /** Whether what is over is deleted; the seed decides by default. */
  upkeep?: boolean
  /** Whether other machines take the database over; the seed decides by default. */
  takeovers?: boolean
  /** Replaces what the seed chose. */
  settings?: Partial<WorldOptions>
}

export interface ProgrammeReport {
  seed: number
  steps: number
  commits: number
  kills: number
  restores: number
  /** Promised points that were looked for in storage. */
  promises: number
  /** Machines that took the database over from another one, and those that were refused. */
  takeovers: number
  refusals: number
  /** What somebody who was given up has changed in storage, and was looked at. */
  looked: number
  requests: readonly string[]
  events: ReadonlyMap<string, number>
}

/** A random world from a seed, and what happens in it. Errors: {@link Violation}, with what happened as `trace`. */
export async function runProgramme(options: ProgrammeOptions): Promise<ProgrammeReport> {
  const programme = new Programme(options)
  try {
    return await programme.run()
  } catch (error) {
    throw Object.assign(error as Error, { trace: programme.world.trace })
  } finally {
    await programme.world.dispose()
  }
}

class Programme {
  readonly world: World
  readonly #random: Random
  readonly #upkeep: boolean
  readonly #takeovers: boolean
  readonly #length: number
  readonly #seed: number
  readonly #pageSize: number
  readonly #large: boolean
  /** Rows to begin with. */
  readonly #first: number
  #blobs = 1
  /** Older copies of the database, to be put in its place. */
  readonly #copies: Buffer[] = []

  constructor({ seed, folder, length, large = false, upkeep, takeovers, sabotage, settings }: ProgrammeOptions) {
    this.#large = large
    this.#seed = seed
    this.#random = new Random(seed)
    this.#length = length
    const random = this.#random
    this.#pageSize = random.pick([512, 1024, 4096, 4096, 4096])
    // Drawn beside the rest: seeds of before there was upkeep do what they did.
    const aside = new Random(seed ^ 0x5eed)
    const several = aside.chance(0.25)
    this.#upkeep = upkeep ?? aside.chance(0.6)
    const storages = settings?.storages ?? (upkeep !== false && several ? 2 : 1)
    // A successor goes on from one storage.
    this.#takeovers = storages === 1 && (takeovers ?? new Random(seed ^ 0xfe4ce).chance(0.4))
    this.world = new World(folder, {
      upkeep: this.#upkeep,
      storages,
      shadow: random.chance(0.75),
      metadata: random.chance(0.6),
      sabotage,
      settings: {
        sync: { interval: random.pick([0, 50, 1000]) },
        checkpoint: { minPages: random.pick([4, 20, 1000]), truncateThreshold: random.pick([60, 2000, 121_359]) },
        snapshot: { interval: random.pick([0, 3000, 3_600_000]) },
        spool: {
          maxSize: random.pick([64 * 1024, 5 * 2 ** 30]),
          cacheMaxSize: random.pick([0, 32 * 1024, 2 ** 30]),
          cacheRetention: random.pick([0, 86_400_000]),
        },
        ltx: { checksums: random.pick(['portable', 'tracked'] as const) },
        ...(this.#upkeep ? upkeepSettings(aside) : {}),
      },
      ...settings,
    })
    createDatabase(this.world.path, {
      pageSize: this.#pageSize,
      autoVacuum: random.pick(['none', 'none', 'full', 'incremental']),
    })
    this.#first = random.pick([0, 20, 100])
  }

  async run(): Promise<ProgrammeReport> {
    const { world } = this
    await this.#do(this.#opening())
    await this.#do({ do: 'insert', rows: this.#first, bytes: 1000, seed: this.#blob() })
    if (this.#random.chance(0.8)) await this.#start()
    for (let step = 0; step < this.#length; step++) {
      if (world.running) await this.#live()
      else await this.#down()
    }
    await this.#finish()
    return {
      seed: this.#seed,
      steps: this.#length,
      commits: world.oracle.now,
      kills: world.kills,
      restores: world.restores,
      promises: world.promises,
      takeovers: world.takeovers,
      refusals: world.refusals,
      looked: world.looked,
      requests: world.requests,
      events: world.events,
    }
  }

  // While the engine runs.

  async #live(): Promise<void> {
    const { world } = this
    const random = this.#random
    const step = random.weighted<() => Promise<unknown>>([
      [40, () => this.#commits()],
      [16, () => this.#pass(random.pick([1, 5, 20, 100, 400]))],
      [8, () => this.#pass(random.pick([1200, 2500, 11_000, 70_000]))],
      [10, () => this.#checkpoint()],
      [7, () => this.#trouble()],
      [4, () => world.tell({ do: 'let-go' })],
      [6, () => this.#hold()],
      [7, () => world.tell({ do: 'kill-in', steps: random.within(1, 60) })],
      [3, () => this.#killNow()],
      [3, () => world.begin('flush')],
      [3, () => world.begin('snapshot')],
      [3, () => this.#flush()],
      [2, () => this.#close()],
      [2, () => this.#clock()],
      [3, () => this.#reader()],
      [2, () => this.#restartApplication()],
      [2, () => this.#replace()],
      [this.#upkeep ? 12 : 0, () => this.#tidy()],
      [this.#upkeep ? 4 : 0, () => world.begin('snapshot')],
      [this.#takeovers ? 40 : 0, () => this.#takeOver()],
    ])
    await step()
    this.#checkHalted()
  }

  /** Some commits, and usually the engine hears of them. */
  async #commits(): Promise<void> {
    for (let i = this.#random.within(1, 4); i > 0; i--) await this.#do(this.#deed())
    if (this.#random.chance(0.9)) await this.world.tell({ do: 'poke' })
    if (this.#random.chance(0.6)) await this.#pass(this.#random.pick([0, 2, 6, 30]))
  }

  async #pass(milliseconds: number): Promise<void> {
    await this.world.tell({ do: 'advance', milliseconds })
  }

  async #checkpoint(): Promise<void> {
    const mode = this.#random.pick(['PASSIVE', 'FULL', 'RESTART', 'TRUNCATE', 'TRUNCATE'] as const)
    await this.#do({ do: 'checkpoint', mode })
    if (this.#random.chance(0.5)) await this.#do(this.#deed())
    if (this.#random.chance(0.5)) await this.world.tell({ do: 'poke' })
  }

  /** The network is bad for the next requests. */
  async #trouble(): Promise<void> {
    const random = this.#random
    const answers: Answer[] = []
    for (let i = random.within(1, 8); i > 0; i--) {
      answers.push(
        random.weighted<Answer>([
          [4, 'go'],
          [3, 'fail'],
          [3, 'lost'],
          [1, 'throttle'],
          [2, 'hold'],
          [1, 'die-before'],
          [1, 'die-after'],
        ]),
      )
    }
    await this.world.tell({ do: 'answers', answers, delay: random.pick([0, 0, 5, 80]) })
  }

  /** Time for merging and deleting, with all that can go wrong meanwhile; then what is promised has to be there. */
  async #tidy(): Promise<void> {
    const { world } = this
    const random = this.#random
    if (random.chance(0.4)) {
      const answers = Array.from({ length: random.within(1, 6) }, () =>
        random.pick<Answer>(['go', 'go', 'fail', 'lost', 'throttle', 'die-before', 'die-after']),
      )
      await world.tell({ do: 'answers', answers, delay: 0, only: 'upkeep' })
    }
    if (random.chance(0.2)) await world.tell({ do: 'kill-in', steps: random.within(1, 80) })
    if (random.chance(0.4)) await world.begin('tidy')
    // What is over stays for five minutes at least.
    if (random.chance(0.6)) await world.tell({ do: 'jump', milliseconds: random.pick([60_000, 310_000, 900_000]) })
    await world.tell({ do: 'poke' })
    await this.#pass(random.pick([3000, 12_000, 45_000]))
    await this.#checkNow()
  }

  /** The engine stands still at some step on files while others go on. */
  async #hold(): Promise<void> {
    const { world } = this
    await world.tell({ do: 'hold-in', steps: this.#random.within(1, 30) })
    await this.#commits()
    await this.#pass(3000)
    if (world.last?.holding) {
      for (let i = this.#random.within(1, 4); i > 0; i--) {
        await this.#do(this.#random.chance(0.3) ? { do: 'checkpoint', mode: 'TRUNCATE' } : this.#deed())
      }
      if (this.#random.chance(0.5)) await world.tell({ do: 'poke' })
      await this.#pass(20)
    }
    await world.tell({ do: 'release' })
  }

  async #killNow(): Promise<void> {
    await this.world.kill()
    await this.#checkNow()
  }

  async #flush(): Promise<void> {
    await this.#calm()
    const error = await this.world.wait(await this.world.begin('flush'), 15 * MINUTE)
    if (error && error !== 'killed' && !this.world.strange) throw new Violation('alive', `flush: ${error.message}`)
    if (!error) await this.#checkNow()
  }

  async #close(): Promise<void> {
    await this.#calm()
    await this.world.close()
    await this.#checkNow()
  }

  async #clock(): Promise<void> {
    const milliseconds = this.#random.pick([-3_600_000, -5000, 5000, 86_400_000])
    await this.world.tell({ do: 'jump', milliseconds })
  }

  async #reader(): Promise<void> {
    await this.#do({ do: 'read' })
    await this.#commits()
    await this.#pass(this.#random.pick([10, 1500]))
    await this.#do({ do: 'read-no-more' })
  }

  async #restartApplication(): Promise<void> {
    const random = this.#random
    if (random.chance(0.4)) await this.world.application({ do: 'close' })
    else {
      if (random.chance(0.5)) await this.#do({ do: 'leave-open', rows: 30, bytes: 900, seed: this.#blob() })
      await this.world.killApplication()
    }
    await this.world.tell({ do: 'poke' })
    await this.#pass(random.pick([0, 5, 1500]))
  }

  /** A user stops the application, puts an older copy in the place of the database, and starts again. */
  async #replace(): Promise<void> {
    const { world } = this
    if (this.#copies.length === 0 || world.strange) return
    await this.#calm()
    await this.#do({ do: 'read-no-more' })
    await world.application({ do: 'close' })
    await world.tell({ do: 'poke' })
    await this.#pass(4000)
    if (!world.running) return
    const copy = this.#random.pick(this.#copies)
    world.trace.push('replaced while it is watched')
    if (this.#random.chance(0.5)) {
      writeFileSync(`${world.path}.next`, copy)
      renameSync(`${world.path}.next`, world.path)
    } else {
      const fd = openSync(world.path, 'r+')
      writeSync(fd, copy, 0, copy.length, 0)
      ftruncateSync(fd, copy.length)
      closeSync(fd)
    }
    await world.tell({ do: 'poke' })
    await this.#pass(this.#random.pick([150, 12_000]))
    await this.#do(this.#deed())
    await world.tell({ do: 'poke' })
    await this.#pass(1000)
  }

  /** Nothing is held up any more. */
  async #calm(): Promise<void> {
    const { world } = this
    await world.tell({ do: 'answers', answers: [], delay: 0 })
    await world.tell({ do: 'let-go' })
    await world.tell({ do: 'release' })
  }

  /** Another machine tries to get the database. */
  async #takeOver(): Promise<void> {
    const { world } = this
    if (world.strange) return
    await this.#calm()
    await takeOver({
      world,
      random: this.#random,
      upkeep: this.#upkeep,
      deed: () => this.#deed(),
      change: () => ({ do: 'insert', rows: 2, bytes: 300, seed: this.#blob() }),
      opening: ({ path }) => this.#opening(path),
    })
    await this.#checkNow()
  }

  #checkHalted(): void {
    const { last, running, strange } = this.world
    if (running && !strange && last?.state === 'halted') throw new Violation('alive', `halted: ${last.error}`)
  }

  // While the engine does not run.

  async #down(): Promise<void> {
    const { world } = this
    const random = this.#random
    const step = random.weighted<() => Promise<unknown>>([
      [10, () => this.#commits()],
      [4, () => this.#checkpoint()],
      [2, () => this.#restartApplication()],
      [2, () => this.#replaceDown()],
      [2, () => this.#powerFailure()],
      [1, () => this.#otherPageSize()],
      [3, () => this.#harmState()],
      [2, () => this.#checkNow()],
      [16, () => this.#start()],
    ])
    await step()
    if (world.running) this.#checkHalted()
  }

  async #start(): Promise<void> {
    const { world } = this
    const random = this.#random
    await world.start()
    if (random.chance(0.3)) await world.tell({ do: 'kill-in', steps: random.within(1, 120) })
    if (random.chance(0.2)) await this.#trouble()
    const token = await world.begin('start')
    if (random.chance(0.3)) await this.#do(this.#deed())
    if (random.chance(0.3)) await this.#calm()
    const error = await world.wait(token, 2 * MINUTE)
    if (error && error !== 'killed') throw new Violation('alive', `it does not start: ${error.code} ${error.message}`)
    await this.#pass(500)
    if (world.last?.state === 'halted' && world.strange) await this.#adopt()
  }

  /** Storage holds what this machine does not know, and it was told so. */
  async #adopt(): Promise<void> {
    const { world } = this
    await world.kill()
    await world.start(true)
    if (!(await world.follow())) return
    await this.#flushWhile()
  }

  async #flushWhile(): Promise<void> {
    const { world } = this
    const error = await world.wait(await world.begin('flush'), 15 * MINUTE)
    if (!error) world.strange = false
    else if (error !== 'killed') throw new Violation('alive', `it does not adopt: ${error.code} ${error.message}`)
  }

  async #replaceDown(): Promise<void> {
    const { world } = this
    if (this.#copies.length === 0) return
    await this.#closeApplication()
    world.trace.push('replaced while nobody watches')
    this.#removeBeside()
    writeFileSync(world.path, this.#random.pick(this.#copies))
    await this.#do(this.#deed())
  }

  async #otherPageSize(): Promise<void> {
    await this.#closeApplication()
    await this.#do({ do: 'page-size', bytes: this.#random.pick([512, 1024, 4096, 8192]) })
  }

  /** The power goes: what was not synced is gone, and everybody with it. */
  async #powerFailure(): Promise<void> {
    const { world } = this
    await this.#do({ do: 'read-no-more' })
    const { said } = await world.application({ do: 'state' })
    const [, log, checkpointed] = JSON.parse(said ?? '[0,0,0]') as number[]
    await world.killApplication()
    const wal = `${world.path}-wal`
    rmSync(`${world.path}-shm`, { force: true })
    const kept = this.#random.within(Math.max(0, checkpointed), Math.max(0, log))
    if (existsSync(wal) && statSync(wal).size > 32) {
      const pageSize = readFileSync(wal).readUInt32BE(8)
      const size = 32 + kept * (24 + pageSize) + this.#random.pick([0, 0, 100])
      if (size < statSync(wal).size) truncateSync(wal, size)
    }
    world.trace.push(`power failure: ${kept} of ${log} frames left, ${checkpointed} of them in the database`)
    const shadow = join(world.stateFolder, 'shadow')
    for (const name of existsSync(shadow) ? readdirSync(shadow).sort() : []) {
      const left = this.#random.pick(['whole', 'damaged', 'gone'] as const)
      if (left === 'gone') rmSync(join(shadow, name))
      if (left === 'damaged') damage(join(shadow, name), this.#random)
    }
    await this.#do(this.#opening())
  }

  /** What lies in the state folder is lost or damaged. */
  async #harmState(): Promise<void> {
    const { world } = this
    if (!existsSync(world.stateFolder)) return
    const names = readdirSync(world.stateFolder, { recursive: true, withFileTypes: true })
    const files = names.filter(
      (entry) => entry.isFile() && !entry.name.startsWith('lock') && !entry.name.startsWith('.'),
    )
    // By name: the folders between have other names in every run.
    files.sort((a, b) => a.name.localeCompare(b.name))
    const harm = this.#random.weighted<'all' | 'one' | 'damage'>([
      [1, 'all'],
      [2, 'one'],
      [3, 'damage'],
    ])
    if (harm === 'all') {
      rmSync(world.stateFolder, { recursive: true })
      world.strange = true
      world.trace.push('state lost')
      return
    }
    const file = files.length > 0 ? this.#random.pick(files) : undefined
    if (!file) return
    const path = join(file.parentPath, file.name)
    world.trace.push(`${harm} ${file.name}`)
    // Without its position a machine knows nothing; without a file in the spool it may know too little.
    if (!file.name.endsWith('.pages') && file.name !== 'pages.crc') world.strange = true
    if (harm === 'one') rmSync(path)
    else damage(path, this.#random)
    await Promise.resolve()
  }

  async #closeApplication(): Promise<void> {
    await this.#do({ do: 'read-no-more' })
    await this.world.application({ do: 'close' })
    // Closed by the last one, so that there is no WAL: unless it was left behind by somebody who was killed.
    await this.#do({ do: 'checkpoint', mode: 'TRUNCATE' })
    await this.world.application({ do: 'close' })
  }

  #removeBeside(): void {
    for (const suffix of ['-wal', '-shm']) rmSync(this.world.path + suffix, { force: true })
  }

  // The application.

  #opening(path = this.world.path): Deed {
    const random = this.#random
    return {
      do: 'open',
      path,
      autocheckpoint: random.pick([0, 10, 1000]),
      synchronous: random.pick(['normal', 'full'] as const),
    }
  }

  async #do(deed: Deed): Promise<void> {
    if (!this.world.machine.opened && deed.do !== 'open') await this.world.application(this.#opening())
    const reply = await this.world.application(deed)
    if (deed.do === 'leave-open') return
    // Whoever closes the database last leaves it whole in one file.
    if (!this.world.running && reply.result === 'ok' && this.#copies.length < 3 && this.#random.chance(0.3)) {
      await this.#copy()
    }
  }

  /** Keeps a copy of the database as it is now: closed by everybody, it is one file. */
  async #copy(): Promise<void> {
    await this.world.application({ do: 'checkpoint', mode: 'TRUNCATE' })
    await this.world.application({ do: 'close' })
    const copy = this.world.copy()
    if (copy && !existsSync(`${this.world.path}-wal`)) this.#copies.push(copy)
    await this.world.application(this.#opening())
  }

  #deed(): Deed {
    const random = this.#random
    const bytes = random.pick([1, 40, 300, 1000, 5000])
    return random.weighted<Deed>([
      [30, { do: 'insert', rows: random.pick([1, 1, 1, 5, 60]), bytes, seed: this.#blob() }],
      [20, { do: 'update', rows: random.pick([1, 1, 3, 40]), bytes, seed: this.#blob() }],
      [4, { do: 'same', rows: random.within(1, 10) }],
      [8, { do: 'delete', rows: random.pick([1, 3, 50, 500]), seed: this.#blob() }],
      [3, { do: 'roll-back', rows: 40, bytes: 1000, seed: this.#blob() }],
      [3, { do: 'savepoint', rows: 20, bytes: 1000, seed: this.#blob() }],
      [3, { do: 'schema', number: random.within(1, 5) }],
      [2, { do: 'drop' }],
      [2, { do: 'vacuum' }],
      [3, { do: 'incremental-vacuum' }],
      // More than is read of a WAL in one go.
      [this.#large ? 6 : 0, { do: 'insert', rows: 70, bytes: 90_000, seed: this.#blob() }],
    ])
  }

  #blob(): number {
    return (this.#blobs += 1000)
  }

  // Checks.

  async #checkNow(): Promise<void> {
    await this.world.checkRestores((points) => [this.#random.pick(points)])
  }

  async #finish(): Promise<void> {
    const { world } = this
    for (let tries = 0; ; tries++) {
      if (tries > 12) throw new Violation('alive', 'it does not come to an end')
      if (!world.running) {
        await world.start(world.strange)
        if (!(await world.follow())) continue
      }
      await this.#calm()
      await this.#do({ do: 'read-no-more' })
      await world.tell({ do: 'poke' })
      const error = await world.wait(await world.begin('flush'), 15 * MINUTE)
      if (error === 'killed') continue
      if (!error) break
      if (!world.strange) throw new Violation('alive', `the last flush: ${error.code} ${error.message}`)
      await world.kill()
    }
    await world.close()
    await world.checkRestores((points) => Array.from({ length: 6 }, () => this.#random.pick(points)))
    await world.checkHistory()
    await world.checkUntouched()
  }
}

/** Windows and times that are over within a world, or those that users have, of which a jump of the clock ends some. */
function upkeepSettings(random: Random): WorldOptions['settings'] {
  const few = () => random.within(0, 2)
  return {
    compaction: {
      afterSnapshot: random.chance(0.5),
      interval: random.pick([0, 20_000]),
      ...(random.chance(0.7)
        ? {
            levels: [2000, 10_000, 60_000],
            keep: random.pick([
              [4000, 20_000, 90_000, 400_000],
              [1000, 1000, 5000, 60_000],
            ]),
          }
        : {}),
    },
    retention: { hourly: few(), daily: few(), weekly: few(), monthly: few() },
  }
}

/** Overwrites some bytes of a file, or cuts it off. */
function damage(path: string, random: Random): void {
  const { size } = statSync(path)
  if (size === 0) return
  if (random.chance(0.4)) {
    truncateSync(path, random.within(0, size - 1))
    return
  }
  const fd = openSync(path, 'r+')
  const length = Math.min(size, random.within(1, 64))
  writeSync(fd, Buffer.alloc(length, random.within(0, 255)), 0, length, random.within(0, size - length))
  closeSync(fd)
}
