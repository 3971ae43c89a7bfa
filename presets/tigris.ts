import { defineConfig } from '../core/config/define.js'

/** Backups in Tigris, kept by age. `storage` is the bucket with a prefix; credentials come from the `AWS_*` variables. */
export default defineConfig({
  storage: { endpoint: 'https://t3.storage.dev', region: 'auto' },
  compaction: { afterSnapshot: true },
})
