import { hostname } from 'node:os'
import type { RemovalLog } from '../compact/upkeep.js'
import { isError, messageOf, systemCode, WalrustError } from '../errors.js'
import { storageFailure } from '../failures.js'
import type { Log } from '../log.js'
import { type FileId, LEVEL_SHIPPED, LEVEL_SNAPSHOT } from '../object-keys.js'
import type { ObjectStore } from '../object-store.js'
import type { Remote } from '../remote.js'
import { untilAborted } from '../timers.js'
import { type Entry, readEntry } from './entry.js'
import type { Heartbeats } from './heartbeats.js'
import { claimKey, claimsPrefix, fencePostKey, isHeartbeatKey, parseClaimKey } from './keys.js'
import type { Lease } from './lease.js'
import { getText, letGo, putJson, RELEASE, within } from './small-object.js'

/** Entries before the present one that stay, for whoever wants to see what happened. */
const KEEP = 4

/** What one process shares about one storage. */
export interface FenceParts {
  lease: Lease
  heartbeats: Heartbeats
}

/**
 * Who had the database before.
 * - `nobody`, or a process that ended as it should (`released`)
 * - `ours`: an earlier process with this state folder, whose machine lock we hold now: it is dead
 * - `silent`: another machine's process that has shown no sign of life for a TTL; it may only be asleep
 */
export type Holder = 'nobody' | 'released' | 'ours' | 'silent'

/**
 * The claim of this process on one database in one storage: the highest entry in a log of objects, each created only if
 * absent, that names the heartbeat of its process. Taking the database over is an entry, and so is the removal of files:
 * both need the next number, so that of a writer who removes and a successor who takes over one is told of the other.
 *
 * It tells writers apart that are awake; what keeps one out that is not is that level-0 files are created only if
 * absent. docs/fencing.md has the states.
 */
export class Claim implements RemovalLog {
  /** Keys of merged files that must not be made: whoever had the database before may still remove what is there. */
  readonly avoided = new Set<string>()
  readonly #remote: Remote
  readonly #store: ObjectStore
  readonly #parts: FenceParts
  readonly #identity: string
  readonly #log: Log
  #epoch = 0
  /** Gaps of the lease that we know did no harm. */
  #gaps = 0
  #unfenced = false
  /** What the holder before had begun to remove, and what earlier ones may still remove. */
  #left: readonly FileId[] = []
  /** What our own entry says is about to be removed. */
  #open: readonly FileId[] = []
  #avoid: readonly FileId[] = []
  #lost: WalrustError | undefined

  /** @param identity see {@link loadIdentity} */
  constructor(remote: Remote, parts: FenceParts, identity: string, log: Log) {
    this.#remote = remote
    this.#store = remote.store
    this.#parts = parts
    this.#identity = identity
    this.#log = log
  }

  get held(): boolean {
    return this.#epoch > 0
  }

  /**
   * Whether somebody who had the database before may only be asleep, and nothing is stored yet that keeps him out. It stays
   * with the claims, whoever makes them, until it is said to be {@link fenced}.
   */
  get unfenced(): boolean {
    return this.#unfenced
  }

  /** Whether somebody may have taken over: the heartbeat was not renewed in time, and can be renewed again. */
  get doubtful(): boolean {
    const { lease } = this.#parts
    return this.held && lease.fresh && lease.gaps !== this.#gaps
  }

  /** Tells when it becomes doubtful. Returns how to end that. */
  onDoubt(listener: () => void): () => void {
    return this.#parts.lease.onGap(listener)
  }

  /** Errors: `E_FENCED` once it is known that somebody has taken over. */
  check(): void {
    if (this.#lost) throw this.#lost
  }

  /**
   * Finds out who holds the highest claim, and whether it is alive; that takes up to a TTL.
   *
   * @param epoch the highest one listed
   * Errors: `E_FENCED` if another process is alive, `E_STORAGE`…
   */
  async survey(epoch: number, signal: AbortSignal): Promise<Holder> {
    this.#left = this.#avoid = []
    this.#unfenced = false
    return epoch === 0 ? 'nobody' : await this.#holder(epoch, signal)
  }

  /**
   * Claims the epoch after the one that was surveyed.
   *
   * @returns false if somebody was quicker: list and survey again
   */
  async take(after: number, signal: AbortSignal): Promise<boolean> {
    const { lease } = this.#parts
    // The heartbeat first: a claim whose heartbeat is not there counts as released.
    await lease.ensure()
    const { gaps } = lease
    const epoch = after + 1
    if (!(await this.#append(epoch, this.#left, signal))) return false
    this.#gaps = gaps
    this.#epoch = epoch
    for (const file of this.#avoid) this.avoided.add(this.#remote.key(file))
    this.#log.debug('claimed', { epoch, unfenced: this.#unfenced })
    return true
  }

  /**
   * Called before everything that writes. Costs nothing as long as the heartbeat was renewed in time; otherwise somebody
   * may have taken over, and the claims are listed. Errors: `E_FENCED`, `E_STORAGE`…
   */
  async confirm(signal: AbortSignal): Promise<void> {
    this.check()
    const { lease } = this.#parts
    if (lease.fresh && lease.gaps === this.#gaps) return
    await lease.ensure()
    const { gaps } = lease
    await this.ascertain(signal)
    this.#gaps = gaps
  }

  /** Asks the storage whether nobody has taken over, whatever the clock says. Errors: `E_FENCED`, `E_STORAGE`…. */
  async ascertain(signal: AbortSignal): Promise<void> {
    if (!this.held) throw new WalrustError('E_INTERNAL', 'something was to be written without a claim')
    const highest = await this.#highest(this.#epoch, signal)
    if (highest > this.#epoch) await this.#lose(highest, signal)
  }

  /** Marks a transaction whose level-0 file has to stay, so that a writer that sleeps finds its name taken for ever. */
  async setFencePost(txid: number, signal: AbortSignal): Promise<void> {
    const { name } = this.#remote
    await this.#guarded(() => putJson(this.#store, fencePostKey(name, txid), { epoch: this.#epoch, txid }, { signal }))
  }

  /** The transaction of the fence post is there, and was stored by us. What cannot be written down is done again by the next. */
  async fenced(signal: AbortSignal): Promise<void> {
    this.#unfenced = false
    await this.#note(signal, 'that nobody else ships the next transaction was not written down')
  }

  /**
   * Writes down what is about to be removed, as the next entry: a successor that took that number has kept us out; one
   * that comes later finds it, and counts with its going. Errors: `E_FENCED`, `E_STORAGE`….
   */
  async begin(files: readonly FileId[], signal: AbortSignal): Promise<void> {
    this.check()
    if (!this.held) throw new WalrustError('E_INTERNAL', 'files were to be removed without a claim')
    const epoch = this.#epoch + 1
    if (await this.#append(epoch, files, signal)) this.#epoch = epoch
    else await this.#lose(await this.#highest(this.#epoch, signal), signal)
  }

  /** Writes down that everything announced is gone: nobody has to do it for us. What fails is done again by the next one. */
  async done(signal: AbortSignal): Promise<void> {
    if (!this.held || this.#lost || this.#open.length === 0) return
    const open = this.#open
    this.#open = []
    if (!(await this.#note(signal, 'a removal was left open'))) this.#open = open
  }

  /**
   * What the holder before had written down to remove: it may go at any time, so it goes now.
   *
   * @returns the files, which are to be taken out of the inventory
   */
  async finishRemoval(signal: AbortSignal): Promise<readonly FileId[]> {
    const left = this.#left
    if (left.length === 0) return left
    this.#log.info('removing what was to be removed', { files: left.length })
    await this.#remote.remove(left, signal)
    this.#left = []
    await this.done(signal)
    return left
  }

  /** Lets go of this database alone, while the process goes on with others. */
  async release(): Promise<void> {
    if (!this.held || this.#lost) return
    const epoch = this.#epoch
    this.#epoch = 0
    try {
      await within(RELEASE, (signal) => this.#put(epoch, this.#open, { released: true }, { signal }))
    } catch (error) {
      this.#log.debug('a claim was left behind', { error: messageOf(error) })
    }
  }

  async #holder(epoch: number, signal: AbortSignal): Promise<Holder> {
    const { lease, heartbeats } = this.#parts
    const key = claimKey(this.#remote.name, epoch)
    const entry = readEntry(await this.#text(epoch, signal))
    const { owner, heartbeat, host, pid } = entry
    this.#left = entry.files
    this.#avoid = entry.avoid
    this.#unfenced = entry.unfenced
    if (entry.released) return 'released'
    if (owner === this.#identity) {
      // Whoever has no process any more needs no heartbeat. One that is alive still ships other databases.
      if (isHeartbeatKey(heartbeat) && heartbeat !== lease.key && isDead(entry)) lease.outlive(heartbeat)
      return 'ours'
    }
    this.#log.info('somebody else has claimed this database: watching whether it is alive', { host, pid })
    // Of a claim that nobody can read, the claim itself is watched.
    const watched = isHeartbeatKey(heartbeat) ? heartbeat : key
    const verdict = await this.#guarded(() => untilAborted(heartbeats.watch(watched), signal))
    if (verdict === 'alive') throw this.#fenced(entry, 'is alive and ships it')
    if (verdict === 'gone') return 'released'
    this.#log.warn('taking the database over: no sign of life', { host, pid })
    this.#avoid = [...entry.avoid, ...entry.files.filter(isMerged)]
    this.#unfenced = true
    return 'silent'
  }

  /** Adds the next entry to the log. Returns false if that number, or a higher one, is somebody else's. */
  async #append(epoch: number, files: readonly FileId[], signal: AbortSignal): Promise<boolean> {
    try {
      await this.#put(epoch, files, {}, { ifAbsent: true, signal })
    } catch (error) {
      // An answer that was lost looks the same as somebody else.
      if (!isError(error, 'E_OBJECT_EXISTS')) throw error
      if (readEntry(await this.#text(epoch, signal)).heartbeat !== this.#parts.lease.key) return false
      await this.#put(epoch, files, {}, { signal })
    }
    // Entries that lie far back are deleted: whoever slept meanwhile may have been given one of them anew.
    if ((await this.#highest(epoch, signal)) > epoch) return false
    if (epoch > KEEP) await this.#delete([claimKey(this.#remote.name, epoch - KEEP)])
    this.#open = files
    return true
  }

  async #lose(epoch: number, signal: AbortSignal): Promise<never> {
    this.#lost = this.#fenced(readEntry(await this.#text(epoch, signal)), 'has taken over')
    throw this.#lost
  }

  #fenced({ host, pid }: Entry, what: string): WalrustError {
    const { name } = this.#remote
    const who = host === undefined ? 'another walrust' : `walrust on ${host} (process ${pid})`
    const message = `${who} ${what}: ${name} in ${this.#store.url}`
    return new WalrustError('E_FENCED', message, { database: name, storage: this.#store.url })
  }

  /** Brings our own entry up to what is so now. Returns whether it could be written. */
  async #note(signal: AbortSignal, otherwise: string): Promise<boolean> {
    try {
      await this.#put(this.#epoch, this.#open, {}, { signal })
      return true
    } catch (error) {
      this.#log.debug(otherwise, { error: messageOf(error) })
      return false
    }
  }

  async #put(
    epoch: number,
    files: readonly FileId[],
    more: { released?: true },
    options: { ifAbsent?: boolean; signal: AbortSignal },
  ): Promise<void> {
    const about = { host: hostname(), pid: process.pid, time: new Date().toISOString() }
    const unfenced = this.#unfenced ? { unfenced: true } : {}
    const written = { files: files.map(asList), avoid: this.#avoid.map(asList), ...unfenced }
    const value = { epoch, owner: this.#identity, heartbeat: this.#parts.lease.key, ...about, ...written, ...more }
    await this.#guarded(() => putJson(this.#store, claimKey(this.#remote.name, epoch), value, options))
  }

  #text(epoch: number, signal: AbortSignal): Promise<string | undefined> {
    return this.#guarded(() => getText(this.#store, claimKey(this.#remote.name, epoch), signal))
  }

  /** The highest epoch there is behind one; 0 if there is none. */
  async #highest(behind: number, signal: AbortSignal): Promise<number> {
    const { name } = this.#remote
    return await this.#guarded(async () => {
      let highest = 0
      const wanted = { prefix: claimsPrefix(name), after: claimKey(name, behind), signal }
      for await (const { key } of this.#store.list(wanted)) highest = Math.max(highest, parseClaimKey(name, key) ?? 0)
      return highest
    })
  }

  /** What cannot be deleted now stays: it does no harm. */
  async #delete(keys: string[]): Promise<void> {
    const error = await letGo(this.#store, keys)
    if (error !== undefined) this.#log.debug('not deleted', { keys: keys.join(' '), error: messageOf(error) })
  }

  async #guarded<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw storageFailure(error, this.#store.url, 'claiming a database in')
    }
  }
}

const asList = ({ level, minTxid, maxTxid }: FileId) => [level, minTxid, maxTxid]

const isMerged = ({ level }: FileId) => level > LEVEL_SHIPPED && level < LEVEL_SNAPSHOT

/** Whether the process that made an entry ran on this machine, as far as that can be told, and does not any more. */
function isDead({ host, pid }: Entry): boolean {
  if (host !== hostname() || pid === undefined) return false
  if (pid === process.pid) return true
  try {
    process.kill(pid, 0)
    return false
  } catch (error) {
    return systemCode(error) === 'ESRCH'
  }
}
