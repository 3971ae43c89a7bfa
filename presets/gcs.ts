import { defineConfig } from '../core/config/define.js'

/**
 * Backups in Google Cloud Storage, kept by age. `storage` is the bucket with a prefix; credentials are those of the
 * machine, or of the file that `GOOGLE_APPLICATION_CREDENTIALS` names.
 */
export default defineConfig({
  compaction: { afterSnapshot: true },
})

/** What `walrust init` writes about storage for this preset. */
export const start: readonly string[] = [
  '// Bucket and prefix. Credentials come from GOOGLE_APPLICATION_CREDENTIALS.',
  "storage: 'gs://BUCKET/PREFIX',",
]
