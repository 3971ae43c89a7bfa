import type { ChecksumMode } from './ltx/header.js'
import type { RetrySettings } from './retry.js'
import type { CheckpointSettings } from './wal/checkpointer.js'

/** Everything the engine needs to know about one database, resolved: no defaults are left open. Times in milliseconds. */
export interface DatabaseSettings {
  sync: { interval: number }
  checkpoint: CheckpointSettings
  snapshot: {
    /** Between two snapshots; 0 for none. */
    interval: number
    onStartup: boolean
  }
  spool: {
    /** Folder to use instead of the state directory. */
    dir: string | undefined
    /** Bytes that may wait on this machine before frames are given up and found by comparing later. */
    maxSize: number
    cacheRetention: number
    cacheMaxSize: number
  }
  ltx: { checksums: ChecksumMode }
  resilience: RetrySettings
  /** Folder for state instead of the one beside the database. */
  stateDir: string | undefined
  adopt: boolean
  /** End with an error when storage cannot be reached after the retries, instead of trying on. */
  giveUp: boolean
}

export const DEFAULT_SETTINGS: DatabaseSettings = {
  sync: { interval: 1000 },
  checkpoint: { interval: 60_000, minPages: 1000, truncateThreshold: 121_359, maxLock: 50 },
  snapshot: { interval: 3_600_000, onStartup: false },
  spool: { dir: undefined, maxSize: 5 * 2 ** 30, cacheRetention: 86_400_000, cacheMaxSize: 2 ** 30 },
  ltx: { checksums: 'portable' },
  resilience: { maxRetries: 5, baseDelay: 100, maxDelay: 30_000 },
  stateDir: undefined,
  adopt: false,
  giveUp: false,
}
