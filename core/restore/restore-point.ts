import { isError } from '../errors.js'
import type { Inventory } from '../inventory.js'
import type { Log } from '../log.js'
import type { Remote } from '../remote.js'
import { firstThatCan, type Listed, tellPassedOver } from './newest-remote.js'
import { planRestore, type RestorePlan } from './plan.js'
import { pointInTime } from './point-in-time.js'
import { restore, type RestoreOptions, type RestoreResult } from './restore.js'

/** What is to be brought back: a transaction, a moment, or the newest state if neither is given. */
export interface WantedPoint {
  readonly txid?: number
  /** Milliseconds since the epoch. */
  readonly time?: number
}

/** How often files may go while they are read before that counts as an error. Each time there is something new there. */
const REPLANS = 10

/** Chooses the files for a point. Errors: those of {@link planRestore} and {@link pointInTime}. */
export async function planPoint(
  remote: Remote,
  inventory: Inventory,
  wanted: WantedPoint,
  signal?: AbortSignal,
): Promise<RestorePlan> {
  const { time, txid = inventory.newest } = wanted
  const target = time === undefined ? txid : await pointInTime(remote, inventory, time, { signal })
  return planRestore(inventory, target, remote.name)
}

/**
 * Restores a point while others go on with the backup: compaction and retention may take files away that the plan
 * names. Then what is there now is listed, and the point is planned anew.
 *
 * @param inventory a listing that was just made
 * Errors: those of {@link planPoint} and {@link restore}; that a file is missing only if the listing still has it.
 */
export async function restorePoint(
  remote: Remote,
  inventory: Inventory,
  wanted: WantedPoint,
  options: RestoreOptions,
): Promise<RestoreResult> {
  for (let attempt = 1, now = inventory; ; attempt++) {
    let tried: readonly string[] | undefined
    try {
      const plan = await planPoint(remote, now, wanted, options.signal)
      tried = plan.files.map(({ key }) => key)
      return await restore(remote, plan, options)
    } catch (error) {
      if (!isError(error, 'E_CHAIN_BROKEN') || attempt > REPLANS) throw error
      const before = tried ?? keysOf(now)
      now = await remote.inventory(options.signal)
      const there = new Set(keysOf(now))
      // Everything that was used is still listed: then it is no file that went which made it fail.
      if (before.every((key) => there.has(key))) throw error
    }
  }
}

/**
 * Restores a point from the first storage that can give it, and says loudly which were passed over.
 *
 * Errors: those of {@link restorePoint}; if no storage can, what it threw for the first
 */
export async function restoreFromFirst(
  listed: readonly Listed[],
  wanted: WantedPoint,
  options: RestoreOptions,
  log: Log,
): Promise<{ remote: Remote; result: RestoreResult }> {
  const from = async ({ remote, inventory }: Listed) => {
    return { remote, result: await restorePoint(remote, inventory, wanted, options) }
  }
  return await firstThatCan(listed, from, tellPassedOver(log))
}

function keysOf(inventory: Inventory): string[] {
  return [...inventory.files()].map(({ key }) => key)
}
