import { defineConfig } from '../core/config/define.js'

/**
 * For data that is the business: more may wait on this machine, what was shipped stays there for longer, and every day
 * the backup is proved and restored for trial.
 */
export default defineConfig({
  spool: { maxSize: '20GiB', cacheRetention: '7d', cacheMaxSize: '5GiB' },
  validation: { interval: '1d' },
})
