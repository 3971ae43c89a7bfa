import { defineConfig } from '../core/config/define.js'

/** For data that is the business: what lies in storage is verified every day, and more fits on this machine. */
export default defineConfig({
  validation: { interval: '24h' },
  spool: { maxSize: '20GiB', cacheRetention: '7d', cacheMaxSize: '5GiB' },
})
