import { type FileId, LEVEL_SHIPPED, LEVEL_SNAPSHOT } from './object-keys.js'
import { firstIndex } from './search.js'

/** One file of a database in storage, as a listing shows it. */
export interface StoredFile extends FileId {
  key: string
  /** Bytes. */
  size: number
  /** Milliseconds since the epoch. */
  timestamp: number
}

/** What lies in storage for one database: made from one complete listing, then kept up to date by its writer. */
export class Inventory {
  /** The highest epoch that anybody has claimed the database with, as listed; 0 if nobody has. */
  epoch = 0
  /** Transactions whose level-0 file stays for good, or will once it is there: docs/fencing.md, "The fence post". */
  readonly fencePosts = new Set<number>()
  readonly #levels: StoredFile[][] = Array.from({ length: LEVEL_SNAPSHOT + 1 }, () => [])
  #size = 0
  #bytes = 0
  readonly #ordered = Array.from({ length: LEVEL_SNAPSHOT + 1 }, () => true)

  /** Files of a level, by ascending last and then first transaction. */
  level(level: number): readonly StoredFile[] {
    return this.#levels[level]
  }

  /** All files, level by level. */
  *files(): Generator<StoredFile> {
    for (const level of this.#levels) yield* level
  }

  /** How many files there are, and their bytes. Counted along: both are asked for often. */
  get size(): number {
    return this.#size
  }

  get bytes(): number {
    return this.#bytes
  }

  /** The highest transaction that any file reaches; 0 if there is none. */
  get newest(): number {
    return this.#levels.reduce((most, level) => Math.max(most, level[level.length - 1]?.maxTxid ?? 0), 0)
  }

  /**
   * Whether the files of a level also begin in the order in which they end, as they do wherever nobody has put files
   * in by hand: then a search need not look at all of them.
   */
  isOrdered(level: number): boolean {
    return this.#ordered[level]
  }

  /** The same files in an inventory of its own. */
  copy(): Inventory {
    const copy = new Inventory()
    for (const [level, files] of this.#levels.entries()) {
      copy.#levels[level].push(...files)
      copy.#ordered[level] = this.#ordered[level]
    }
    for (const txid of this.fencePosts) copy.fencePosts.add(txid)
    copy.#size = this.#size
    copy.#bytes = this.#bytes
    return copy
  }

  /** Adds a file, or replaces what was known of it. */
  add(file: StoredFile): void {
    const level = this.#levels[file.level]
    const at = insertionPoint(level, file)
    if (level[at - 1]?.minTxid > file.minTxid || level[at]?.minTxid < file.minTxid) this.#ordered[file.level] = false
    this.remove(file)
    level.splice(at, 0, file)
    this.#size++
    this.#bytes += file.size
  }

  remove(file: FileId): void {
    const level = this.#levels[file.level]
    const at = insertionPoint(level, file)
    if (at >= level.length || order(level[at], file) !== 0) return
    this.#size--
    this.#bytes -= level[at].size
    level.splice(at, 1)
  }

  /** Whether a file has to stay because a writer that sleeps may still try to put one of that name. */
  isFencePost({ level, minTxid, maxTxid }: FileId): boolean {
    return level === LEVEL_SHIPPED && minTxid === maxTxid && this.fencePosts.has(minTxid)
  }

  find(file: FileId): StoredFile | undefined {
    const level = this.#levels[file.level]
    const at = insertionPoint(level, file)
    return at < level.length && order(level[at], file) === 0 ? level[at] : undefined
  }
}

function order(a: FileId, b: FileId): number {
  return a.maxTxid - b.maxTxid || a.minTxid - b.minTxid
}

function insertionPoint(level: readonly StoredFile[], file: FileId): number {
  return firstIndex(level.length, (index) => order(level[index], file) < 0)
}

/** Index of the first file of a level that ends at or behind a transaction. */
export function firstEndingAt(level: readonly StoredFile[], txid: number): number {
  return firstIndex(level.length, (index) => level[index].maxTxid < txid)
}
