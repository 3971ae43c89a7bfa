import type { ChecksumMode } from './ltx/header.js'
import type { ProofDepth } from './verify/prove.js'
import type { BreakerSettings, RetrySettings } from './storage/health.js'
import type { CheckpointSettings } from './wal/checkpointer.js'

/** When snapshots are taken beside the first one. Times in milliseconds; 0 is off. */
export interface SnapshotSettings {
  /** Between two snapshots, while there are changes. */
  interval: number
  /** After so many transactions since the newest snapshot. */
  maxChanges: number
  /** At the latest so long after the first change since the newest snapshot. */
  maxInterval: number
  /** After so long without a commit, if there were changes. */
  onIdle: number
  onStartup: boolean
}

/** What is merged and how long each kind of file stays. Milliseconds. */
export interface CompactionSettings {
  /** Apply retention after each snapshot. */
  afterSnapshot: boolean
  /** Between two applications of retention; 0 is off. */
  interval: number
  /** The span of one file of level 1, 2, 3 …, ascending. */
  levels: readonly number[]
  /** How long files of level 0, 1, 2 … stay after they have been merged into a higher one. */
  keep: readonly number[]
}

/** How many of the newest hours, days, weeks and months keep their newest snapshot. */
export interface RetentionSettings {
  hourly: number
  daily: number
  weekly: number
  monthly: number
}

/** Everything the engine needs to know about one database, resolved: no defaults are left open. Times in milliseconds. */
export interface DatabaseSettings {
  sync: { interval: number }
  checkpoint: CheckpointSettings
  snapshot: SnapshotSettings
  compaction: CompactionSettings
  /** `false` never deletes a snapshot. */
  retention: false | RetentionSettings
  /** Between two proofs of what lies in storage, 0 is off, and how much of it they read. */
  validation: { interval: number; depth: ProofDepth }
  spool: {
    /** Folder to use instead of the state directory. */
    dir: string | undefined
    /** Bytes that may wait on this machine before frames are given up and found by comparing later. */
    maxSize: number
    cacheRetention: number
    cacheMaxSize: number
  }
  ltx: { checksums: ChecksumMode }
  resilience: RetrySettings & {
    /** When a storage that fails is left alone. What the first database says that is shipped there counts for all. */
    circuitBreaker: false | BreakerSettings
  }
  /** Folder for state instead of the one beside the database. */
  stateDir: string | undefined
  adopt: boolean
  /** End with an error when storage cannot be reached after the retries, instead of trying on. */
  giveUp: boolean
}

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

export const DEFAULT_SETTINGS: DatabaseSettings = {
  sync: { interval: SECOND },
  checkpoint: { interval: MINUTE, minPages: 1000, truncateThreshold: 121_359, maxLock: 50 },
  snapshot: { interval: HOUR, maxChanges: 0, maxInterval: 0, onIdle: 0, onStartup: false },
  compaction: {
    afterSnapshot: false,
    interval: 0,
    levels: [30 * SECOND, 5 * MINUTE, HOUR],
    keep: [HOUR, DAY, 7 * DAY, 30 * DAY],
  },
  retention: { hourly: 24, daily: 7, weekly: 12, monthly: 12 },
  validation: { interval: 0, depth: 'quick' },
  spool: { dir: undefined, maxSize: 5 * 2 ** 30, cacheRetention: DAY, cacheMaxSize: 2 ** 30 },
  ltx: { checksums: 'portable' },
  resilience: {
    maxRetries: 5,
    baseDelay: 100,
    maxDelay: 30 * SECOND,
    circuitBreaker: { threshold: 10, cooldown: MINUTE },
  },
  stateDir: undefined,
  adopt: false,
  giveUp: false,
}
