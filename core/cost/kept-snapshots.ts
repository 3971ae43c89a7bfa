import type { Hooks, RetainPlan } from '../hooks.js'
import { Inventory } from '../inventory.js'
import { LEVEL_SNAPSHOT } from '../object-keys.js'
import type { DatabaseSettings } from '../settings.js'

const DAY = 86_400_000
/** Days gone through: more than the longest that is usual. */
const DAYS = 400
/** So many a day at most are told apart. */
const MOST = 96

/** Whether anything is ever deleted. */
export function expires({ compaction, retention }: DatabaseSettings): boolean {
  return retention !== false && (compaction.afterSnapshot || compaction.interval > 0)
}

/**
 * How many snapshots lie there after a year, as the plugins say that decide it: they are asked about snapshots that
 * might have been taken. `undefined` if none is ever deleted.
 *
 * @param perDay snapshots that are taken in a day
 * @param now milliseconds since the epoch
 */
export async function keptSnapshots(
  hooks: Hooks,
  settings: DatabaseSettings,
  perDay: number,
  now: number,
): Promise<number | undefined> {
  const { compaction, retention } = settings
  if (!expires(settings) || retention === false) return undefined
  if (perDay === 0) return 1
  const inventory = new Inventory()
  const step = DAY / Math.min(perDay, MOST)
  const count = Math.max(1, Math.floor((DAYS * DAY) / step))
  for (let txid = 1; txid <= count; txid++) {
    const timestamp = Math.round(now - (count - txid) * step)
    inventory.add({ level: LEVEL_SNAPSHOT, minTxid: 1, maxTxid: txid, key: `${txid}`, size: 1, timestamp })
  }
  const asked: RetainPlan = {
    ...{ database: 'estimate', inventory, now, retention, remove: [], merge: [], notes: [] },
    compaction: { ...compaction, levels: [] },
  }
  const { remove } = await hooks.retain.promise(asked)
  const gone = new Set(remove.filter(({ level }) => level === LEVEL_SNAPSHOT).map(({ maxTxid }) => maxTxid))
  return Math.max(1, count - gone.size)
}
