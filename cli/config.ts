import { type DatabaseSettings, DEFAULT_SETTINGS } from '../core/settings.js'
import type { ResolvedConfig } from '../core/config/resolved.js'
import { shadowWal } from '../plugins/shadow-wal/index.js'
import { storageFile } from '../plugins/storage-file/index.js'
import { storageMemory } from '../plugins/storage-memory/index.js'
import { storageS3 } from '../plugins/storage-s3/index.js'
import { asUrl, DEFAULT_STORAGE } from './context.js'

/** What the flags of `watch` and its relatives can say. */
export interface Flags {
  bucket?: string
  syncInterval?: number
  snapshotInterval?: number
  onStartup?: boolean
  checkpointInterval?: number
  minCheckpointPages?: number
  walTruncateThreshold?: number
  maxRetries?: number
  baseDelay?: number
  maxDelay?: number
  uploadConcurrency?: number
  shadowWal?: boolean
  spoolDir?: string
  spoolMaxSize?: number
  cacheRetention?: number
  cacheMaxSize?: number
  stateDir?: string
  shutdownTimeout?: number
  adopt?: boolean
}

/** The configuration that the flags alone make. */
export function configFromFlags(paths: readonly string[], flags: Flags, giveUp: boolean): ResolvedConfig {
  const settings = { ...settingsOf(flags), giveUp }
  const storages = [{ url: asUrl(flags.bucket ?? DEFAULT_STORAGE), options: {} }]
  const frames = flags.shadowWal === false ? [] : [shadowWal()]
  return {
    databases: paths.map((path) => ({ path, name: undefined, settings, storages })),
    plugins: [storageFile(), storageMemory(), storageS3(), ...frames],
    upload: { concurrency: flags.uploadConcurrency ?? 4 },
    lease: { ttl: 20_000 },
    health: { maxLag: 300_000 },
    metrics: false,
    shadowWal: flags.shadowWal !== false,
    shutdownTimeout: flags.shutdownTimeout ?? 10_000,
    log: { level: 'info', format: undefined },
  }
}

/** Settings from the flags that were typed. */
function settingsOf(flags: Flags): DatabaseSettings {
  const { sync, checkpoint, snapshot, spool, resilience } = DEFAULT_SETTINGS
  return {
    ...DEFAULT_SETTINGS,
    sync: { interval: flags.syncInterval ?? sync.interval },
    checkpoint: {
      ...checkpoint,
      interval: flags.checkpointInterval ?? checkpoint.interval,
      minPages: flags.minCheckpointPages ?? checkpoint.minPages,
      truncateThreshold: flags.walTruncateThreshold ?? checkpoint.truncateThreshold,
    },
    snapshot: {
      ...snapshot,
      interval: flags.snapshotInterval ?? snapshot.interval,
      onStartup: flags.onStartup ?? snapshot.onStartup,
    },
    spool: {
      dir: flags.spoolDir,
      maxSize: flags.spoolMaxSize ?? spool.maxSize,
      cacheRetention: flags.cacheRetention ?? spool.cacheRetention,
      cacheMaxSize: flags.cacheMaxSize ?? spool.cacheMaxSize,
    },
    resilience: {
      ...resilience,
      maxRetries: flags.maxRetries ?? resilience.maxRetries,
      baseDelay: flags.baseDelay ?? resilience.baseDelay,
      maxDelay: flags.maxDelay ?? resilience.maxDelay,
    },
    stateDir: flags.stateDir,
    adopt: flags.adopt ?? false,
  }
}
