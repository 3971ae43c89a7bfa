import { createHash } from 'node:crypto'
import { open, readdir, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { messageOf, WalrustError } from '../errors.js'
import { fromMetadata } from '../facts.js'
import { storageFailure } from '../failures.js'
import { readFileBody } from '../fs/read-body.js'
import type { StoredFile } from '../inventory.js'
import { MAGIC } from '../ltx/layout.js'
import { fileName, LEVEL_SHIPPED, levelPrefix, parseFileName } from '../object-keys.js'
import type { ObjectInfo } from '../object-store.js'
import type { Remote } from '../remote.js'
import { listOn } from '../storage/resuming.js'

/** Folders inside one another: a state directory has its spools two down. */
const DEEPEST = 6

/** A file on this machine that is, byte for byte, what lies in storage. */
export interface CachedFile {
  readonly path: string
  /** Transforms around it. */
  readonly codecs: readonly string[]
}

interface Candidate {
  readonly path: string
  /** Bytes. */
  readonly size: number
}

/**
 * Files of a backup that are on this machine already: what a `watch` keeps of its spool. None is used for its name: its
 * bytes have to be those that storage recorded, by their hash. One listing tells the hashes of a thousand files where
 * the store has them there; elsewhere it takes a request for each.
 */
export class FileCache {
  readonly #remote: Remote
  /** By the name that they have in storage: several databases have files of the same name. */
  readonly #candidates: ReadonlyMap<string, readonly Candidate[]>
  /** What the listing says of those that may be here, by key. */
  readonly #listed: ReadonlyMap<string, ObjectInfo>
  /** What was found out about the files asked for, by key. */
  readonly #found = new Map<string, Promise<CachedFile | undefined>>()
  readonly #signal: AbortSignal | undefined
  #used = 0

  private constructor(
    remote: Remote,
    candidates: ReadonlyMap<string, readonly Candidate[]>,
    listed: ReadonlyMap<string, ObjectInfo>,
    signal: AbortSignal | undefined,
  ) {
    this.#remote = remote
    this.#candidates = candidates
    this.#listed = listed
    this.#signal = signal
  }

  /**
   * Looks through a folder and those in it for files that `remote` may have.
   *
   * Errors: `E_USAGE` if it is no folder or cannot be read, `E_STORAGE`…
   */
  static async open(folder: string, remote: Remote, signal?: AbortSignal): Promise<FileCache> {
    const candidates = new Map<string, Candidate[]>()
    const root = resolve(folder)
    try {
      if (!(await stat(root)).isDirectory()) throw new Error('it is not a folder')
      await gather(root, candidates, DEEPEST)
    } catch (error) {
      throw new WalrustError('E_USAGE', `nothing can be taken from ${folder}: ${messageOf(error)}`, {
        hint: 'Name the spool of a `watch`, or the state directory that it is in.',
        cause: error,
      })
    }
    const listed = candidates.size > 0 ? await details(remote, candidates, signal) : new Map<string, ObjectInfo>()
    return new FileCache(remote, candidates, listed, signal)
  }

  /** How many files were taken from here. */
  get used(): number {
    return this.#used
  }

  /** The file on this machine that is the one in storage, if there is one. Errors: `E_STORAGE`… */
  async find(file: StoredFile): Promise<CachedFile | undefined> {
    if (file.level !== LEVEL_SHIPPED) return undefined
    const known = this.#found.get(file.key) ?? this.#look(file)
    this.#found.set(file.key, known)
    return await known
  }

  async #look(file: StoredFile): Promise<CachedFile | undefined> {
    const candidates = this.#candidates.get(fileName(file))?.filter(({ size }) => size === file.size) ?? []
    if (candidates.length === 0) return undefined
    const listed = this.#listed.get(file.key)
    const hashes: Hashes[] = []
    for (const { path } of candidates) {
      const made = await hash(path)
      if (made) hashes.push(made)
    }
    // An MD5 says nothing of transforms; what begins as LTX files do has none around it that would hide the beginning.
    const plain = hashes.find(({ md5, isLtx }) => isLtx && md5 === listed?.md5)
    if (plain) return this.#take(plain.path, [])
    const metadata = fromMetadata(listed?.metadata)
    const recorded = metadata.sha256 === undefined ? await this.#remote.recorded(file, this.#signal) : metadata
    const same = hashes.find(({ sha256 }) => sha256 === recorded.sha256)
    return same && this.#take(same.path, recorded.codecs)
  }

  #take(path: string, codecs: readonly string[]): CachedFile {
    this.#used++
    return { path, codecs }
  }
}

/** Reads a span of a file into a buffer as long as the span. `false` if it is not there any more, or not whole. */
export async function readSpan(path: string, start: number, into: Buffer): Promise<boolean> {
  try {
    const handle = await open(path, 'r')
    try {
      let done = 0
      for (let read = 1; done < into.length && read > 0; done += read) {
        read = (await handle.read(into, done, into.length - done, start + done)).bytesRead
      }
      return done === into.length
    } finally {
      await handle.close()
    }
  } catch {
    return false
  }
}

/** All files below a folder that have the name of one transaction. Symbolic links are not followed. */
async function gather(folder: string, into: Map<string, Candidate[]>, depth: number): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory() && depth > 0) await gather(path, into, depth - 1)
    const id = entry.isFile() ? parseFileName(entry.name) : undefined
    if (id?.minTxid === undefined || id.minTxid !== id.maxTxid) continue
    // A running `watch` may be tidying up meanwhile.
    const found = await stat(path).catch(() => undefined)
    if (!found) continue
    const name = fileName(id)
    into.set(name, [...(into.get(name) ?? []), { path, size: found.size }])
  }
}

/** What a listing says of the files that may be here, besides their names. */
async function details(
  { store, name }: Remote,
  candidates: ReadonlyMap<string, unknown>,
  signal: AbortSignal | undefined,
): Promise<Map<string, ObjectInfo>> {
  const prefix = levelPrefix(store.keyStyle, name, LEVEL_SHIPPED)
  const [first] = [...candidates.keys()].sort()
  // Behind this comes the first of them.
  const after = prefix + first.slice(0, -1)
  const listed = new Map<string, ObjectInfo>()
  try {
    for await (const info of listOn(store, { prefix, after, signal })) {
      if (candidates.has(info.key.slice(prefix.length))) listed.set(info.key, info)
    }
  } catch (error) {
    signal?.throwIfAborted()
    throw storageFailure(error, store.url, 'listing')
  }
  return listed
}

interface Hashes {
  readonly path: string
  readonly sha256: string
  readonly md5: string
  readonly isLtx: boolean
}

/** `undefined` for a file that is not there any more or cannot be read. */
async function hash(path: string): Promise<Hashes | undefined> {
  const [sha256, md5] = [createHash('sha256'), createHash('md5')]
  let isLtx: boolean | undefined
  try {
    for await (const piece of readFileBody(path)) {
      isLtx ??= piece.length >= 4 && new DataView(piece.buffer, piece.byteOffset).getUint32(0) === MAGIC
      sha256.update(piece)
      md5.update(piece)
    }
  } catch {
    return undefined
  }
  return { path, sha256: sha256.digest('hex'), md5: md5.digest('hex'), isLtx: isLtx === true }
}
