import { defineConfig } from '../core/config/define.js'

/**
 * Backups in S3 or what speaks its protocol, kept by age. `storage` is the bucket with a prefix; credentials and region
 * come from the usual `AWS_*` variables, a profile, or the role of the machine.
 */
export default defineConfig({
  compaction: { afterSnapshot: true },
})

/** What `walrust init` writes about storage for this preset. */
export const start: readonly string[] = [
  '// Bucket and prefix. Credentials come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.',
  "storage: 's3://BUCKET/PREFIX',",
]
