/** Something that must not be. */
export class Violation extends Error {
  override readonly name = 'Violation'

  /** @param check which promise is broken */
  constructor(
    readonly check: Check,
    message: string,
  ) {
    super(`${check}: ${message}`)
  }
}

/**
 * What is checked.
 * - `durable`: what was reported as durable is restored, whatever was killed
 * - `exact`: a transaction restores to the same state for ever
 * - `genuine`: what is restored was committed, and later transactions are later states
 * - `untouched`: the user's database is what the user made it
 * - `promised`: every point that retention and the levels promise is there, and no other is given for it
 * - `timed`: a moment leads to the newest point that is not later
 * - `kept`: what could be restored and was not given up can be restored
 * - `verified`: `verify` finds nothing wrong with what lies in storage
 * - `fenced`: of two machines one ships, and the other changes nothing of what it ships
 * - `bounded`: memory
 * - `alive`: it comes to an end, and does not stop without a reason
 */
export const CHECKS = [
  'durable',
  'exact',
  'genuine',
  'untouched',
  'promised',
  'timed',
  'kept',
  'verified',
  'fenced',
  'bounded',
  'alive',
] as const

export type Check = (typeof CHECKS)[number]

/**
 * Knows every state that was ever committed, in order, and holds what is restored from one storage against that. Several
 * storages have one list of states.
 */
export class Oracle {
  readonly #states: string[]
  readonly #transactions = new Map<number, string>()
  readonly #checksums = new Map<number, string>()
  #durable = 0

  constructor(states: string[] = []) {
    this.#states = states
  }

  /** Number of the newest state. */
  get now(): number {
    return this.#states.length - 1
  }

  get newest(): string | undefined {
    return this.#states.at(-1)
  }

  /** Notes the state that the database has now. */
  committed(image: string): void {
    if (image !== this.newest) this.#states.push(image)
  }

  /** Notes that everything up to a state was reported as durable. */
  promised(state: number): void {
    this.#durable = Math.max(this.#durable, state)
  }

  /** Notes that a transaction was reported as shipped. */
  shipped(txid: number, checksum: string): void {
    const before = this.#checksums.get(txid)
    if (before !== undefined && before !== checksum) {
      throw new Violation('exact', `transaction ${txid} was shipped with checksum ${before}, and with ${checksum}`)
    }
    this.#checksums.set(txid, checksum)
  }

  /** The transactions that were reported as shipped. */
  get reported(): readonly number[] {
    return [...this.#checksums.keys()]
  }

  /** Holds one restored transaction against what is known of it. */
  restored(txid: number, image: string, checksum: string): void {
    if (!this.#states.includes(image)) {
      throw new Violation('genuine', `transaction ${txid} restores to a state that never was`)
    }
    const before = this.#transactions.get(txid)
    if (before !== undefined && before !== image) {
      throw new Violation('exact', `transaction ${txid} restores to another state than before`)
    }
    const reported = this.#checksums.get(txid)
    if (reported !== undefined && reported !== checksum) {
      throw new Violation(
        'exact',
        `transaction ${txid} was shipped with checksum ${reported}, and restores to ${checksum}`,
      )
    }
    this.#transactions.set(txid, image)
  }

  /** Holds the newest restored state against what was reported as durable. */
  restoredNewest(txid: number, image: string): void {
    const state = this.#states.lastIndexOf(image)
    if (state < this.#durable) {
      throw new Violation('durable', `state ${this.#durable} was durable, transaction ${txid} is state ${state}`)
    }
    for (const reported of this.#checksums.keys()) {
      if (reported > txid) throw new Violation('durable', `transaction ${reported} was shipped, ${txid} is the newest`)
    }
  }

  /** Throws unless later transactions are later states. */
  checkOrder(): void {
    let at = 0
    for (const txid of [...this.#transactions.keys()].sort((a, b) => a - b)) {
      const found = this.#states.indexOf(this.#transactions.get(txid) ?? '', at)
      if (found < 0) throw new Violation('genuine', `transaction ${txid} is an older state than the one before it`)
      at = found
    }
  }
}
