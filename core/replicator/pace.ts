import { type DatabaseFile, type FileMark, sameMark } from '../database/database-file.js'

/** One in so many looks is a thorough one; the others only ask SQLite whether anything has moved. */
const THOROUGH = 8
/** So long after the last commit the database counts as busy, while there is something to be done about its WAL. */
const BUSY = 2000
/**
 * The same when there is nothing to be done: file events tell of the next commit. Not nothing: what is opened for a look
 * can be an event itself, and without a timer in between one would lead to the other for ever.
 */
const CALM = 8
/**
 * So long after the database file was written it is looked at that often too: somebody moves pages there, and once they
 * are durable may wait for our pin with the write lock in hand. No event tells of that moment.
 */
const BACKFILL = 300
/**
 * A commit is to be seen once its writer has made it durable, which takes as long as the disk does (synchronous=FULL), and
 * no event tells of that moment: the last was for what it wrote before. So after each sign of life it is asked for, at
 * moments that are a part of the time since then apart. What takes a disk half a second is rare: from there on it is
 * looked for each time the wait has doubled, and nothing is kept open for that.
 */
const PEEK_PART = 1 / 2
const PEEK_LEAST = 2
const PEEK_OFTEN = 500
const PEEK_FOR = 10_000

/** How closely a database is looked at: whether it counts as busy, and when a look is to be a thorough one. */
export class Pace {
  #lastFresh = 0
  /** The database file as it was last seen while there was something in the WAL, and when that had changed. */
  #mark: FileMark | undefined
  #lastBackfill = -Infinity
  /** Looks since the last thorough one. */
  #ticks = 0

  /** There was a commit, or there may have been one. */
  fresh(): void {
    this.#lastFresh = performance.now()
  }

  /** A look is about to be made: whether it has to be a thorough one. */
  tick(): boolean {
    return ++this.#ticks >= THOROUGH
  }

  /** A thorough look is being made. */
  looked(): void {
    this.#ticks = 0
  }

  /** Something may have happened that does not show in the WAL: the next look is a thorough one. */
  lookNext(): void {
    this.#ticks = THOROUGH
  }

  /**
   * Whether it is looked at all the time, instead of waiting for events.
   *
   * @param settled whether there is nothing to be done about the WAL
   * @param calm whether nobody waits for us before pages are moved, and that and the next commit are events
   */
  isBusy(file: DatabaseFile, settled: boolean, calm: boolean): boolean {
    const now = performance.now()
    if (!settled && this.#isBeingBackfilled(file, now)) return true
    return now - this.#lastFresh < (calm ? CALM : BUSY)
  }

  /** Whether the last sign of life is so fresh that it is asked for more all the time, and what is needed for it kept. */
  get isRecent(): boolean {
    return performance.now() - this.#lastFresh < PEEK_OFTEN
  }

  /** Milliseconds until it is asked whether a commit has become visible of which no event tells; `Infinity` at rest. */
  get nextPeek(): number {
    const quiet = performance.now() - this.#lastFresh
    if (quiet >= PEEK_FOR) return Infinity
    return quiet < PEEK_OFTEN ? Math.max(PEEK_LEAST, quiet * PEEK_PART) : quiet
  }

  /** Whether pages were moved into the database file lately. */
  #isBeingBackfilled(file: DatabaseFile, now: number): boolean {
    const mark = file.mark()
    if (!(this.#mark && sameMark(mark, this.#mark))) {
      this.#mark = mark
      this.#lastBackfill = now
    }
    return now - this.#lastBackfill < BACKFILL
  }
}
