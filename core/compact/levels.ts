import type { Merge, RetainPlan } from '../hooks.js'
import { firstEndingAt, type Inventory, type StoredFile } from '../inventory.js'
import { type FileId, LEVEL_SHIPPED, LEVEL_SNAPSHOT } from '../object-keys.js'
import type { CompactionSettings } from '../settings.js'

/** A window counts as closed so long after its end: what was seen in its last moment is in storage by then. */
const LATE = 2000
/** Files that have outlived their time go together, so often at most. */
const REMOVE_EVERY = 5 * 60_000
/**
 * A file stays so long at least after what it holds was committed, however short `keep` is: a restore or a replica that
 * has just listed it is about to read it.
 */
const LEAST_KEEP = 5 * 60_000

const DAY = 24 * 3_600_000
/**
 * Spans of levels above those that are configured. Their points are no finer than what lies below, but the way to a
 * point is short by them: between two snapshots that retention keeps lie up to a month of hourly files.
 */
const BRIDGES: readonly number[] = [DAY, 28 * DAY]

/** The levels as they are really kept: the configured ones, and above them those that keep every way short. */
export function ladderOf({ levels }: CompactionSettings): readonly number[] {
  const top = levels.at(-1)
  if (top === undefined) return levels
  return [...levels, ...BRIDGES.filter((span) => span > top)].slice(0, LEVEL_SNAPSHOT - 1)
}

const LEVELS_ABOVE = Array.from({ length: LEVEL_SNAPSHOT }, (_, index) => index + 1)

/**
 * The ladder of levels: what was seen in one window of a level's span becomes one file of that level. Windows are
 * aligned to UTC, and a level goes on where it ends, so that a run after a kill comes to the same files.
 *
 * A file that holds the whole database is never taken in: the ladder starts behind it.
 */
export function planMerges(inventory: Inventory, compaction: CompactionSettings, now: number): Merge[] {
  const merges: Merge[] = []
  let below: StoredFile[] = []
  for (const [index, span] of ladderOf(compaction).entries()) {
    const level = index + 1
    const made: StoredFile[] = []
    for (const sources of windows([...unmerged(inventory, level), ...below], span, now)) {
      if (sources.every((file) => isOverAndStays(inventory, file, compaction, now))) continue
      merges.push({ level, sources })
      made.push(merged(level, sources))
    }
    below = made
  }
  return merges
}

/** Files that a higher level has taken in and whose time is over. The newest of level 0 always stays. */
export function planRemovals(inventory: Inventory, compaction: CompactionSettings, now: number): StoredFile[] {
  const remove: StoredFile[] = []
  for (let level = LEVEL_SHIPPED; level < ladderOf(compaction).length; level++) {
    for (const file of ladder(inventory, level)) {
      if (now - file.timestamp <= leastKeep(compaction, level)) break
      if (isCovered(inventory, file)) remove.push(file)
    }
  }
  return remove
}

/** Files whose time is over although nothing has taken them in: of the highest level, and what no level knows of. */
export function planExpiry(inventory: Inventory, compaction: CompactionSettings, now: number): StoredFile[] {
  const newest = inventory.level(LEVEL_SHIPPED).at(-1)
  const longest = longestKeep(compaction)
  const old: StoredFile[] = []
  for (let level = LEVEL_SHIPPED; level < LEVEL_SNAPSHOT; level++) {
    for (const file of inventory.level(level)) {
      const keep = file.minTxid > 1 ? longest : leastKeep(compaction, level)
      if (now - file.timestamp > keep && file !== newest) old.push(file)
    }
  }
  return old
}

/**
 * Whether the time of a file is over although it stays for good. Taken in by itself it would be taken in again after
 * what came of that has gone, and so on for ever.
 */
function isOverAndStays(inventory: Inventory, file: StoredFile, compaction: CompactionSettings, now: number): boolean {
  const stays = file.level === LEVEL_SHIPPED && (inventory.isFencePost(file) || file === inventory.level(0).at(-1))
  return stays && now - file.timestamp > longestKeep(compaction)
}

/**
 * Fence posts that would have gone by now if they were ordinary files. They stay where they are, but nothing else has to
 * stay so that exactly their transaction can be restored.
 */
export function passedFencePosts(inventory: Inventory, compaction: CompactionSettings, now: number): StoredFile[] {
  const passed: StoredFile[] = []
  const keep = leastKeep(compaction, LEVEL_SHIPPED)
  for (const txid of inventory.fencePosts) {
    const file = inventory.find({ level: LEVEL_SHIPPED, minTxid: txid, maxTxid: txid })
    if (!file || now - file.timestamp <= keep) continue
    if (LEVELS_ABOVE.some((level) => holderOn(inventory, level, file))) passed.push(file)
  }
  return passed
}

/** The built-in tap of `retain` for the levels above 0. */
export function retainLevels(plan: RetainPlan): RetainPlan {
  const { inventory, compaction, now, retention } = plan
  const merge = planMerges(inventory, compaction, now)
  // What is about to be merged counts as merged: what is removed is decided again when it is done.
  const after = merge.length > 0 ? inventory.copy() : inventory
  for (const { level, sources } of merge) after.add(merged(level, sources as StoredFile[]))
  const over = planRemovals(after, compaction, now)
  const expired = retention ? planExpiry(after, compaction, now) : []
  return {
    ...plan,
    merge: [...plan.merge, ...merge],
    remove: [...plan.remove, ...over.filter((file) => inventory.find(file)), ...expired],
  }
}

export interface DueParts {
  inventory: Inventory
  compaction: CompactionSettings
  /** Milliseconds since the epoch. */
  now: number
  /** Whether anything is ever removed. */
  removes: boolean
  /** What was to go and had to stay: whether it may go by now is asked when there is something else to do. */
  needed: ReadonlySet<StoredFile>
}

/** When there is something to do for the levels, milliseconds since the epoch; `Infinity` if nothing will be. */
export function levelsDue({ inventory, compaction, now, removes, needed }: DueParts): number {
  let due = Infinity
  for (const [index, span] of ladderOf(compaction).entries()) {
    const isLeft = (file: StoredFile) => isOverAndStays(inventory, file, compaction, now)
    const first = firstOf(unmerged(inventory, index + 1), (file) => !isLeft(file))
    if (first) due = Math.min(due, (Math.floor(first.timestamp / span) + 1) * span + LATE)
    const oldest = removes && firstOf(ladder(inventory, index), (file) => !needed.has(file))
    if (!oldest || !isCovered(inventory, oldest)) continue
    const keep = leastKeep(compaction, index)
    due = Math.min(due, oldest.timestamp + keep + Math.min(keep, REMOVE_EVERY))
  }
  return due
}

function firstOf<T>(items: Iterable<T>, wanted: (item: T) => boolean): T | undefined {
  for (const item of items) if (wanted(item)) return item
  return undefined
}

/** What a merge of files gives, as far as that can be said before. */
export function merged(level: number, sources: readonly StoredFile[]): StoredFile {
  const last = sources[sources.length - 1]
  const size = sources.reduce((sum, file) => sum + file.size, 0)
  return { level, minTxid: sources[0].minTxid, maxTxid: last.maxTxid, key: '', size, timestamp: last.timestamp }
}

function leastKeep(compaction: CompactionSettings, level: number): number {
  return Math.max(LEAST_KEEP, keepOf(compaction, level))
}

/**
 * How long anything stays that is not a whole database, at least: whichever level is kept longest. If a file went before
 * what it was merged from, that would be merged again.
 */
function longestKeep({ keep }: CompactionSettings): number {
  return keep.length > 0 ? Math.max(LEAST_KEEP, ...keep) : Infinity
}

export function keepOf({ keep }: Pick<CompactionSettings, 'keep'>, level: number): number {
  return keep[Math.min(level, keep.length - 1)] ?? Infinity
}

/** Files of a level that may go once they are merged, oldest first: no whole database, no fence post, not the newest of level 0. */
function* ladder(inventory: Inventory, level: number): Generator<StoredFile, undefined> {
  const files = inventory.level(level)
  const end = level === LEVEL_SHIPPED ? files.length - 1 : files.length
  for (let i = 0; i < end; i++) if (files[i].minTxid > 1 && !inventory.isFencePost(files[i])) yield files[i]
  return undefined
}

/** Files of the level below that a level has not taken in yet. */
function* unmerged(inventory: Inventory, level: number): Generator<StoredFile, undefined> {
  const below = inventory.level(level - 1)
  for (let i = indexBehind(inventory, level); i < below.length; i++) {
    if (isMergeable(inventory, below[i])) yield below[i]
  }
  return undefined
}

/** Whether the ladder takes a file in: one that holds the whole database it never does. */
function isMergeable(inventory: Inventory, file: StoredFile): boolean {
  return file.minTxid > 1 && !isLeftBehind(inventory, file)
}

/**
 * Whether a file has outlived everything that it continued: a fence post, or the newest of a database at rest, which stay
 * when the rest goes. What would be made of it has nothing to stand on, and would be made anew each time it has gone.
 */
function isLeftBehind(inventory: Inventory, { minTxid }: StoredFile): boolean {
  const before = minTxid - 1
  for (let level = LEVEL_SHIPPED; level <= LEVEL_SNAPSHOT; level++) {
    const files = inventory.level(level)
    const file = files.at(firstEndingAt(files, before))
    if (file === undefined || file.minTxid > before) continue
    // From a snapshot of more than that no way leads here.
    if (level === LEVEL_SNAPSHOT && file.maxTxid > before) continue
    if (!inventory.isFencePost(file) || !isLeftBehind(inventory, file)) return false
  }
  return true
}

/**
 * Where, in the level below, what a level has not taken in yet begins. What a level had may be gone, because the levels
 * above it have taken that in.
 */
function indexBehind(inventory: Inventory, level: number): number {
  let reached = 0
  for (let above = level; above < LEVEL_SNAPSHOT; above++) {
    reached = Math.max(reached, inventory.level(above).at(-1)?.maxTxid ?? 0)
  }
  return firstEndingAt(inventory.level(level - 1), reached + 1)
}

function isCovered(inventory: Inventory, file: StoredFile): boolean {
  return coverOf(inventory, file) !== undefined
}

/** The file of the next level that holds everything that this one does, if there is one. */
export function coverOf(inventory: Inventory, file: FileId): StoredFile | undefined {
  return file.level + 1 >= LEVEL_SNAPSHOT ? undefined : holderOn(inventory, file.level + 1, file)
}

/** The file of a level that holds everything that another one does, if there is one. */
function holderOn(inventory: Inventory, level: number, { minTxid, maxTxid }: FileId): StoredFile | undefined {
  const files = inventory.level(level)
  const over = files.at(firstEndingAt(files, maxTxid))
  return over && over.maxTxid >= maxTxid && over.minTxid <= minTxid ? over : undefined
}

/** Files of the level below that have to do with what a file of a level holds, oldest first. */
export function sourcesOf(inventory: Inventory, file: StoredFile): StoredFile[] {
  const below = inventory.level(file.level - 1)
  const sources: StoredFile[] = []
  for (let i = firstEndingAt(below, file.minTxid); i < below.length && below[i].minTxid <= file.maxTxid; i++) {
    if (below[i].minTxid > 1) sources.push(below[i])
  }
  return sources
}

/** Groups files that continue each other by the window in which they were seen; only windows that are over. */
function* windows(files: readonly StoredFile[], span: number, now: number): Generator<StoredFile[]> {
  let group: StoredFile[] = []
  let window = -1
  const isOver = () => group.length > 0 && now >= (window + 1) * span + LATE
  for (const file of files) {
    // Times rise with the transactions; one that does not is a clock that was wrong somewhere.
    const own = Math.max(window, Math.floor(file.timestamp / span))
    const last = group.at(-1)
    if (last && (own !== window || file.minTxid > last.maxTxid + 1)) {
      if (isOver()) yield group
      group = []
    }
    group.push(file)
    window = own
  }
  if (isOver()) yield group
}
