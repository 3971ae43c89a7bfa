import { WalrustError } from '../errors.js'
import { type GapFacts, gapsOf } from '../facts.js'
import type { Inventory, StoredFile } from '../inventory.js'
import type { Remote } from '../remote.js'
import { restorablePoints } from './plan.js'

const ISO = /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$/

/** Reads an ISO 8601 moment; without a zone it is local time, as ISO has it. Errors: `E_USAGE`. */
export function parseTime(text: string): number {
  const time = ISO.test(text) ? Date.parse(text.replace(' ', 'T')) : Number.NaN
  if (Number.isNaN(time)) {
    throw new WalrustError('E_USAGE', `"${text}" is not a moment`, { hint: 'Write it as 2026-11-23T10:00:00Z.' })
  }
  return time
}

/**
 * The newest transaction that was observed at or before a moment. Timestamps rise with the transactions, so it is
 * searched for: a few requests, however long the history.
 *
 * Errors: `E_POINT_UNAVAILABLE` for a moment in the future, before the first point, or inside a span whose commits were
 * found by comparing; each names the points on both sides.
 *
 * @param time milliseconds since the epoch
 * @param options `now`: the present moment, likewise
 */
export async function pointInTime(
  remote: Remote,
  inventory: Inventory,
  time: number,
  { now = Date.now(), signal }: { now?: number; signal?: AbortSignal } = {},
): Promise<number> {
  const points = restorablePoints(inventory)
  if (points.length === 0) {
    throw new WalrustError('E_NO_BACKUP', `there is no backup of ${remote.name}`, { database: remote.name })
  }
  const { at, of } = timesOf(remote, inventory, signal)
  const wanted = new Date(time).toISOString()
  let low = 0
  let high = points.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((await at(points[middle])).timestamp <= time) low = middle + 1
    else high = middle
  }
  const unavailable = async (why: string) => {
    const near = points.slice(Math.max(0, low - 1), low + 1)
    const named = await Promise.all(
      near.map(async (point) => `transaction ${point} at ${iso((await at(point)).timestamp)}`),
    )
    return new WalrustError('E_POINT_UNAVAILABLE', `${wanted} ${why}; the nearest: ${named.join(' and ')}`, {
      database: remote.name,
    })
  }
  if (time > now) throw await unavailable('is in the future')
  if (low === 0) throw await unavailable('is before the first point that can be restored')
  if (low < points.length) {
    // A span of a merged file that began before the newest point had ended by then.
    const { timestamp } = await at(points[low - 1])
    const leading = fileBetween(inventory, points[low - 1], points[low])
    const gaps = [...gapsOf(await at(points[low])), ...(leading ? gapsOf(await of(leading)) : [])]
    if (gaps.some((since) => since >= timestamp && since < time)) {
      throw await unavailable('lies where commits were not seen one by one')
    }
  }
  return points[low - 1]
}

/**
 * The file that holds everything between two points, wherever it ends. What ends at the second one may know of itself
 * alone, a snapshot for instance: then only this one still knows how the transactions before it were seen.
 */
function fileBetween(inventory: Inventory, before: number, point: number): StoredFile | undefined {
  for (const file of inventory.files()) {
    if (file.minTxid > 1 && file.minTxid <= before + 1 && file.maxTxid >= point) return file
  }
  return undefined
}

/** Looks up when the state at a transaction, or at the end of a file, was observed, each once. */
function timesOf(remote: Remote, inventory: Inventory, signal: AbortSignal | undefined) {
  const files = new Map<number, StoredFile>()
  for (const file of inventory.files()) if (!files.has(file.maxTxid)) files.set(file.maxTxid, file)
  const known = new Map<StoredFile, GapFacts & { timestamp: number }>()
  const of = async (file: StoredFile) => {
    let times = known.get(file)
    if (!times) {
      const { timestamp = file.timestamp, gapStart, laterGaps } = await remote.times(file, signal)
      times = { timestamp, gapStart, laterGaps }
      known.set(file, times)
    }
    return times
  }
  const at = async (point: number) => {
    const file = files.get(point)
    if (!file) throw new WalrustError('E_INTERNAL', `no file ends at transaction ${point}`)
    return await of(file)
  }
  return { at, of }
}

function iso(time: number): string {
  return new Date(time).toISOString()
}
