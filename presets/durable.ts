import { defineConfig } from '../core/config/define.js'

/** For data that is the business: more may wait on this machine, and what was shipped stays there for longer. */
export default defineConfig({
  spool: { maxSize: '20GiB', cacheRetention: '7d', cacheMaxSize: '5GiB' },
})
