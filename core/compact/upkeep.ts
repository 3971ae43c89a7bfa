import { isError, messageOf, WalrustError } from '../errors.js'
import type { DatabaseInfo, Hooks, Merge, RetainPlan } from '../hooks.js'
import { type Inventory, type StoredFile } from '../inventory.js'
import type { Log } from '../log.js'
import { type FileId, LEVEL_SHIPPED, LEVEL_SNAPSHOT } from '../object-keys.js'
import type { Remote } from '../remote.js'
import type { CompactionSettings, RetentionSettings } from '../settings.js'
import { checkMerged } from './check-merged.js'
import { coverOf, levelsDue, merged, passedFencePosts, sourcesOf } from './levels.js'
import { type LocalFiles, mergeFiles } from './merge-files.js'
import { withoutPromised } from './promised.js'
import { protect } from './protect.js'

export interface UpkeepParts {
  database: DatabaseInfo
  remote: Remote
  hooks: Hooks
  compaction: CompactionSettings
  /** `false` never deletes anything. */
  retention: false | RetentionSettings
  /** Folder for files in the making that do not fit into memory. */
  folder: string
  log: Log
  /** Milliseconds since the epoch. Default: the system's clock. */
  now?: () => number
  /** Whoever else writes there is told of removals by this. Without it nobody is: for a process that has no claim. */
  removals?: RemovalLog
  /** Files that merging does not have to fetch. */
  local?: LocalFiles
  /** Keys of merged files that must not be made: somebody who slept may still delete what is there. */
  avoided?: ReadonlySet<string>
}

export interface RemovalLog {
  /** Asked before files are made: throws if it is known that somebody else has taken over. */
  confirm(signal: AbortSignal): Promise<void>
  /**
   * Told right before files are deleted; throws if somebody else has taken over. Files that it was told of are deleted
   * before anything else is, however often that fails.
   */
  begin(files: readonly FileId[], signal: AbortSignal): Promise<void>
  /** Everything that it was told of is gone. */
  done(signal: AbortSignal): Promise<void>
}

/** What is to be done, and what it comes to. */
export interface UpkeepPlan {
  merge: readonly Merge[]
  remove: readonly StoredFile[]
  /** What was to go and stays, because a point that stays needs it. */
  needed: readonly StoredFile[]
  /** Every point that can be restored afterwards, ascending. */
  points: readonly number[]
  notes: readonly string[]
}

export interface UpkeepResult {
  /** Files that were made by merging. */
  merged: StoredFile[]
  removed: StoredFile[]
  /** Bytes of what was removed. */
  freed: number
}

/** So many files are deleted before it is asked again whether this process may. */
const BATCH = 200

/**
 * Keeps what lies in storage for one database small: merges files into levels, removes what has been merged and is
 * over, and, when it is their turn, snapshots that retention does not keep.
 *
 * Every step can be the last: a merged file is whole or not there; what is deleted is needed by nothing that stays, in
 * whatever order it goes. docs/architecture.md has the states.
 */
export class Upkeep {
  readonly #parts: UpkeepParts
  readonly inventory: Inventory
  /** Snapshots whose time is known exactly: a listing of some stores has the time of the upload. */
  readonly #exact = new Map<string, number>()
  /** What was written down and is not known to be deleted. */
  #announced: readonly FileId[] = []
  /** What was to go by the last plan and had to stay. */
  #needed: ReadonlySet<StoredFile> = new Set()
  /** Keys of merged files that this process has read back. */
  readonly #sound = new Set<string>()

  /** @param inventory from a complete listing, kept up to date by whoever writes */
  constructor(parts: UpkeepParts, inventory: Inventory) {
    this.#parts = parts
    this.inventory = inventory
  }

  get #now(): number {
    return (this.#parts.now ?? Date.now)()
  }

  /** When there is something to do for the levels, milliseconds since the epoch; `Infinity` if nothing will be. */
  get due(): number {
    const { compaction, retention } = this.#parts
    const { inventory } = this
    return levelsDue({ inventory, compaction, now: this.#now, removes: retention !== false, needed: this.#needed })
  }

  /**
   * What there is to do now.
   *
   * @param retention whether snapshots, and files that nothing has taken in, may go as well
   */
  async plan(retention: boolean, signal?: AbortSignal): Promise<UpkeepPlan> {
    const { hooks, remote, compaction, retention: settings } = this.#parts
    const { inventory } = this
    if (retention) await this.#exactTimes(signal)
    const empty: RetainPlan = {
      ...{ database: remote.name, inventory, now: this.#now, compaction },
      ...{ retention: retention && settings ? settings : undefined, remove: [], merge: [], notes: [] },
    }
    const plan = await hooks.retain.promise(empty)
    const found = plan.remove.flatMap((id) => inventory.find(id) ?? [])
    const passed = passedFencePosts(inventory, compaction, this.#now)
    const wanted = settings === false ? [] : [...withoutPromised(inventory, found, compaction, this.#now), ...passed]
    const safe = protect(inventory, wanted, remote.name)
    this.#needed = new Set(safe.needed)
    // A fence post stays, though nothing has to stay for it.
    const remove = safe.remove.filter((file) => !inventory.isFencePost(file))
    return { merge: plan.merge, notes: plan.notes, ...safe, remove }
  }

  /** Does what there is to do. Errors: `E_STORAGE`…, `E_OBJECT_DAMAGED`, `E_HOOK`; what was done stays done. */
  async run(retention: boolean, signal: AbortSignal): Promise<UpkeepResult> {
    const { log } = this.#parts
    const result: UpkeepResult = { merged: [], removed: [], freed: 0 }
    // It may be gone already, and whoever takes over counts with its going: nothing is decided before it is.
    if (this.#announced.length > 0) await this.#delete(this.#announced, signal)
    const first = await this.plan(retention, signal)
    try {
      for (const merge of first.merge) result.merged.push(...(await this.#merge(merge, signal)))
    } catch (error) {
      // Somebody else has merged or removed meanwhile: the next pass goes by what there is.
      if (isError(error, 'E_CHAIN_BROKEN')) await this.refresh(signal)
      throw error
    }
    if (first.remove.length === 0 && result.merged.length === 0) return result
    // What nothing else makes good is removed only by what storage says now, all of it.
    if (retention && first.remove.length > 0) await this.refresh(signal)
    const remove = await this.#whatMayGo(retention, signal)
    for (let i = 0; i < remove.length; i += BATCH) await this.#remove(remove.slice(i, i + BATCH), result, signal)
    await this.#parts.removals?.done(signal)
    if (result.removed.length > 0) log.info('removed', { files: result.removed.length, bytes: result.freed })
    return result
  }

  /** Brings the inventory up to what storage says now. Files that are shipped meanwhile stay in it. */
  async refresh(signal?: AbortSignal): Promise<void> {
    const before = [...this.inventory.files()]
    const listed = await this.#parts.remote.inventory(signal)
    for (const file of before) if (!listed.find(file)) this.inventory.remove(file)
    for (const file of listed.files()) if (!this.inventory.find(file)) this.inventory.add(file)
  }

  /** What there is to remove, after every merged file that stands for some of it has been read by this process. */
  async #whatMayGo(retention: boolean, signal: AbortSignal): Promise<readonly StoredFile[]> {
    for (;;) {
      const { remove } = await this.plan(retention, signal)
      const covers = new Set(remove.flatMap((file) => coverOf(this.inventory, file) ?? []))
      if (!(await this.#dropUnfinished(covers, signal))) return remove
    }
  }

  /**
   * Removes merged files that an earlier process was killed over before they were finished: their sources are all there,
   * and the next pass makes them anew. Returns whether there were any. Errors: `E_OBJECT_DAMAGED` for one that was
   * finished and is damaged.
   */
  async #dropUnfinished(files: Iterable<StoredFile>, signal: AbortSignal): Promise<boolean> {
    const { log, remote } = this.#parts
    let dropped = false
    for (const file of files) {
      if (this.#sound.has(file.key)) continue
      if (await checkMerged(remote, file, sourcesOf(this.inventory, file), signal)) {
        this.#sound.add(file.key)
        continue
      }
      log.warn('a merged file was never finished', { file: file.key })
      await this.#delete([file], signal)
      dropped = true
    }
    return dropped
  }

  async #merge({ level, sources }: Merge, signal: AbortSignal): Promise<StoredFile[]> {
    const { remote, hooks, database, folder, log, local } = this.#parts
    const files = sources.map((id) => this.inventory.find(id))
    // What an earlier merge of this pass did not give in one piece: the next pass sees what there is.
    if (!isComplete(files)) return []
    if (this.#parts.avoided?.has(remote.key(merged(level, files)))) return []
    if (files[0].level > LEVEL_SHIPPED && (await this.#dropUnfinished(files, signal))) return []
    // What a process makes that has slept through a takeover may be of what its successor has let go.
    await this.#parts.removals?.confirm(signal)
    const made = await mergeFiles({ remote, hooks, database, folder, signal, local }, level, files)
    for (const file of made) {
      this.inventory.add(file)
      this.#sound.add(file.key)
      const { minTxid, maxTxid, size } = file
      log.debug('merged', { into: level, minTxid, maxTxid, files: files.length, bytes: size })
    }
    return made
  }

  async #remove(files: readonly StoredFile[], result: UpkeepResult, signal: AbortSignal): Promise<void> {
    await this.#delete(files, signal)
    for (const file of files) {
      result.removed.push(file)
      result.freed += file.size
    }
  }

  async #delete(files: readonly FileId[], signal: AbortSignal): Promise<void> {
    const { removals, remote } = this.#parts
    this.#announced = files
    await removals?.begin(files, signal)
    await remote.remove(files, signal)
    this.#announced = []
    for (const file of files) {
      this.inventory.remove(file)
      this.#sound.delete(remote.key(file))
    }
  }

  /** The times of snapshots as they say themselves: retention goes by them. */
  async #exactTimes(signal: AbortSignal | undefined): Promise<void> {
    for (const file of this.inventory.level(LEVEL_SNAPSHOT)) {
      let exact = this.#exact.get(file.key)
      if (exact === undefined) {
        try {
          exact = (await this.#parts.remote.facts(file, signal)).timestamp ?? file.timestamp
        } catch (error) {
          throw new WalrustError('E_OBJECT_DAMAGED', `when ${file.key} was taken cannot be read: ${messageOf(error)}`, {
            database: this.#parts.remote.name,
            cause: error,
          })
        }
        this.#exact.set(file.key, exact)
      }
      file.timestamp = exact
    }
    for (const key of this.#exact.keys()) if (this.#exact.size > MOST_TIMES) this.#exact.delete(key)
  }
}

/** Far more snapshots than any plan keeps. */
const MOST_TIMES = 1000

function isComplete(files: ReadonlyArray<StoredFile | undefined>): files is readonly StoredFile[] {
  return !files.includes(undefined)
}
