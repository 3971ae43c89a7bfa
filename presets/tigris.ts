import { defineConfig } from '../core/config/define.js'

/** Backups in Tigris, kept by age. `storage` is the bucket with a prefix; credentials come from the `AWS_*` variables. */
export default defineConfig({
  storage: { endpoint: 'https://t3.storage.dev', region: 'auto' },
  compaction: { afterSnapshot: true },
})

/** What `walrust init` writes about storage for this preset. */
export const start: readonly string[] = [
  '// Bucket and prefix. Credentials come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.',
  "storage: 's3://BUCKET/PREFIX',",
]
