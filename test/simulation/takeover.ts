import type { Machine } from './machine.js'
import { Violation } from './oracle.js'
import type { RequestKind } from './protocol.js'
import type { Random } from './random.js'
import type { Answer } from './sim-store.js'
import type { World } from './world.js'
import type { Deed } from './writer-child.js'

const MINUTE = 60_000
/** Virtual milliseconds between two looks. */
const TICK = 250
/** Who retries has a circuit breaker that rests for a minute, and pauses of half a minute. */
const PATIENCE = 5 * MINUTE
/** After so many starts of a successor nothing gets in its way any more. */
const TROUBLED = 4

/** What a programme lends to a takeover. */
export interface Hands {
  readonly world: World
  readonly random: Random
  /** Whether files are removed in this world. */
  readonly upkeep: boolean
  /** Some transaction, and one that certainly changes something. */
  deed(): Deed
  change(): Deed
  opening(machine: Machine): Deed
}

/** How the one that has the database is while another machine tries to get it. */
type Sleep = 'awake' | 'stopped' | 'cut off'

/**
 * One machine is stopped, or cut off, at some request to storage, and another one gets the database. What was under way
 * arrives at some moment; at the end the first one wakes up. Exactly one of the two may ship then, and which one that is
 * has to be the same for everybody.
 */
export async function takeOver(hands: Hands): Promise<void> {
  const { world, random } = hands
  const sleep = random.weighted<Sleep>([
    [2, 'awake'],
    [4, 'stopped'],
    [4, 'cut off'],
  ])
  if (sleep !== 'awake' && !(await fallAsleep(hands))) return
  if (!(await world.move(random.chance(0.6))) || !world.before) {
    await world.tell({ do: 'wake' })
    return
  }
  await new Takeover(hands, world.before, world.machine, sleep).run()
}

/** Lets the machine that has the database fall asleep at a request. False if it did not come to that. */
async function fallAsleep(hands: Hands): Promise<boolean> {
  const { world, random } = hands
  const { machine } = world
  const busy = random.weighted<'commits' | 'flush' | 'snapshot' | 'tidy'>([
    [4, 'commits'],
    [1, 'flush'],
    [2, 'snapshot'],
    [hands.upkeep ? 6 : 0, 'tidy'],
  ])
  if (busy === 'tidy') await world.tell({ do: 'jump', milliseconds: random.pick([60_000, 310_000]) })
  const of = random.weighted<RequestKind>([
    [busy === 'tidy' ? 2 : 5, 'any'],
    [busy === 'tidy' ? 6 : 0, 'delete'],
    [6, 'ship'],
    [1, 'beside'],
  ])
  const requests = random.within(1, of === 'any' ? 12 : 3)
  await world.tell({ do: 'sleep-in', requests, of, arrives: random.chance(0.4) })
  if (busy !== 'commits') await world.begin(busy)
  for (let i = 0; i < 40; i++) {
    if (world.last?.asleep) return true
    if (random.chance(0.5)) await commit(hands, machine, hands.deed())
    await world.tell({ do: 'poke' })
    if (!(await world.tell({ do: 'advance', milliseconds: random.pick([5, 300, 2000]) }))) return false
  }
  await world.tell({ do: 'wake' })
  return false
}

async function commit(hands: Hands, machine: Machine, deed: Deed): Promise<void> {
  if (!machine.opened) await machine.application(hands.opening(machine))
  await machine.application(deed)
}

class Takeover {
  readonly #hands: Hands
  readonly #old: Machine
  readonly #next: Machine
  #sleep: Sleep
  readonly #alwaysAwake: boolean
  /** Whether something of the old one has arrived since the new one was started. */
  #arrived = false

  constructor(hands: Hands, old: Machine, next: Machine, sleep: Sleep) {
    this.#hands = hands
    this.#old = old
    this.#next = next
    this.#sleep = sleep
    this.#alwaysAwake = sleep === 'awake'
  }

  async run(): Promise<void> {
    const { world, random } = this.#hands
    for (let i = random.within(0, 2); i > 0; i--) await this.#commit(this.#next)
    if (random.chance(0.5)) await this.#commit(this.#old)
    if (!(await this.#succeed())) {
      world.refusals++
      await world.stay()
      return
    }
    world.takeovers++
    await this.#goOn()
    await this.#wakeUp()
    if (this.#old.running && random.chance(0.4)) await this.#comeBack()
    await world.forget()
  }

  /** Starts the new machine until it ships. False if it was refused because the old one is alive. */
  async #succeed(): Promise<boolean> {
    let adopt = false
    for (let tries = 0; tries < 3 * TROUBLED; tries++) {
      await this.#begin(adopt, tries < TROUBLED)
      const outcome = await this.#watch()
      if (outcome === 'ships') return true
      await this.#next.kill()
      if (outcome === 'killed') continue
      if (outcome === 'E_STALE_MACHINE') adopt = true
      else if (outcome !== 'E_FENCED') throw new Violation('alive', `halted: ${outcome} ${this.#next.last?.error}`)
      else if (this.#sleep === 'awake') return false
      else if (!this.#arrived) throw new Violation('alive', 'refused, though the other machine is silent')
    }
    throw new Violation('alive', 'nobody gets the database')
  }

  async #begin(adopt: boolean, trouble: boolean): Promise<void> {
    const { random } = this.#hands
    const next = this.#next
    this.#arrived = false
    await next.start(adopt)
    if (trouble && random.chance(0.25)) await next.tell({ do: 'kill-in', steps: random.within(1, 100) })
    if (trouble && random.chance(0.2)) {
      const answers = Array.from({ length: random.within(1, 8) }, () =>
        random.pick<Answer>(['go', 'go', 'fail', 'lost', 'throttle', 'die-before', 'die-after']),
      )
      await next.tell({ do: 'answers', answers, delay: 0 })
    }
    // Between any two of its requests the other one may do something.
    if (random.chance(0.5)) {
      await next.tell({ do: 'sleep-in', requests: random.within(1, 16), of: 'any', arrives: random.chance(0.3) })
    }
    await next.begin('start')
  }

  /** Lets time pass until it is known what comes of the new machine. */
  async #watch(): Promise<string> {
    const { world, random } = this.#hands
    const next = this.#next
    const [{ rivals }] = world.shelves
    let changed = false
    // It may have nothing to ship for some time.
    let idle = random.pick([0, 8])
    for (let passed = 0; passed < PATIENCE; passed += TICK) {
      if (!(await this.#tick())) return 'killed'
      if (next.last?.halted !== undefined) return next.last.halted
      if (next.last?.asleep) {
        if (random.chance(0.7)) await this.#arrive()
        if (random.chance(0.2)) await this.#wake()
        await next.tell({ do: 'wake' })
      }
      if (random.chance(0.01)) await this.#arrive()
      if (random.chance(0.003)) await this.#wake()
      if (rivals.holder !== next.number) continue
      if (this.#alwaysAwake && this.#old.running) throw new Violation('fenced', 'one that is alive was given up')
      if (rivals.since !== undefined && changed) return 'ships'
      if (idle > 0) {
        // A claim of its that was under way when it was killed can arrive while it still watches.
        if (!next.last?.claimed) continue
        await next.tell({ do: 'answers', answers: [], delay: 0 })
        if (--idle > 0) continue
        rivals.settled()
        await this.#arrive()
      }
      if (!changed) await this.#commit(next, this.#hands.change())
      changed = true
    }
    throw new Violation('alive', `neither halted nor shipping: ${next.last?.state} ${next.last?.error}`)
  }

  /** The new machine has the database, and uses it. */
  async #goOn(): Promise<void> {
    const { random, upkeep } = this.#hands
    const next = this.#next
    await next.tell({ do: 'answers', answers: [], delay: 0 })
    await next.tell({ do: 'wake' })
    for (let i = random.within(1, 4); i > 0; i--) {
      await this.#commit(next)
      if (random.chance(0.2)) await next.begin('snapshot')
      if (upkeep && random.chance(0.4)) {
        await next.tell({ do: 'jump', milliseconds: random.pick([60_000, 310_000, 900_000]) })
        await next.begin('tidy')
      }
      if (random.chance(0.3)) await this.#arrive()
      if (random.chance(0.2)) await this.#commit(this.#old)
      for (let ticks = random.within(1, 12); ticks > 0; ticks--) await this.#tick()
    }
  }

  /** The old machine wakes up, finds that it was given up, and stops. */
  async #wakeUp(): Promise<void> {
    const { random } = this.#hands
    const old = this.#old
    if (!old.running) return
    if (random.chance(0.5)) await old.begin('flush')
    await this.#commit(old, this.#hands.change())
    await this.#wake()
    if (random.chance(0.5)) await this.#commit(old, this.#hands.change())
    await this.#oldHalts(() => (random.chance(0.05) ? this.#commit(this.#next) : Promise.resolve()))
  }

  /** Somebody starts the old machine again: while the new one is alive, or after it has ended. */
  async #comeBack(): Promise<void> {
    const { random } = this.#hands
    const [old, next] = [this.#old, this.#next]
    await old.kill()
    if (random.chance(0.5) && next.running) await next.close()
    // Whatever state it shared with the new one, it is another one now.
    await this.#commit(old, this.#hands.change())
    await old.start()
    await old.begin('start')
    await this.#oldHalts()
  }

  /** Lets time pass until the old machine has halted, or is dead. Errors: `fenced` if it does not, or for another reason. */
  async #oldHalts(meanwhile?: () => Promise<void>): Promise<void> {
    const [old, next] = [this.#old, this.#next]
    for (let passed = 0; passed < PATIENCE; passed += TICK) {
      await meanwhile?.()
      await this.#tick()
      if (!old.running) return
      const code = old.last?.halted
      // If the other one is gone or has just died, it is the database that tells.
      if (code === 'E_FENCED' || (code === 'E_STALE_MACHINE' && !next.running)) return
      if (code !== undefined) throw new Violation('fenced', `halted by ${code} ${old.last?.error}`)
    }
    throw new Violation('fenced', `two machines have the database: ${old.last?.state} ${old.last?.error}`)
  }

  /** Time passes for whoever is not stopped. False if the new machine was killed. */
  async #tick(): Promise<boolean> {
    const advance = { do: 'advance', milliseconds: TICK } as const
    if (this.#sleep !== 'stopped') await this.#old.tell(advance)
    return (await this.#next.tell(advance)) !== undefined
  }

  async #arrive(): Promise<void> {
    this.#arrived = true
    await this.#old.tell({ do: 'arrive' })
  }

  /** What has slept goes on; the clocks may not have noticed. */
  async #wake(): Promise<void> {
    const { random } = this.#hands
    if (this.#sleep === 'awake') return
    if (this.#sleep === 'stopped') {
      const milliseconds = random.pick([100, 5000, 30_000, 3_600_000])
      const clocks = random.pick(['both', 'wall', 'none'] as const)
      if (clocks === 'both') await this.#old.tell({ do: 'oversleep', milliseconds })
      if (clocks === 'wall') await this.#old.tell({ do: 'jump', milliseconds })
    }
    this.#arrived = true
    this.#sleep = 'awake'
    await this.#old.tell({ do: 'wake' })
  }

  async #commit(machine: Machine, deed = this.#hands.deed()): Promise<void> {
    await commit(this.#hands, machine, deed)
    await machine.tell({ do: 'poke' })
  }
}
