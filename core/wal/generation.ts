import { ENTRY_CAPACITY, entries, scanFrames, scratch, type WalSum } from '../kernel/kernel.js'
import { PageMap } from '../pages/page-map.js'
import { FRAME_HEADER_SIZE, type WalHeader } from './layout.js'
import type { LogPosition, WalPosition } from './position.js'
import type { WalFile } from './wal-file.js'

/**
 * Frames of one generation that are kept track of. A page list sorts on `page * 2^20 + frame` in a double, which is
 * exact up to here; a longer WAL (4 GiB of 4 KiB pages) is shipped by difference instead.
 */
export const MAX_FRAMES = 2 ** 20

/** Room for so many frames is kept for the next generation. */
const KEPT_FRAMES = 65536

/** Why a scan ended before the frame it was to reach. */
export type ScanEnd = 'complete' | 'bad-frame' | 'too-long'

/**
 * What has been read of the WAL since it was last restarted: every frame verified, and of each page the newest frame
 * and its checksum. Reads from frame 1, whatever was shipped before: overlays need to know all of it.
 */
export class Generation {
  /** Frames read and verified, and the running checksum there. */
  frames = 0
  readonly sum: WalSum
  /** Size of the database in pages after the last commit read. */
  commit = 0
  /** How many commits were read. */
  commits = 0
  /** The newest frame of each page, with the page's checksum. */
  readonly newest: PageMap
  #pages: Uint32Array

  /**
   * @param sequence our own number for it, see {@link LogPosition}
   * @param before the one that is over, and that nobody asks any more: its memory is used again, because room given
   * back and taken anew several times a second is what makes a process grow
   */
  constructor(
    readonly sequence: number,
    readonly header: WalHeader,
    before?: Generation,
  ) {
    this.sum = { ...header.sum }
    this.newest = before?.newest ?? new PageMap()
    this.newest.clear()
    this.#pages = before && before.#pages.length <= KEPT_FRAMES ? before.#pages : new Uint32Array(1024)
  }

  get position(): LogPosition {
    return { generation: this.sequence, frame: this.frames }
  }

  /** The position as it can be proved later. */
  get proof(): WalPosition {
    const { salt1, salt2 } = this.header
    return { salt1, salt2, frame: this.frames, s1: this.sum.s1, s2: this.sum.s2 }
  }

  /** Page number of a frame, from 1. */
  pageOf(frame: number): number {
    return this.#pages[frame - 1]
  }

  /**
   * Reads and verifies frames up to `upTo`, which must be an mxFrame: what lies beyond may be a commit that never
   * happened. `budget` bounds the bytes read in one call; the caller goes on until `frames` reaches `upTo`.
   */
  scan(file: WalFile, upTo: number, budget = Infinity): ScanEnd {
    if (upTo > MAX_FRAMES) return 'too-long'
    const { pageSize, salt1, salt2, bigEndian } = this.header
    const size = FRAME_HEADER_SIZE + pageSize
    const most = Math.min(ENTRY_CAPACITY, Math.floor(scratch.length / size))
    this.#reserve(upTo)
    for (let read = 0; this.frames < upTo && read < budget; read += most * size) {
      const count = Math.min(most, upTo - this.frames)
      const there = file.readFrames(this.frames + 1, count, pageSize)
      const good = scanFrames(this.sum, there, pageSize, salt1, salt2, bigEndian)
      for (let i = 0; i < good; i++) if (!this.#note(i * 4)) return 'bad-frame'
      if (good < count) return 'bad-frame'
    }
    return 'complete'
  }

  #note(at: number): boolean {
    const page = entries[at]
    if (page === 0) return false
    this.#pages[this.frames++] = page
    if (entries[at + 1] !== 0) {
      this.commit = entries[at + 1]
      this.commits++
    }
    this.newest.set(page, this.frames, entries[at + 2], entries[at + 3])
    return true
  }

  #reserve(frames: number): void {
    if (frames <= this.#pages.length) return
    const larger = new Uint32Array(Math.min(MAX_FRAMES, Math.max(frames, this.#pages.length * 2)))
    larger.set(this.#pages)
    this.#pages = larger
  }
}
