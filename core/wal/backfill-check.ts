import type { DatabaseFile } from '../database/database-file.js'
import { checksumWords, pageChecksum } from '../kernel/kernel.js'
import type { Generation } from './generation.js'

/** Bytes read in one go before others get their turn, and in all after one checkpoint: a quarter of a second. */
const SLICE = 4 * 1024 * 1024
const MOST = 64 * 1024 * 1024

/**
 * Looks whether a checkpoint has really brought the pages of the WAL into the database file. SQLite before 3.51.3 can
 * note more as backfilled than it was when a checkpoint races a commit that restarts the WAL; the next writer then
 * overwrites frames that were nowhere else. What we shipped has them: whoever hears of it in time can restore.
 */
export class BackfillCheck {
  readonly #file: DatabaseFile
  #sequence = 0
  /** Frames of that generation that have been looked at. */
  #checked = 0
  #page = Buffer.alloc(0)

  constructor(file: DatabaseFile) {
    this.#file = file
  }

  /**
   * @param held whether it is certain that the file was not written since all of `generation` was backfilled
   * @returns pages that are not in the file as the generation has them
   */
  async run(generation: Generation, held: () => boolean): Promise<number[]> {
    if (generation.sequence !== this.#sequence) this.#checked = 0
    this.#sequence = generation.sequence
    const { pageSize } = generation.header
    const end = generation.frames
    const first = Math.max(this.#checked, end - Math.floor(MOST / pageSize))
    if (this.#page.length !== pageSize) this.#page = Buffer.allocUnsafeSlow(pageSize)
    const different: number[] = []
    for (let frame = first + 1, read = 0; frame <= end; frame++) {
      const page = generation.pageOf(frame)
      if (this.#differs(generation, frame, page)) different.push(page)
      if ((read += pageSize) < SLICE) continue
      read = 0
      await new Promise((resolve) => setImmediate(resolve))
      if (!held() || generation.frames !== end) return []
    }
    if (!held()) return []
    this.#checked = end
    return different
  }

  #differs({ newest, commit }: Generation, frame: number, page: number): boolean {
    if (page > commit || !newest.find(page) || newest.frame !== frame) return false
    const { high, low } = newest
    this.#file.readNow(this.#page, (page - 1) * this.#page.length)
    pageChecksum(page, this.#page)
    return checksumWords[0] !== high >>> 0 || checksumWords[1] !== low >>> 0
  }
}
