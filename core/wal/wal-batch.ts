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

  /** Errors: `ContinuityLost`. */
  constructor(follower: Follower, since: LogPosition) {
    follower.finishLook()
    const { generation } = follower
    this.to = follower.position
    this.proof = follower.proof
    const here = since.generation === generation?.sequence
    if (here || comparePositions(since, this.to) === 0) this.from = since
    else this.from = follower.continues ?? { generation: this.to.generation, frame: 0 }
    const empty = new PageList(0, 0, new Uint32Array(0), new Uint32Array(0), () => undefined)
    this.#list = follower.pagesSince(here ? since.frame : 0) ?? empty
  }

  pages(): PageSet {
    return this.#list
  }

  close(): void {
    // Nothing but memory.
  }

  trim(): void {
    // The WAL belongs to SQLite.
  }
}
