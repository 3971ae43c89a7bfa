import { existsSync, realpathSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { checkSqliteVersion } from '../database/connection.js'
import { MachineLock } from '../database/machine-lock.js'
import { EXIT, isError, messageOf, WalrustError } from '../errors.js'
import type { StoredFile } from '../inventory.js'
import { formatChecksum } from '../ltx/checksum.js'
import { isSnapshot, type LtxHeader } from '../ltx/header.js'
import type { Log } from '../log.js'
import { PageChecksums } from '../pages/page-checksums.js'
import type { Remote } from '../remote.js'
import { stateFolder } from '../state-folder.js'
import { checksumAfter } from '../ship/checksum-delta.js'
import { timerDelay } from '../timers.js'
import { contiguous, listFrom, listSnapshots, planAdvance } from './advance.js'
import { bootstrap } from './bootstrap.js'
import { nextCounter } from './head.js'
import { ReplicaFile } from './replica-file.js'
import { emptyFolder, findChange, stage, type Staged } from './staging.js'
import { readState, type ReplicaPoint, writeState } from './state.js'

/** How often to look elsewhere while level 0 has nothing newer, in milliseconds. */
const LOOK_AROUND = 30_000

/** So often the same file is tried before a way around it is looked for. */
const FILE_TRIES = 2

/** So many polls in a row may find no way on before the replica gives up. */
const POLL_TRIES = 3

/** The longest wait between two polls while they fail, in milliseconds; the interval itself if that is longer. */
const LONGEST_WAIT = 30_000

export interface ReplicaOptions {
  remote: Remote
  /** The file to keep. */
  path: string
  /** Between two polls, milliseconds. */
  interval: number
  log: Log
}

export interface ReplicaStatus {
  database: string
  storage: string
  file: string
  /** `current`: it holds the newest that storage had at the last look. `failing`: the last look failed. */
  state: 'current' | 'behind' | 'failing'
  txid: number
  /** Database checksum of the source in that state. */
  checksum: string
  /** When the newest commit it holds was observed, ISO 8601. */
  timestamp: string
  /** Milliseconds from then until it could be read here; `undefined` for a replica that has just been started. */
  lag: number | undefined
  /** When storage was last found to have nothing newer, ISO 8601. */
  checked: string | undefined
  /** Files applied since the start. */
  applied: number
  error: string | undefined
}

/**
 * A copy of a database that follows its backup. Those who have it open with SQLite see, at the begin of each read, the
 * state before or after an apply, and need not open it anew.
 */
export class Replica {
  readonly #options: ReplicaOptions
  readonly #path: string
  readonly #folder: string
  readonly #lock: MachineLock
  readonly #file: ReplicaFile
  /** Files that failed, and how often in a row. */
  readonly #failures = new Map<string, number>()
  #lookedAround = -Infinity
  /** After a failure files are applied one by one, so that the guilty one is known. */
  #careful = false
  #lag: number | undefined
  #checked: number | undefined
  #applied = 0
  #error: WalrustError | undefined
  /** One poll after the other, whoever asks. */
  #polling: Promise<unknown> = Promise.resolve()

  private constructor(options: ReplicaOptions, path: string, folder: string, lock: MachineLock, file: ReplicaFile) {
    this.#options = options
    this.#path = path
    this.#folder = folder
    this.#lock = lock
    this.#file = file
  }

  /**
   * Opens the replica at a path, or makes it.
   *
   * Errors: `E_NOT_REPLICA` for a file that is anything else, `E_NO_BACKUP`, `E_DATABASE_LOCKED` if another process keeps
   * it, `E_PLATFORM`, `E_STORAGE`…, and those of a restore.
   */
  static async open(options: ReplicaOptions, signal: AbortSignal = new AbortController().signal): Promise<Replica> {
    if (process.platform === 'win32') throw new WalrustError('E_PLATFORM', 'replicate does not run on Windows')
    checkSqliteVersion()
    const path = await realPath(options.path)
    const folder = stateFolder(path, undefined)
    const lock = new MachineLock(join(folder, 'lock'), path)
    try {
      const file = await openFile(options, path, folder, signal)
      return new Replica(options, path, folder, lock, file)
    } catch (error) {
      lock.release()
      throw error
    }
  }

  get status(): ReplicaStatus {
    const { remote } = this.#options
    const { txid, checksum, timestamp } = this.#file.point
    return {
      database: remote.name,
      storage: remote.store.url,
      file: this.#path,
      state: this.#error ? 'failing' : this.#checked === undefined ? 'behind' : 'current',
      txid,
      checksum: formatChecksum(checksum),
      timestamp: new Date(timestamp).toISOString(),
      lag: this.#lag,
      checked: this.#checked === undefined ? undefined : new Date(this.#checked).toISOString(),
      applied: this.#applied,
      error: this.#error?.message,
    }
  }

  /**
   * Polls until the signal. What may pass is tried again and said aloud each time.
   *
   * Errors: what does not pass, among them `E_CHAIN_BROKEN` and `E_OBJECT_DAMAGED` if storage offers no way on.
   */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#catchUp(signal, Infinity)
      await pause(this.#options.interval, signal)
    }
  }

  /** Applies everything that storage has, trying again as often as makes sense, and no more. Errors: as {@link run}. */
  async catchUp(signal: AbortSignal): Promise<void> {
    await this.#catchUp(signal, POLL_TRIES)
  }

  /** @param patience failed polls in a row until what may pass is taken as what does not */
  async #catchUp(signal: AbortSignal, patience: number): Promise<void> {
    const { interval } = this.#options
    for (let failures = 1; !signal.aborted; failures++) {
      try {
        await this.poll(signal)
        return
      } catch (error) {
        // A signal that breaks a request off is no failure of the request.
        if (isAborted(signal)) return
        if (!this.#passes(error, failures, patience)) throw error
      }
      await pause(Math.min(interval * 2 ** failures, Math.max(interval, LONGEST_WAIT)), signal)
    }
  }

  /** Applies everything that storage has. Errors: whatever kept it from it; the old state is there then. */
  async poll(signal: AbortSignal): Promise<void> {
    const mine = this.#polling.then(() => this.#poll(signal))
    this.#polling = mine.catch(() => undefined)
    await mine
  }

  async #poll(signal: AbortSignal): Promise<void> {
    try {
      for (;;) {
        const looked = Date.now()
        const plan = await this.#plan(signal)
        if (plan.length === 0) {
          this.#checked = looked
          this.#options.log.debug('nothing newer', { txid: this.#file.point.txid, lag: this.#lag })
          break
        }
        await this.#advance(plan, signal)
      }
      this.#error = undefined
    } catch (error) {
      if (!signal.aborted) {
        this.#error =
          error instanceof WalrustError ? error : new WalrustError('E_INTERNAL', messageOf(error), { cause: error })
      }
      throw error
    }
  }

  async close(): Promise<void> {
    await this.#file.close()
    this.#lock.release()
  }

  /** The files to apply next: usually those behind ours on level 0, found with one request. */
  async #plan(signal: AbortSignal): Promise<StoredFile[]> {
    const { remote } = this.#options
    const { txid } = this.#file.point
    const usable = (file: StoredFile) => (this.#failures.get(file.key) ?? 0) < FILE_TRIES
    const { own, newer } = await listFrom(remote, txid, signal)
    const straight = contiguous(newer.filter(usable), txid)
    if (straight.length > 0) return straight
    const now = performance.now()
    if (newer.length === 0 && now - this.#lookedAround < LOOK_AROUND) return []
    if (newer.length === 0 && own) {
      this.#lookedAround = now
      // The newest file of level 0 is always kept. With ours there and none behind it only a snapshot can be newer.
      return (await listSnapshots(remote, txid, signal)).filter(usable).slice(-1)
    }
    const inventory = await remote.inventory(signal)
    this.#lookedAround = now
    const plan = planAdvance(inventory, txid, usable)
    if (plan.length > 0) {
      const [{ level, minTxid, maxTxid }] = plan
      this.#options.log.info('level 0 does not go on', { txid, level, minTxid, maxTxid })
      return plan
    }
    if (inventory.newest === txid) return []
    // Looked at again at the next poll, not only after a while.
    this.#lookedAround = -Infinity
    throw this.#noWay(inventory.newest)
  }

  #noWay(newest: number): WalrustError {
    const { remote } = this.#options
    const { txid } = this.#file.point
    const details = { database: remote.name, storage: remote.store.url, cause: this.#error }
    const failed = this.#failures.size > 0 ? ` (${[...this.#failures.keys()].join(', ')} cannot be used)` : ''
    return newest < txid
      ? new WalrustError(
          'E_CHAIN_BROKEN',
          `the backup of ${remote.name} ends at transaction ${newest}, the replica is at ${txid}`,
          {
            ...details,
            hint: 'It is another backup than the replica was made from. Remove the replica to make it anew.',
          },
        )
      : new WalrustError(
          'E_CHAIN_BROKEN',
          `nothing leads from transaction ${txid} to ${newest} of ${remote.name}${failed}`,
          { ...details, hint: 'Take a snapshot of the source: replicas go on from there.' },
        )
  }

  async #advance(plan: readonly StoredFile[], signal: AbortSignal): Promise<void> {
    const { remote, log } = this.#options
    const staging = join(this.#folder, 'incoming')
    const failed = (file: StoredFile) => {
      this.#failures.set(file.key, (this.#failures.get(file.key) ?? 0) + 1)
      this.#careful = true
    }
    const before = this.#file.point
    const most = this.#careful ? 1 : undefined
    const staged = await stage(remote, plan, staging, {
      most,
      signal,
      onFailure: (file) => {
        if (!signal.aborted) failed(file)
      },
    })
    let next: ReplicaPoint
    let pages: number
    try {
      ;({ next, pages } = await this.#apply(staged, signal))
    } catch (error) {
      if (isError(error, 'E_CHAIN_BROKEN', 'E_CHECKSUM')) for (const file of staged.files) failed(file)
      throw error
    }
    await emptyFolder(staging)
    this.#failures.clear()
    this.#careful = false
    this.#applied += staged.files.length
    this.#lag = Math.max(0, Date.now() - next.timestamp)
    log.info('applied', {
      txid: next.txid,
      from: before.txid,
      files: staged.files.length,
      pages,
      checksum: formatChecksum(next.checksum),
      lag: this.#lag,
    })
  }

  async #apply(staged: Staged, signal: AbortSignal): Promise<{ next: ReplicaPoint; pages: number }> {
    const { remote } = this.#options
    const { header } = staged
    const at = this.#file.point
    this.#checkContinues(header, at)
    const samePages = header.pageSize === at.pageSize
    const table = samePages ? this.#file.table : new PageChecksums(header.pageSize)
    const change = await findChange(staged, table)
    const { checksum, pages } = checksumAfter(table, change.pages)
    if (header.post !== 0n && header.post !== checksum) {
      const sums = `${formatChecksum(checksum)}, recorded is ${formatChecksum(header.post)}`
      throw new WalrustError('E_CHECKSUM', `transaction ${header.maxTxid} would give database checksum ${sums}`, {
        database: remote.name,
        storage: remote.store.url,
      })
    }
    const nothing = pages === 0 && header.commit === at.commit && samePages
    const next: ReplicaPoint = {
      txid: header.maxTxid,
      checksum,
      timestamp: header.timestamp,
      pageSize: header.pageSize,
      commit: header.commit,
      counter: nothing ? at.counter : nextCounter(at.counter),
      head: change.head ?? at.head,
    }
    const state = { storage: remote.store.url, name: remote.name }
    const path = join(this.#folder, 'replica.json')
    if (nothing) {
      await writeState(path, { ...state, at: next, next: undefined })
      this.#file.moved(next)
    } else {
      await writeState(path, { ...state, at, next })
      await this.#file.apply(staged, change.pages, next, signal)
    }
    return { next, pages }
  }

  /** What a file says it stands on has to be what the replica holds. */
  #checkContinues(header: LtxHeader, at: ReplicaPoint): void {
    const { remote } = this.#options
    const broken = (why: string) =>
      new WalrustError('E_CHAIN_BROKEN', `transaction ${header.maxTxid} of ${remote.name} ${why}`, {
        database: remote.name,
        storage: remote.store.url,
      })
    if (header.commit === 0) throw broken('leaves a database without pages')
    if (isSnapshot(header)) return
    if (header.pageSize !== at.pageSize) throw broken('changes the page size without holding every page')
    if (header.minTxid === at.txid + 1 && header.pre !== 0n && header.pre !== at.checksum) {
      throw broken(`was made for another database than the replica holds at transaction ${at.txid}`)
    }
  }

  /** Whether to try again after a failure; says so. */
  #passes(error: unknown, failures: number, patience: number): boolean {
    const { log } = this.#options
    if (!(error instanceof WalrustError)) return false
    const chain = isError(error, 'E_CHAIN_BROKEN', 'E_OBJECT_DAMAGED', 'E_CHECKSUM')
    // What was wrong with credentials or bucket from the beginning does not pass.
    const refused = isError(error, 'E_STORAGE_AUTH', 'E_STORAGE_MISSING') && this.#checked === undefined
    if (refused) return false
    const passing = error.exitCode === EXIT.storage || isError(error, 'E_DATABASE_BUSY', 'E_DISK_FULL')
    // Each file has its own tries before a way around it is looked for.
    const tries = POLL_TRIES + FILE_TRIES * Math.max(1, this.#failures.size)
    if (!(passing && failures < patience) && !(chain && failures < tries)) return false
    const behind = this.#checked === undefined ? undefined : Date.now() - this.#checked
    log.warn('the replica does not get on', { error: error.message, hint: error.hint, code: error.code, behind })
    return true
  }
}

async function openFile(
  { remote, log }: ReplicaOptions,
  path: string,
  folder: string,
  signal: AbortSignal,
): Promise<ReplicaFile> {
  const statePath = join(folder, 'replica.json')
  const known = await readState(statePath)
  if (known && (known.storage !== remote.store.url || known.name !== remote.name)) {
    throw new WalrustError('E_NOT_REPLICA', `${path} is a replica of ${known.name} in ${known.storage}`, {
      database: path,
    })
  }
  const incoming = join(folder, 'incoming')
  await emptyFolder(incoming)
  if (!existsSync(path)) {
    await bootstrap(remote, path, folder, known !== undefined, signal)
    const state = await readState(statePath)
    if (!state) throw new WalrustError('E_STATE', `${statePath} was written and cannot be read`)
    const file = await ReplicaFile.open(path, incoming, state)
    log.info('made', { txid: file.point.txid, checksum: formatChecksum(file.point.checksum) })
    return file
  }
  if (!known) {
    throw new WalrustError('E_NOT_REPLICA', `${path} exists and is not a replica that walrust keeps`, {
      database: path,
    })
  }
  const file = await ReplicaFile.open(path, incoming, known)
  log.info('resumed', { txid: file.point.txid, checksum: formatChecksum(file.point.checksum) })
  return file
}

/** A path with the symbolic links in it resolved: SQLite puts the journal beside the file itself. */
async function realPath(path: string): Promise<string> {
  const full = resolve(path)
  if (existsSync(full)) return realpathSync(full)
  await mkdir(dirname(full), { recursive: true })
  return join(realpathSync(dirname(full)), basename(full))
}

/** Waits, or does not wait any longer once the signal comes. */
async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await sleep(timerDelay(milliseconds), undefined, { signal }).catch(() => undefined)
}

function isAborted(signal: AbortSignal): boolean {
  return signal.aborted
}
