/**
 * Which points storage has to have, worked out from the contract and from nothing of the engine's: every transaction for
 * as long as level 0 keeps it, then the last one of each window of each level, then snapshots by grandfather, father and
 * son.
 */
import { join } from 'node:path'
import { parseKey } from '../../core/object-keys.js'
import type { ObjectInfo } from '../../core/object-store.js'
import type { DatabaseSettings } from '../../core/settings.js'
import { realFs } from './real-fs.js'
import { graveyard } from './sim-store.js'

const HOUR = 3_600_000
/** The first Monday after the epoch, milliseconds. */
const MONDAY = 4 * 24 * HOUR

/** Everything that ever was in a storage, also what was deleted since. */
export interface Ledger {
  /** When each transaction was observed, milliseconds since the epoch. */
  readonly times: ReadonlyMap<number, number>
  /** Transactions of snapshots. */
  readonly snapshots: ReadonlySet<number>
  /** Transactions that hold commits nobody saw one by one, and when the first of those can have been. */
  readonly gaps: ReadonlyMap<number, number>
}

export function readLedger(folder: string, name: string): Ledger {
  const times = new Map<number, number>()
  const snapshots = new Set<number>()
  const gaps = new Map<number, number>()
  for (const [path, file] of [folder, graveyard(folder)].flatMap(objects)) {
    const key = decodeURIComponent(file)
    const content = realFs.readFileSync(join(path, file))
    const end = content.indexOf(0x0a)
    const sidecar = /\/walrust\/[09]\/[0-9a-f]{16}-([0-9a-f]{16})\.json$/.exec(key)
    if (sidecar) {
      noteGap(gaps, Number.parseInt(sidecar[1], 16), content.toString('utf8', end + 1))
      continue
    }
    const id = parseKey('flat', key)
    if (id?.name !== name) continue
    const header = content.toString('utf8', 0, end)
    const { timestamp } = JSON.parse(header) as ObjectInfo
    times.set(id.maxTxid, Math.min(timestamp, times.get(id.maxTxid) ?? Infinity))
    if (id.level === 9) snapshots.add(id.maxTxid)
    // A merged file speaks for all that it holds.
    if (id.level === 0 || id.level === 9) noteGap(gaps, id.maxTxid, header)
  }
  return { times, snapshots, gaps }
}

/**
 * The transactions that have to be there.
 *
 * @param latest the latest that any clock of an engine has shown, milliseconds since the epoch
 */
export function promisedPoints(
  { times, snapshots }: Ledger,
  { compaction, retention }: Pick<DatabaseSettings, 'compaction' | 'retention'>,
  latest: number,
): Set<number> {
  const all = [...times].sort(([a], [b]) => a - b)
  if (retention === false) return new Set(times.keys())
  const { levels, keep } = compaction
  const points = new Set<number>()
  for (const [index, [txid, time]] of all.entries()) {
    const next = all.at(index + 1)?.[1] ?? Infinity
    const age = latest - time
    const isLastOf = (span: number) => Math.floor(next / span) > Math.floor(time / span)
    const kept =
      age <= keep[0] || levels.some((span, i) => age <= (keep[i + 1] ?? keep[keep.length - 1]) && isLastOf(span))
    if (kept || next === Infinity) points.add(txid)
  }
  for (const txid of keptSnapshots(times, snapshots, retention)) points.add(txid)
  return points
}

const PERIODS: Readonly<Record<'hourly' | 'daily' | 'weekly' | 'monthly', (time: number) => string>> = {
  hourly: (time) => new Date(time).toISOString().slice(0, 13),
  daily: (time) => new Date(time).toISOString().slice(0, 10),
  weekly: (time) => String(Math.floor((time - MONDAY) / (7 * 24 * HOUR))),
  monthly: (time) => new Date(time).toISOString().slice(0, 7),
}

function keptSnapshots(
  times: ReadonlyMap<number, number>,
  snapshots: ReadonlySet<number>,
  retention: Exclude<DatabaseSettings['retention'], false>,
): Set<number> {
  const ascending = [...snapshots].sort((a, b) => a - b)
  const kept = new Set(ascending.slice(-1))
  for (const period of ['hourly', 'daily', 'weekly', 'monthly'] as const) {
    // The last of each period stays in the map.
    const last = new Map(ascending.map((txid) => [PERIODS[period](times.get(txid) ?? 0), txid]))
    for (const txid of retention[period] > 0 ? [...last.values()].slice(-retention[period]) : []) kept.add(txid)
  }
  return kept
}

function objects(folder: string): Array<[string, string]> {
  if (!realFs.existsSync(folder)) return []
  return realFs.readdirSync(folder).flatMap((file) => (file.endsWith('.tmp') ? [] : [[folder, file]]))
}

/** What is recorded of a file may say since when commits were not seen. */
function noteGap(gaps: Map<number, number>, txid: number, record: string): void {
  const found = /"walrust-gap[a-z-]*":"([^"]+)"/.exec(record)
  if (!found) return
  const time = Date.parse(found[1])
  gaps.set(txid, Math.min(Number.isNaN(time) ? Number(found[1]) : time, gaps.get(txid) ?? Infinity))
}
