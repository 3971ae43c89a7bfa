import { comparePositions, LOG_START, type LogPosition } from '../wal/position.js'

/**
 * Since when commits wait to be durable in one storage. Two marks are enough, because at most one file is under way: one
 * for the commits in that file and one for those that gather meanwhile. Milliseconds since the epoch.
 */
export class Unshipped {
  #seen: LogPosition = LOG_START
  #gathering: number | undefined
  #underWay: number | undefined

  /** The oldest of them; `undefined` if nothing waits. */
  get since(): number | undefined {
    return this.#underWay ?? this.#gathering
  }

  /** The WAL has been read up to `end`: what is new there waits from now on. */
  saw(end: LogPosition, now: number): void {
    if (comparePositions(end, this.#seen) <= 0) return
    this.#seen = end
    this.#gathering ??= now
  }

  /** It is not known any more whether everything is durable. */
  doubt(now: number): void {
    this.#gathering ??= now
  }

  /** What has gathered goes into a file, or is compared. If that fails it is taken again, and keeps its age. */
  take(): void {
    this.#underWay ??= this.#gathering
    this.#gathering = undefined
  }

  /** A file that an earlier process made is under way. */
  takeFrom(time: number): void {
    this.#underWay = time
  }

  /** What was taken is durable. Returns since when it had waited. */
  confirm(): number | undefined {
    const since = this.#underWay
    this.#underWay = undefined
    return since
  }

  /** Everything that was read is durable. */
  clear(): void {
    this.#underWay = undefined
    this.#gathering = undefined
  }
}
