import type { FrameBatch } from '../hooks.js'
import { PageList } from '../pages/page-list.js'
import type { PageSet } from '../pages/page-set.js'
import type { Follower } from './follower.js'
import { comparePositions, type LogPosition, type WalPosition } from './position.js'

/**
 * The frames after `since` that are still in the WAL, as they were read when this was made. Reading the pages works
 * as long as a pin keeps the generation in place.
 */
export class WalBatch implements FrameBatch {
  readonly from: LogPosition
  readonly to: LogPosition
  readonly proof: WalPosition | undefined
  readonly bytes = 0
  readonly #list: PageList

  constructor(follower: Follower, since: LogPosition) {
    const { generation } = follower
    this.to = follower.position
    this.proof = follower.proof
    const here = generation !== undefined && since.generation === generation.sequence
    const whole = { generation: this.to.generation, frame: 0 }
    this.from = here || follower.isContinuedFrom(since) || comparePositions(since, this.to) === 0 ? since : whole
    const empty = new PageList(0, 0, new Uint32Array(0), new Uint32Array(0), () => undefined)
    this.#list = follower.pagesSince(here ? since.frame : 0) ?? empty
  }

  /** How many pages it holds. */
  get size(): number {
    return this.#list.pages.length
  }

  pages(since: LogPosition): PageSet {
    // Made for one reader: whatever the position, it is the one the batch was made for or before it.
    if (comparePositions(since, this.from) !== 0 && comparePositions(since, this.to) > 0) {
      throw new RangeError('the batch does not reach that far')
    }
    return this.#list
  }

  trim(): void {
    // The WAL belongs to SQLite.
  }
}
