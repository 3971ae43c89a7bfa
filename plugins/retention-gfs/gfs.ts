import type { RetentionSettings } from '../../core/index.js'

/** At least so many snapshots stay, whatever the numbers say. */
export const LEAST = 2

const HOUR = 3_600_000
const DAY = 24 * HOUR
const WEEK = 7 * DAY
/** The first Monday after the epoch, which was a Thursday. */
const FIRST_MONDAY = 4 * DAY

/** The bucket of each kind that a moment falls into; all are UTC, and weeks begin on Monday. */
const BUCKETS: Readonly<Record<keyof RetentionSettings, (time: number) => number>> = {
  hourly: (time) => Math.floor(time / HOUR),
  daily: (time) => Math.floor(time / DAY),
  weekly: (time) => Math.floor((time - FIRST_MONDAY) / WEEK),
  monthly: (time) => {
    const date = new Date(time)
    return date.getUTCFullYear() * 12 + date.getUTCMonth()
  },
}

/** A snapshot that stays, and what for: `hourly`, `daily` … or `newest`. */
export interface Kept<T> {
  snapshot: T
  reasons: string[]
}

/**
 * Grandfather, father, son: of each kind the newest buckets that have a snapshot, in each its newest. Buckets without
 * one do not count: a database that was not watched for a month does not lose its history for that.
 *
 * @param snapshots in any order
 * @returns those that stay, oldest first
 */
export function chooseKept<T extends { timestamp: number; maxTxid: number }>(
  snapshots: readonly T[],
  settings: RetentionSettings,
): Array<Kept<T>> {
  const newestFirst = [...snapshots].sort((a, b) => b.timestamp - a.timestamp || b.maxTxid - a.maxTxid)
  const reasons = new Map<T, string[]>()
  const keep = (snapshot: T, reason: string) => reasons.set(snapshot, [...(reasons.get(snapshot) ?? []), reason])
  const newest = snapshots.reduce<T | undefined>((a, b) => (a && a.maxTxid > b.maxTxid ? a : b), undefined)
  if (newest) keep(newest, 'newest')
  for (const kind of Object.keys(BUCKETS) as Array<keyof RetentionSettings>) {
    const seen = new Set<number>()
    for (const snapshot of newestFirst) {
      const bucket = BUCKETS[kind](snapshot.timestamp)
      if (seen.size >= settings[kind] || seen.has(bucket)) continue
      seen.add(bucket)
      keep(snapshot, kind)
    }
  }
  for (const snapshot of newestFirst) {
    if (reasons.size >= LEAST) break
    if (!reasons.has(snapshot)) keep(snapshot, 'at least two')
  }
  return newestFirst
    .flatMap((snapshot) => {
      const why = reasons.get(snapshot)
      return why ? [{ snapshot, reasons: why }] : []
    })
    .reverse()
}
