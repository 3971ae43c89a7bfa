/**
 * The public surface of walrust: what a plugin, a preset or an embedding program may import. Importing it loads no
 * vendor's SDK and opens nothing.
 */
export { defineConfig, definePreset } from './config/define.js'
export type { PluginEntry, PluginOptions, PresetEntry, SecretReference, StorageEntry } from './config/entries.js'
export type { DatabaseEntry, WalrustConfig } from './config/generated/types.js'
export type { StoragePrices } from './cost/prices.js'
export { ERRORS, type ErrorCode, type ErrorDetails, EXIT, isError, messageOf, WalrustError } from './errors.js'
export { EVENT_NAMES, type EventName, type WalrustEvent } from './events.js'
export {
  type DatabaseInfo,
  type DecodeRequest,
  type EncodeRequest,
  type FailurePolicy,
  type FrameBatch,
  type FrameReadRequest,
  HOOK_POLICIES,
  type HookName,
  type HookPolicy,
  type Hooks,
  type Merge,
  type PageDedupContext,
  type RetainPlan,
  type UploadRequest,
} from './hooks.js'
export type { Inventory, StoredFile } from './inventory.js'
export type { MetricsRegistry } from './library/metrics.js'
export type {
  Abortable,
  ReadOptions,
  ReplicateOptions,
  RestoreCallOptions,
  SnapshotOptions,
  StorageOptions as StorageCallOptions,
  SyncOptions,
  WalrustOptions,
} from './library/options.js'
export type { Progress, RestoredDatabase } from './library/protocol.js'
export type { Replication } from './library/replication.js'
export { createWalrust, type Walrust } from './library/walrust.js'
export type { Log, LogFields, LogLevel } from './log.js'
export type { FileId, KeyStyle } from './object-keys.js'
export {
  type FailureKind,
  type GetOptions,
  type ListOptions,
  type ObjectBody,
  type ObjectInfo,
  type ObjectMetadata,
  type ObjectStore,
  type PutOptions,
  type StoreCapabilities,
  StoreError,
} from './object-store.js'
export { BasePageSet, LayeredPageSet, type PageCursor, type PageSet } from './pages/page-set.js'
export type { ReplicaStatus } from './replica/replica.js'
export type { IntegrityCheck } from './restore/database-target.js'
export type { BackupFile, BackupHistory, BackupSummary } from './restore/summary.js'
export type { CompactionSettings, RetentionSettings } from './settings.js'
export type { Finding as VerifyFinding, FindingCode } from './verify/finding.js'
export type { VerifyResult } from './verify/verify.js'
export {
  bodyOf,
  checkReceived,
  compareKeys,
  emptyBody,
  exactBody,
  gatherAnswer,
  gatherBody,
  ListingPages,
  refuseUndeclared,
} from './store-rules.js'
export type { CheckpointListener, Plugin, PluginHost, StorageAbout, StoreFactory } from './plugin.js'
export {
  type DatabaseStatus,
  type EngineStatus,
  type Health,
  healthOf,
  healthOfAll,
  healthOfReplica,
  type StorageStatus,
  unshippedSince,
} from './status.js'
export type { CheckpointKind, CheckpointReport } from './wal/checkpointer.js'
export type { RequestKind, Traffic } from './storage/metered-store.js'
export type { StorageLocation } from './storage-url.js'
export { comparePositions, type LogPosition, type WalPosition } from './wal/position.js'
