import type { StoragePrices } from './cost/prices.js'
import type { Hooks } from './hooks.js'
import type { Log } from './log.js'
import type { ObjectStore } from './object-store.js'
import type { EngineStatus } from './status.js'
import type { Traffic } from './storage/metered-store.js'
import type { StorageLocation } from './storage-url.js'
import type { CheckpointReport } from './wal/checkpointer.js'

/** Makes a store for a location whose scheme the plugin has registered. Nothing is opened before `check` or first use. */
export type StoreFactory = (location: StorageLocation) => ObjectStore | Promise<ObjectStore>

/** What a plugin can tell of a storage without opening it. */
export interface StorageAbout {
  /** What it costs to keep objects at a location, for `walrust explain`; `undefined` where that is not known. */
  prices?(location: StorageLocation): StoragePrices | undefined
}

/** Told of every checkpoint of a database, right after it. Must not throw, and be quick: writers may be waiting. */
export type CheckpointListener = (database: string, report: CheckpointReport) => void

/** What a plugin gets to work with. */
export interface PluginHost {
  /** The six hooks. A plugin taps them under its own name. */
  readonly hooks: Hooks
  /** Where the plugin says what it does. */
  readonly log: Log
  /** Version of walrust. */
  readonly version: string
  /** How the engine is now: cheap, may be asked for often. `undefined` where none runs (restore, list …). */
  status(): EngineStatus | undefined
  /** What was asked of every storage that was opened, by its URL: counts that go on while they are looked at. */
  traffic(): ReadonlyMap<string, Traffic>
  /** Hears of checkpoints. A plugin registers in `apply`. */
  onCheckpoint(listener: CheckpointListener): void
  /** Registers a storage for URLs with this scheme (`file`, `s3` …). The core taps `upload` for each store it opens. */
  registerStorage(scheme: string, factory: StoreFactory, about?: StorageAbout): void
}

/**
 * A plugin, in four beats: a name, options given to whatever made it, `apply` that only taps and registers, and work
 * in the taps. Sockets, timers and files belong in `start`, and are let go in `stop`.
 */
export interface Plugin {
  readonly name: string
  /** The versions of walrust it works with, as a range: `>=0.1 <2`. */
  readonly walrust?: string
  /** Names of other plugins that have to be there too. */
  readonly needs?: readonly string[]
  /** What a storage of a scheme may be configured with beside its URL, as JSON schemas by scheme. */
  readonly storageOptions?: Readonly<Record<string, object>>
  apply(host: PluginHost): void
  /** Called before the first byte is shipped; throws if something is not as it must be. Has a minute. */
  check?(): Promise<void> | void
  /** Has a minute, too. */
  start?(): Promise<void> | void
  /** Awaited within the shutdown timeout, in the reverse order of `start`. */
  stop?(): Promise<void> | void
}
