/**
 * The six places where plugins do walrust's work, in the order in which data meets them. This table is the
 * architecture: the core decides when each is called and what its failure means, plugins decide what happens.
 */
import { AsyncParallelHook, AsyncSeriesBailHook, AsyncSeriesWaterfallHook } from 'tapable'
import type { LtxHeader } from './ltx/header.js'
import type { ObjectBody, ObjectInfo, ObjectMetadata, ObjectStore } from './object-store.js'
import type { FileId } from './object-keys.js'
import type { PageSet } from './pages/page-set.js'
import type { LogPosition, WalPosition } from './wal/position.js'
import type { WalrustEvent } from './events.js'
import type { Inventory } from './inventory.js'
import type { CompactionSettings, RetentionSettings } from './settings.js'

/** The database a payload belongs to. */
export interface DatabaseInfo {
  /** Its name in storage. */
  readonly name: string
  /** Path of its file. */
  readonly path: string
  /** Folder for what is kept on this machine about it. */
  readonly stateDir: string
}

/**
 * Committed frames between two positions: of each page the newest version. Ordered by page, read as often as needed.
 */
export interface FrameBatch {
  /** The batch holds everything committed after this … */
  readonly from: LogPosition
  /** … up to and with this, which is a commit. */
  readonly to: LogPosition
  /** `to` as it can be proved against the WAL file, if there is one. */
  readonly proof: WalPosition | undefined
  /** Bytes it takes on disk outside the WAL. */
  readonly bytes: number
  /**
   * The pages written after `since`, which is not before `from`, as they are at `to`. There may be others among them:
   * what did not change is left out later, by its checksum.
   */
  pages(since: LogPosition): PageSet
  /** Nobody reads the batch any more. Until then what it was made of stays readable, whatever is trimmed. */
  close(): void
  /** Everything up to `upTo` is in the spool of every storage: what was kept for it may go. */
  trim(upTo: LogPosition): Promise<void> | void
}

export interface FrameReadRequest {
  /**
   * - `recover`: at start: what does the tap still hold of `database` from an earlier run? (there is no `wal` yet)
   * - `release`: the WAL is about to be restarted: keep the frames in `wal`, so that they are no longer needed there
   * - `ship`: the committed frames since `since`, for a file
   */
  readonly reason: 'recover' | 'release' | 'ship'
  readonly database: DatabaseInfo
  readonly pageSize: number
  readonly since: LogPosition
  /** What is still in the WAL itself. Readable only while the hook runs, or until the pass that called it ends. */
  readonly wal: FrameBatch | undefined
}

/** One file in the making. */
export interface EncodeRequest {
  readonly database: DatabaseInfo
  readonly header: LtxHeader
  readonly pages: PageSet
  /**
   * What the file consists of so far. The first tap makes it from `pages`, unless it was merged from other files: then
   * it is there from the beginning, and `pages` is empty. A transform wraps it.
   */
  readonly body: ObjectBody | undefined
  /** Transforms applied, in order: each adds its name. They are recorded with the object. */
  readonly codecs: readonly string[]
}

/** One stored file on its way back. */
export interface DecodeRequest {
  readonly database: string
  readonly body: ObjectBody
  /** Transforms that are still around the LTX file; the last one is the outermost. Each tap takes its own off. */
  readonly codecs: readonly string[]
}

/** One file on its way to one storage. */
export interface UploadRequest {
  readonly database: DatabaseInfo
  readonly store: ObjectStore
  readonly file: FileId
  readonly key: string
  /** The file's bytes; may be called again for another attempt. */
  readonly body: () => ObjectBody
  readonly metadata: ObjectMetadata
  /** Known for files from the spool, not for snapshots, which are never staged. */
  readonly size: number | undefined
  readonly sha256: string | undefined
  /** Milliseconds since the epoch. */
  readonly timestamp: number
  readonly signal: AbortSignal
}

/** Files to be merged into one of a higher level. */
export interface Merge {
  readonly level: number
  /** Oldest first, each continuing the one before it. */
  readonly sources: readonly FileId[]
}

/**
 * What should happen to the files of one database in one storage.
 *
 * A tap names what it has no use for; it need not know what depends on what. Every point at which a file ends that no
 * tap names stays a point that can be restored: the core keeps whatever it takes for that, and the newest of all.
 */
export interface RetainPlan {
  readonly database: string
  /** What lies there. Times of snapshots are exact. */
  readonly inventory: Inventory
  /** Milliseconds since the epoch. */
  readonly now: number
  readonly compaction: CompactionSettings
  /** How many snapshots to keep; `undefined` when it is not their turn: then only what has been merged may go. */
  readonly retention: RetentionSettings | undefined
  /** Files that may go. */
  readonly remove: readonly FileId[]
  /** In the order in which it is to be done: later merges may take what earlier ones give. */
  readonly merge: readonly Merge[]
  /** For people: why. */
  readonly notes: readonly string[]
}

export const createHooks = () =>
  Object.freeze({
    /** The committed frames since a position. The first tap that answers is taken; if none does, the WAL itself is. */
    frameRead: new AsyncSeriesBailHook<[FrameReadRequest], FrameBatch | undefined>(['request'], 'frameRead'),
    /** The pages of the next file, in order, each once. A tap may leave out pages that did not change. */
    pageDedup: new AsyncSeriesWaterfallHook<[PageSet, PageDedupContext]>(['pages', 'context'], 'pageDedup'),
    /** Pages to bytes: LTX first, then transforms. */
    encode: new AsyncSeriesWaterfallHook<[EncodeRequest]>(['request'], 'encode'),
    /** The mirror of `encode`: transforms are taken off, the last one first. */
    decode: new AsyncSeriesWaterfallHook<[DecodeRequest]>(['request'], 'decode'),
    /** One file to one storage. The tap of that storage answers with what it stored; the others stay silent. */
    upload: new AsyncSeriesBailHook<[UploadRequest], ObjectInfo | undefined>(['request'], 'upload'),
    /** Which files may go and which should be merged. */
    retain: new AsyncSeriesWaterfallHook<[RetainPlan]>(['plan'], 'retain'),
    /** Something that somebody should hear of. */
    notify: new AsyncParallelHook<[WalrustEvent]>(['event'], 'notify'),
  })

/** What a dedup tap may hold the pages against. */
export interface PageDedupContext {
  readonly database: DatabaseInfo
  /** Checksums of the pages as they are in storage now. */
  readonly stored: { matches(page: number, high: number, low: number): boolean }
}

export type Hooks = ReturnType<typeof createHooks>
export type HookName = keyof Hooks

/**
 * What the core does when a tap fails or does not settle in time.
 * - `stop-pass`: the pass ends, the position stays, the next pass tries again
 * - `retry`: tried again by policy; the position stays
 * - `report`: logged and notified; shipping goes on
 * - `count`: counted, never raised
 * - `raise`: the command that called it fails
 */
export type FailurePolicy = 'stop-pass' | 'retry' | 'report' | 'count' | 'raise'

export interface HookPolicy {
  readonly onFailure: FailurePolicy
  /** Milliseconds a tap has … */
  readonly deadline: number
  /** … for one call, or, where that may take hours, for each piece of the body that it was given. */
  readonly per: 'call' | 'piece'
}

/**
 * Failure policy of every hook, as data: no other place decides it.
 *
 * An upload has longer than a request of a store has without movement (storage/metered-store.ts): a storage that hangs
 * is found out first, and is not taken for a plugin that does.
 */
export const HOOK_POLICIES: Readonly<Record<HookName, HookPolicy>> = Object.freeze({
  frameRead: { onFailure: 'stop-pass', deadline: 60_000, per: 'call' },
  pageDedup: { onFailure: 'stop-pass', deadline: 60_000, per: 'call' },
  encode: { onFailure: 'stop-pass', deadline: 60_000, per: 'call' },
  decode: { onFailure: 'raise', deadline: 60_000, per: 'call' },
  upload: { onFailure: 'retry', deadline: 900_000, per: 'piece' },
  retain: { onFailure: 'report', deadline: 300_000, per: 'call' },
  notify: { onFailure: 'count', deadline: 30_000, per: 'call' },
})
