import type { Plugin, RetainPlan } from '../../core/index.js'
import { chooseKept } from './gfs.js'

/** Holds the whole database. */
const SNAPSHOTS = 9

/**
 * Keeps the newest snapshot of each of the newest hours, days, weeks and months, and lets the others go. What the
 * points in between still need of them is for the core to know.
 */
export function retentionGfs(): Plugin {
  return {
    name: 'walrust:retention-gfs',
    apply(host) {
      host.hooks.retain.tap('walrust:retention-gfs', removeSnapshots)
    },
  }
}

function removeSnapshots(plan: RetainPlan): RetainPlan {
  if (!plan.retention) return plan
  const snapshots = plan.inventory.level(SNAPSHOTS)
  const kept = chooseKept(snapshots, plan.retention)
  const stay = new Set(kept.map(({ snapshot }) => snapshot))
  const notes = kept.map(
    ({ snapshot: { maxTxid, timestamp }, reasons }) =>
      `the snapshot of transaction ${maxTxid} at ${new Date(timestamp).toISOString()} stays: ${reasons.join(', ')}`,
  )
  return {
    ...plan,
    remove: [...plan.remove, ...snapshots.filter((file) => !stay.has(file))],
    notes: [...plan.notes, ...notes],
  }
}
