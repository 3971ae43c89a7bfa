import { defineConfig } from '../core/config/define.js'

/** Backups in a folder of this machine, kept by age. For trying things out, and for a folder that is itself copied elsewhere. */
export default defineConfig({
  storage: 'file:walrust-backups',
  compaction: { afterSnapshot: true },
})

/** What `walrust init` writes about storage for this preset. */
export const start: readonly string[] = [
  '// Where backups go. This is what the preset says.',
  "storage: 'file:walrust-backups',",
]
