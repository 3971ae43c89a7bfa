import { type BigIntStats, statSync } from 'node:fs'

/**
 * A file that was written so lately counts as touched each time: some file systems count in seconds, so that it may be
 * written again without its time changing, and a commit shows only once its writer's disk has made it durable, however
 * long that takes.
 */
const LATELY_MS = 60_000n

/**
 * Asks whether a database or its WAL was written since the last time it was asked, without opening anything: for file
 * systems that tell of no events. Rather says so once too often.
 */
export class Touched {
  readonly #paths: readonly string[]
  #seen: string | undefined

  /** @param database path of the database */
  constructor(database: string) {
    this.#paths = [database, `${database}-wal`]
  }

  ask(): boolean {
    const files = this.#paths.map((path) => statSync(path, { bigint: true, throwIfNoEntry: false }))
    const settled = BigInt(Date.now()) - LATELY_MS
    const mark = files.map((stat) => (stat ? markOf(stat) : '-')).join(' ')
    const touched = mark !== this.#seen
    this.#seen = files.every((stat) => !stat || stat.mtimeMs < settled) ? mark : undefined
    return touched
  }
}

function markOf({ dev, ino, size, mtimeNs }: BigIntStats): string {
  return `${dev}:${ino}:${size}:${mtimeNs}`
}
