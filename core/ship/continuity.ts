import type { LogPosition } from '../wal/position.js'
import type { Head } from './reconcile.js'

/** What has to happen before frames can be shipped one after the other. */
export type Need =
  | { kind: 'nothing' }
  /** This machine and the storage have not been compared yet. */
  | { kind: 'prepare' }
  | { kind: 'snapshot' }
  | { kind: 'compare'; head: Head; ours: boolean; reason: string }
  /** Commits may have passed unseen: find what differs. */
  | { kind: 'heal'; reason: string }

const STATE_OF_NEED = {
  nothing: 'shipping',
  prepare: 'starting',
  snapshot: 'comparing',
  compare: 'comparing',
  heal: 'comparing',
} as const

const NOTHING: Need = { kind: 'nothing' }

/** Whether frames can be shipped one after the other, and if they cannot, what has to happen first. */
export class Continuity {
  #need: Need = { kind: 'prepare' }
  /** The state that is being shipped as a whole: what comes after it is needed. */
  #viewed: LogPosition | undefined
  /** Why the position is not found in the WAL; `undefined` if it is. */
  #unplaced: string | undefined = 'the database has not been read yet'

  get need(): Need {
    return this.#need
  }

  /** Whether frames can be shipped one after the other. */
  get unbroken(): boolean {
    return this.#need.kind === 'nothing'
  }

  get state(): 'shipping' | 'starting' | 'comparing' {
    return STATE_OF_NEED[this.#need.kind]
  }

  /** From where on frames must be kept; `undefined` while they are of no use because everything will be compared. */
  needs(position: LogPosition | undefined): LogPosition | undefined {
    if (this.#viewed) return this.#viewed
    if (this.#need.kind === 'heal' || this.#need.kind === 'snapshot' || this.#need.kind === 'compare') return undefined
    return this.#unplaced === undefined ? position : undefined
  }

  /** The position was found in the WAL. */
  placed(): void {
    this.#unplaced = undefined
  }

  /** Commits may have passed unseen: what is seen from now on does not follow the position. */
  lost(reason: string): void {
    this.#unplaced = reason
    this.#viewed = undefined
    this.doubt(reason)
  }

  /** What has been made of the frames so far may not be right. Whatever else has to happen first finds that out, too. */
  doubt(reason: string): void {
    if (this.#need.kind === 'nothing') this.heal(reason)
  }

  /** What differs is to be found by comparing. */
  heal(reason: string): void {
    this.#need = { kind: 'heal', reason }
  }

  /** Storage has to be looked at anew. What was found to differ by then still has to be shipped. */
  prepareAgain(): void {
    if (this.#need.kind === 'heal') this.#unplaced ??= this.#need.reason
    this.#need = { kind: 'prepare' }
  }

  /** This machine and the storage were compared, and there is more to be done. */
  start(need: Need & { kind: 'snapshot' | 'compare' }): void {
    this.#need = need
  }

  /** A state is looked at as a whole: frames from there on are needed until {@link viewEnded} or {@link restored}. */
  viewing(at: LogPosition): void {
    this.#viewed = at
    this.#unplaced = undefined
  }

  viewEnded(): void {
    this.#viewed = undefined
  }

  /**
   * Nothing has to be compared any more, unless frames were lost again meanwhile.
   *
   * @param whole whether the page checksums of this machine are
   */
  restored(whole: boolean): void {
    const reason = this.#unplaced ?? (whole ? undefined : 'the page checksums of this machine are not whole')
    if (reason === undefined) this.#need = NOTHING
    else this.heal(reason)
    this.#viewed = undefined
  }
}
