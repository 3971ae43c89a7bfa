import type { Claim } from '../fence/claim.js'
import type { DatabaseInfo, FrameBatch, Hooks } from '../hooks.js'
import type { Log } from '../log.js'
import type { ChecksumMode } from '../ltx/header.js'
import type { DatabaseView } from '../pages/database-view.js'
import type { Remote } from '../remote.js'
import type { CompactionSettings, RetentionSettings, SnapshotSettings } from '../settings.js'
import type { RetrySettings } from '../storage/health.js'
import type { LogPosition } from '../wal/position.js'
import type { LocalState } from './local-state.js'
import type { Semaphore } from './signal.js'
import type { Announce, Uploader } from './uploader.js'

export interface ShipperSettings {
  /** Milliseconds between two files under continuous writes. */
  interval: number
  checksums: ChecksumMode
  /** Bytes and milliseconds that confirmed files stay in the spool. */
  cacheMaxSize: number
  cacheRetention: number
  /** Ship the difference to a storage that has moved on without this machine. */
  adopt: boolean
  /** Stop when storage cannot be reached after the retries. */
  giveUp: boolean
  resilience: RetrySettings
  snapshot: SnapshotSettings
  compaction: CompactionSettings
  /** `false` never deletes anything. */
  retention: false | RetentionSettings
}

/** What a shipper needs of the database it ships. */
export interface ShipperOwner {
  readonly database: DatabaseInfo
  /** Up to where the WAL has been read. */
  readonly end: LogPosition
  /** When the newest commit read so far was first seen, milliseconds since the epoch. */
  readonly observed: number
  /** The committed frames since a position, as far as the WAL has been read when this is called. */
  frames(since: LogPosition): Promise<FrameBatch>
  /** Runs work that reads pages written after `since`, which may still be in the WAL: it is not restarted meanwhile. */
  reading<T>(since: LogPosition, work: () => Promise<T>): Promise<T>
  /** The same; `work` begins before anything else can happen. */
  readingExactly<T>(work: () => Promise<T>): Promise<T>
  /** Pins and shows the newest state; until the next await, `end` is its position. */
  openView(): DatabaseView
  /** Told when the position may have moved or the shipper does not need frames any more. */
  moved(): void
}

/** What a shipper is given; each of its pieces takes what it needs of that. */
export interface ShipperParts {
  owner: ShipperOwner
  remote: Remote
  hooks: Hooks
  claim: Claim
  uploader: Uploader
  settings: ShipperSettings
  local: LocalState
  /** Bounds scans and snapshots of the whole process. */
  heavy: Semaphore
  announce: Announce
  log: Log
}
