import type { FileId, Plugin } from '../../core/index.js'

const NAME = 'walrust-plugin-keep-snapshots'
const SNAPSHOT = 9

/** A retention policy as a third party might write it: so many snapshots, or with 0 everything goes that it sees. */
export default function keepSnapshots({ count }: { count: number }): Plugin {
  return {
    name: NAME,
    walrust: '>=0.1',
    apply({ hooks }) {
      hooks.retain.tap(NAME, (plan) => {
        if (!plan.retention) return plan
        const snapshots = plan.inventory.level(SNAPSHOT)
        const remove: FileId[] = count > 0 ? snapshots.slice(0, -count) : [...plan.inventory.files()]
        return { ...plan, remove: [...plan.remove, ...remove], notes: [...plan.notes, `${count} snapshots stay`] }
      })
    },
  }
}
