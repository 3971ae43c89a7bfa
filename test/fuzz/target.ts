import type { Random } from '../helpers/ltx-random.js'

/** Something that reads bytes from outside, and what must never happen while it does. */
export interface Target {
  readonly name: string
  /** How often it is chosen, against the others. */
  readonly share: number
  /** One input made from the generator. Throws if something is not as it must be. */
  readonly run: (random: Random) => void | Promise<void>
}
