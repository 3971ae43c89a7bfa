import { setMaxListeners } from 'node:events'
import { isError, messageOf, WalrustError } from '../errors.js'
import { type FileFacts, mergedGaps } from '../facts.js'
import type { DatabaseInfo, Hooks } from '../hooks.js'
import type { StoredFile } from '../inventory.js'
import { LtxError } from '../ltx/errors.js'
import type { LtxHeader } from '../ltx/header.js'
import type { LtxSource } from '../ltx/merge.js'
import { fileName, type FileId } from '../object-keys.js'
import type { ObjectBody } from '../object-store.js'
import { NO_PAGES } from '../pages/page-set.js'
import type { Remote } from '../remote.js'
import { encodeThrough } from '../stages/encode.js'
import { readMerged } from './check-merged.js'
import { mergedBody } from './merged-body.js'
import { Scratch } from './scratch.js'

/** Files up to this are read whole before they are merged, so that not each of them is kept open. */
const SMALL = 256 * 1024
/**
 * Files up to this are copied to disk one after the other before they are merged: eight answers of a service that are
 * read page by page took 25 MB, most of it in what holds up the network.
 */
const COPIED = 16 * 1024 * 1024
/** So much of small files is in memory at once. */
const SMALL_TOTAL = 2 * 1024 * 1024
/**
 * So many files on this machine are merged in one go, each with a buffer of its own; more are merged in groups first. One
 * that is read from storage page by page counts as several: what holds up the network takes more.
 */
const MOST = 32
const REMOTE = 4
/** Requests for small files at a time. */
const PARALLEL = 4

export interface MergeWork {
  remote: Remote
  hooks: Hooks
  database: DatabaseInfo
  /** Folder for what does not fit into memory. */
  folder: string
  signal: AbortSignal
  /** Files that need not be fetched. Without it all are. */
  local?: LocalFiles
}

/** A file of which the same bytes lie on this machine as in storage, with what is recorded of it. */
export interface LocalFile {
  facts: FileFacts
  /** Its bytes, as they lie in storage, as often as needed until it is closed. */
  body: () => ObjectBody
  close: () => Promise<void>
}

export interface LocalFiles {
  /** Opens one; `undefined` if it is not here, or is not what was stored any more. */
  open(file: StoredFile): Promise<LocalFile | undefined>
}

/** One input of a merge, and the facts that go on with the result. */
interface Part {
  /** Of {@link MOST}. */
  weight: number
  open: () => LtxSource
  close: () => Promise<void>
}

/**
 * Merges stored files into one of a higher level: streamed, stored only if nothing is there, read back and verified.
 * The sources stay. A kill at any moment leaves the merged file whole or not at all, and a second run makes the same.
 *
 * Files before and after a change of page size are not merged with each other: then more than one file is the result.
 *
 * Errors: `E_OBJECT_DAMAGED` and `E_CHAIN_BROKEN` naming the source or the result that is not as it should be,
 * `E_STORAGE`…, `E_DISK_FULL`.
 */
export async function mergeFiles(
  work: MergeWork,
  level: number,
  sources: readonly StoredFile[],
): Promise<StoredFile[]> {
  try {
    return [await mergeOnce(work, level, sources)]
  } catch (error) {
    if (!(error instanceof LtxError) || error.code !== 'LTX_USAGE' || sources.length === 1) {
      throw asDamage(work, sources, error)
    }
    const groups = await byPageSize(work, sources)
    if (groups.length === 1) throw asDamage(work, sources, error)
    const made: StoredFile[] = []
    for (const group of groups) made.push(...(await mergeFiles(work, level, group)))
    return made
  }
}

async function mergeOnce(work: MergeWork, level: number, sources: readonly StoredFile[]): Promise<StoredFile> {
  const { remote, database, hooks, signal } = work
  const inputs = new Inputs(work)
  const cleanup: Array<() => Promise<void>> = [() => inputs.close()]
  try {
    const parts = await inputs.take(sources)
    let header: LtxHeader | undefined
    const merged = mergedBody(
      parts.map((part) => part.open()),
      {},
      (made) => (header = made),
    )
    const plain = await Scratch.take(merged, work.folder)
    cleanup.push(() => plain.remove())
    if (!header) throw new WalrustError('E_INTERNAL', 'a merge ended without a header')
    const request = { database, header, pages: NO_PAGES, body: plain.body(), codecs: [] }
    const { body, codecs } = await encodeThrough(hooks, request)
    const wrapped = codecs.length > 0 ? await Scratch.take(body, work.folder) : plain
    cleanup.push(() => wrapped.remove())
    const facts: FileFacts = {
      timestamp: header.timestamp,
      sha256: wrapped.sha256,
      pre: header.pre,
      post: header.post,
      prev: undefined,
      codecs,
      ...mergedGaps(inputs.facts),
    }
    const file: FileId = { level, minTxid: header.minTxid, maxTxid: header.maxTxid }
    const put = {
      ...{ database, file, body: () => wrapped.body(), facts: () => facts, size: wrapped.size },
      ...{ timestamp: header.timestamp, signal },
    }
    const stored = await store(remote, put)
    await checkStored(remote, stored, header, facts, signal)
    return stored
  } finally {
    for (const clean of cleanup) await clean()
  }
}

/** Stores the file. One that is there already, made in another way, is taken if it holds the same. */
async function store(remote: Remote, put: Parameters<Remote['put']>[0]): Promise<StoredFile> {
  try {
    return await remote.put(put)
  } catch (error) {
    if (!isError(error, 'E_OBJECT_EXISTS')) throw error
    const key = remote.key(put.file)
    const there = await remote.store.head(key, { signal: put.signal })
    if (!there) throw error
    return { ...put.file, key, size: there.size, timestamp: put.timestamp }
  }
}

/** Reads a merged file back: every byte of it, and that it ends where its sources ended. */
async function checkStored(
  remote: Remote,
  file: StoredFile,
  made: LtxHeader,
  facts: FileFacts,
  signal: AbortSignal,
): Promise<void> {
  const { header, sha256 } = await readMerged(remote, file, signal)
  if (header.pre !== made.pre || header.post !== made.post || header.commit !== made.commit) {
    throw new WalrustError('E_OBJECT_DAMAGED', `${file.key} was read back and is not what was merged`, {
      database: remote.name,
      storage: remote.store.url,
    })
  }
  if (sha256 !== facts.sha256 && header.post === 0n) {
    throw new WalrustError('E_OBJECT_DAMAGED', `${file.key} was there already with other content`, {
      database: remote.name,
      storage: remote.store.url,
    })
  }
}

/** Fetches what is merged with few connections and bounded memory. */
export class Inputs {
  /** Of what was read and holds commits that passed unseen. */
  readonly facts: FileFacts[] = []
  readonly #work: MergeWork
  readonly #parts: Part[] = []
  #small: Buffer[] = []
  #smallBytes = 0

  constructor(work: MergeWork) {
    this.#work = work
    // Each file that is open listens to it: more than Node takes for a leak.
    setMaxListeners(0, work.signal)
  }

  /** Gives at most {@link MOST} inputs that stand for all of the files. */
  async take(sources: readonly StoredFile[]): Promise<readonly Part[]> {
    for (let i = 0; i < sources.length;) {
      if (sources[i].size > SMALL) {
        await this.#foldSmall()
        await this.#addLarge(sources[i++])
        continue
      }
      const run = sources.slice(i, i + PARALLEL)
      const large = run.findIndex(({ size }) => size > SMALL)
      const files = large < 0 ? run : run.slice(0, large)
      i += files.length
      for (const bytes of await Promise.all(files.map((file) => this.#fetch(file)))) await this.#addSmall(bytes)
    }
    await this.#foldSmall()
    return this.#parts
  }

  async close(): Promise<void> {
    for (const part of this.#parts) await part.close()
  }

  async #addLarge(file: StoredFile): Promise<void> {
    const local = await this.#openLocal(file)
    if (local && local.facts.codecs.length === 0) await this.#add({ weight: 1, open: local.body, close: local.close })
    else if (!local && file.size > COPIED) {
      await this.#add({ weight: REMOTE, open: () => this.#stream(file), close: () => Promise.resolve() })
    } else await this.#add(await this.#toScratch(this.#stream(file, local)))
  }

  async #addSmall(bytes: Buffer): Promise<void> {
    if (this.#smallBytes + bytes.length > SMALL_TOTAL) await this.#foldSmall()
    this.#small.push(bytes)
    this.#smallBytes += bytes.length
  }

  /** Small files as one. */
  async #foldSmall(): Promise<void> {
    const small = this.#small
    this.#small = []
    this.#smallBytes = 0
    const only = small.at(0)
    if (!only) return
    if (small.length === 1) await this.#add({ weight: 1, open: () => [only], close: () => Promise.resolve() })
    else await this.#add(await this.#fold(small.map((bytes) => [bytes])))
  }

  /** Takes an input; one too many, and those before it become one. */
  async #add(part: Part): Promise<void> {
    const weight = this.#parts.reduce((sum, one) => sum + one.weight, part.weight)
    this.#parts.push(part)
    if (weight <= MOST) return
    const before = this.#parts.slice(0, -1)
    const folded = await this.#fold(before.map((one) => one.open()))
    this.#parts.splice(0, before.length, folded)
    for (const one of before) await one.close()
  }

  async #fold(sources: LtxSource[]): Promise<Part> {
    return await this.#toScratch(mergedBody(sources, {}, () => undefined))
  }

  async #toScratch(body: ObjectBody): Promise<Part> {
    const scratch = await Scratch.take(body, this.#work.folder)
    return { weight: 1, open: () => scratch.body(), close: () => scratch.remove() }
  }

  async #fetch(file: StoredFile): Promise<Buffer> {
    const parts: Buffer[] = []
    for await (const piece of this.#stream(file, await this.#openLocal(file))) parts.push(Buffer.from(piece))
    return Buffer.concat(parts)
  }

  async #openLocal(file: StoredFile): Promise<LocalFile | undefined> {
    const local = await this.#work.local?.open(file)
    if (local?.facts.gapStart !== undefined) this.facts.push(local.facts)
    return local
  }

  /** The LTX file, from this machine if it is there. Closes what it has been given. */
  async *#stream(file: StoredFile, local?: LocalFile): ObjectBody {
    const { remote, signal } = this.#work
    try {
      if (local) {
        yield* await remote.unwrap(local.body(), local.facts.codecs)
        return
      }
      const { facts, body } = await remote.open(file, signal)
      if (facts.gapStart !== undefined) this.facts.push(facts)
      yield* await remote.unwrap(body, facts.codecs)
    } finally {
      await local?.close()
    }
  }
}

async function byPageSize({ remote, signal }: MergeWork, sources: readonly StoredFile[]): Promise<StoredFile[][]> {
  const groups: StoredFile[][] = []
  let pageSize = 0
  for (const file of sources) {
    const header = await remote.headerOf(file, signal)
    if (header.pageSize !== pageSize) groups.push([])
    pageSize = header.pageSize
    groups[groups.length - 1].push(file)
  }
  return groups
}

function asDamage({ remote }: MergeWork, sources: readonly StoredFile[], error: unknown): unknown {
  if (!(error instanceof LtxError)) return error
  const names = `${fileName(sources[0])} to ${fileName(sources[sources.length - 1])} of level ${sources[0].level}`
  return new WalrustError('E_OBJECT_DAMAGED', `one of ${names} is damaged: ${messageOf(error)}`, {
    database: remote.name,
    storage: remote.store.url,
    cause: error,
  })
}
