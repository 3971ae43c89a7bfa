import { keepOf, ladderOf } from '../compact/levels.js'
import { renewalInterval } from '../fence/lease.js'
import type { CompactionSettings, DatabaseSettings } from '../settings.js'
import type { Workload } from './assumptions.js'
import type { StoragePrices } from './prices.js'

const HOUR = 3_600_000
const DAY = 24 * HOUR
/** Days of a month: a year in twelve parts. */
const MONTH_DAYS = 365.25 / 12
const GB = 2 ** 30

/** A file holds at least one page, a header, an index and a trailer, in bytes. */
const LEAST_PAGE = 4096
const FRAME = 250
/** Bytes of one part of an upload that is not known beforehand: each is a request. */
const PART = 5 * 2 ** 20
/** Objects on one page of a listing. */
const PAGE = 1000

/** What one database comes to in one storage. Bytes; requests and transfers in a month. */
export interface Usage {
  /** What lies there once nothing is added that nothing else goes for: snapshots, and files of changes. */
  readonly snapshots: number
  readonly changes: number
  /** Bytes that are added in a month and never go. */
  readonly growth: number
  /** Requests that write or list, and that read. */
  readonly writes: number
  readonly reads: number
  /** Bytes read back for merging. */
  readonly merging: number
  /** Bytes to read for one restore of the newest state, and requests. */
  readonly restore: number
  readonly restoreReads: number
}

/** One database of which the estimate is made. */
export interface Estimated {
  /** Of its file, bytes. */
  readonly bytes: number
  readonly settings: DatabaseSettings
  /** How many snapshots of a year's are kept; `undefined` if none ever goes. */
  readonly keptSnapshots: number | undefined
}

/** Snapshots that are taken in a day. */
export function snapshotsPerDay({ snapshot }: DatabaseSettings, { busyHours }: Workload): number {
  const span = Math.min(snapshot.interval || Infinity, snapshot.maxInterval || Infinity)
  // At least one file comes between two of them: what is not written is not snapshot again.
  return span === Infinity || busyHours === 0 ? 0 : span < DAY ? (busyHours * HOUR) / span : DAY / span
}

/** What a database needs of a storage, by what is assumed of its life. */
export function usageOf({ bytes, settings, keptSnapshots }: Estimated, workload: Workload): Usage {
  const { busyHours, turnover, compressed } = workload
  const full = bytes * compressed
  const levels = levelsOf(bytes, settings, workload)
  const perDay = snapshotsPerDay(settings, workload)
  const snapshots = (keptSnapshots ?? 1) * full
  const changes = levels.reduce((sum, level) => sum + level.bytes * level.keptDays, 0)
  const top = levels[levels.length - 1]
  const [shipped, ...merged] = levels
  // Every file of a level is read once to be merged into the next, and what was made of it once to be sure.
  const mergedFiles = merged.reduce((sum, { files }) => sum + files, 0)
  const mergeReads = levels.slice(0, -1).reduce((sum, { files }) => sum + files, 0) + mergedFiles
  const mergeBytes =
    levels.slice(0, -1).reduce((sum, level) => sum + level.bytes, 0) +
    merged.reduce((sum, level) => sum + level.bytes, 0)
  const expires = keptSnapshots !== undefined
  const files = levels.reduce((sum, level) => sum + level.files * level.keptDays, 0) + (keptSnapshots ?? 1)
  // A snapshot goes in parts, with a request before and one after them, and a record beside it.
  const snapshotWrites = perDay * (Math.ceil(full / PART) + 3)
  const listings = expires ? perDay * (Math.ceil(files / PAGE) + 1) : 0
  const changedSince =
    busyHours === 0 ? 0 : Math.min(full, bytes * turnover * compressed * Math.min(1, 1 / (perDay || 1)))
  return {
    snapshots,
    changes,
    growth: expires ? 0 : MONTH_DAYS * (perDay * full + top.bytes),
    writes: MONTH_DAYS * (shipped.files + mergedFiles + snapshotWrites + listings),
    reads: MONTH_DAYS * (mergeReads + (expires ? perDay : 0)),
    merging: MONTH_DAYS * mergeBytes,
    restore: full + changedSince,
    restoreReads:
      Math.ceil(full / PART) + 1 + (perDay > 0 ? Math.ceil(shipped.files / perDay / PAGE) + levels.length : 0),
  }
}

/** Requests of a month by which a process tells one storage that it is alive, however many databases it ships there. */
export function heartbeatsOf(leaseTtl: number, { runningHours }: Workload): number {
  return (MONTH_DAYS * runningHours * HOUR) / renewalInterval(leaseTtl)
}

interface Level {
  /** In a day. */
  files: number
  bytes: number
  keptDays: number
}

/** What each level gets in a day, and for how long it stays. */
function levelsOf(bytes: number, { sync, compaction }: DatabaseSettings, workload: Workload): Level[] {
  const { busyHours, turnover, compressed } = workload
  const active = busyHours * HOUR
  const changed = bytes * turnover * compressed
  const spans = [Math.max(1, sync.interval), ...ladderOf(compaction)]
  const levels: Level[] = []
  for (const [level, span] of spans.entries()) {
    const windows = active === 0 ? 0 : span < DAY ? Math.max(1, active / span) : DAY / span
    const files = Math.min(levels[level - 1]?.files ?? Infinity, windows)
    // No file holds more than every page, and none less than one.
    const each = Math.min(Math.max(changed / (files || 1), LEAST_PAGE * compressed), bytes * compressed) + FRAME
    const below = levels[level - 1]?.bytes ?? Infinity
    levels.push({ files, bytes: Math.min(files * each, below), keptDays: keptDays(compaction, level) })
  }
  return levels
}

/** What is kept for ever is counted for a month here; it is part of the growth. */
function keptDays(compaction: CompactionSettings, level: number): number {
  return Math.min(keepOf(compaction, level) / DAY, MONTH_DAYS)
}

/** What usage costs in a month, in the currency of the prices. */
export interface MonthlyCost {
  readonly stored: number
  readonly requests: number
  readonly egress: number
  readonly total: number
}

export function monthlyCost(usage: Usage, prices: StoragePrices): MonthlyCost {
  const stored = ((usage.snapshots + usage.changes) / GB) * prices.stored
  const requests = (usage.writes / 1000) * prices.write + (usage.reads / 1000) * prices.read
  const egress = (usage.merging / GB) * prices.egress
  return { stored, requests, egress, total: stored + requests + egress }
}

/** What one restore costs. */
export function restoreCost({ restore, restoreReads }: Usage, prices: StoragePrices): number {
  return (restore / GB) * prices.egress + (restoreReads / 1000) * prices.read
}

/** Several databases in one storage. */
export function sumOf(all: readonly Usage[]): Usage {
  const sum = (pick: (usage: Usage) => number) => all.reduce((total, usage) => total + pick(usage), 0)
  return {
    snapshots: sum((usage) => usage.snapshots),
    changes: sum((usage) => usage.changes),
    growth: sum((usage) => usage.growth),
    writes: sum((usage) => usage.writes),
    reads: sum((usage) => usage.reads),
    merging: sum((usage) => usage.merging),
    restore: sum((usage) => usage.restore),
    restoreReads: sum((usage) => usage.restoreReads),
  }
}
