import { randomBytes } from 'node:crypto'
import { closeSync, constants, lstatSync, openSync, readSync, type Stats } from 'node:fs'
import { access, link, lstat, mkdir, open, readdir, realpath, rename, rm, stat, unlink } from 'node:fs/promises'
import { dirname, join, resolve, sep } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import {
  bodyOf,
  compareKeys,
  exactBody,
  type GetOptions,
  type ListOptions,
  messageOf,
  type ObjectBody,
  type ObjectInfo,
  type ObjectStore,
  type PutOptions,
  refuseUndeclared,
  type StoreCapabilities,
  StoreError,
  WalrustError,
} from '../../core/index.js'
import { isLocalDisk } from './local-disk.js'

const READ_SIZE = 256 * 1024
/** Up to so many bytes are read at once from a disk of this machine. */
const SMALL = 64 * 1024
/** A backup is as confidential as the database: for its owner alone. Folders that are there already stay as they are. */
const FILE_MODE = 0o600
const FOLDER_MODE = 0o700
/** Files that a listing looks at at a time. */
const AT_A_TIME = 64
/**
 * What was seen of a folder, that it lies inside above all, counts for so long, to read from. Who puts a link in its
 * place meanwhile could do so between a look and the opening as well. And so many are remembered.
 */
const LATELY_MS = 1000
const MOST_REMEMBERED = 100
/** Files in the making; a listing passes them over, and the next write of the same folder does not mind them. */
const TEMPORARY = '.walrust-'
/** Left by a process that was killed while writing; nobody writes one file for that long. */
const STALE_MS = 24 * 3600 * 1000

/**
 * The folder that a `file:` URL names. `file:///a/b`, `file://./a` and `file:a` are all understood.
 *
 * Errors: `E_CONFIG` for what is easily mistyped, and would make a folder where nobody looks for a backup.
 */
export function folderOf(url: string): string {
  const [, slashes = '', path] = /^file:(\/\/)?(.*)$/is.exec(url) ?? []
  const refuse = (why: string, hint: string) => new WalrustError('E_CONFIG', `${url} ${why}`, { hint })
  if (!path) throw refuse('names no folder', 'Write file:///folder, or file:folder for one below this one.')
  if (path.startsWith('~')) throw refuse('begins with ~, which only a shell understands', 'Write the folder out.')
  const [host] = path.split('/')
  if (slashes && host !== '' && host !== '.' && host !== '..') {
    const hint = `Write file:///${path}, or file:${path} for a folder below this one.`
    throw refuse(`names a computer, ${host}, not a folder`, hint)
  }
  try {
    return slashes && host === '' ? fileURLToPath(`file://${path}`) : resolve(decodeURIComponent(path))
  } catch (error) {
    throw refuse(`is no URL: ${messageOf(error)}`, 'Write a % as %25.')
  }
}

/** Files of a folder, and whether that is on a disk of this machine. */
interface Found {
  readonly keys: readonly string[]
  readonly local: boolean
}

/**
 * Objects as files in a folder. A file appears under its name whole and durable or not at all: written beside under
 * another name, fsynced, linked (which fails if the name is taken), folder fsynced.
 */
export class FileStore implements ObjectStore {
  readonly url: string
  readonly keyStyle = 'nested'
  readonly capabilities: StoreCapabilities = {
    createIfAbsent: true,
    replaceIfMatch: false,
    metadata: false,
    streamedMetadata: false,
    listMetadata: false,
    verifiesSha256: true,
  }

  readonly #isLocal: typeof isLocalDisk
  /** Inode of the folder, once it was written to. Not its device: that can be another one after a remount. */
  #inode: number | undefined
  /** Folders of which it is known that they, and all above them, survive a power failure. */
  readonly #durable = new Set<string>()
  /** Folders that were seen to lie inside, when (monotonic), and whether they are on a disk of this machine. */
  readonly #inside = new Map<string, { seen: number; local: boolean }>()

  /** @param isLocal whether a folder is on a disk of this machine */
  constructor(
    readonly folder: string,
    isLocal: typeof isLocalDisk = isLocalDisk,
  ) {
    this.#isLocal = isLocal
    this.url = pathToFileURL(folder).href
  }

  async check(): Promise<void> {
    try {
      await this.#checkPlace()
      await access(this.folder, constants.W_OK | constants.X_OK)
    } catch (error) {
      throw failure(error, this.folder)
    }
  }

  async put(key: string, body: () => ObjectBody, options: PutOptions = {}): Promise<ObjectInfo> {
    refuseUndeclared(this.capabilities, options)
    const path = this.#path(key)
    const folder = dirname(path)
    const temporary = join(folder, `${TEMPORARY}${randomBytes(6).toString('hex')}`)
    try {
      await this.#checkPlace()
      await this.#checkInside(path)
      if (options.ifAbsent && (await exists(path))) throw taken(key, this.url)
      const made = await mkdir(folder, { recursive: true, mode: FOLDER_MODE })
      if (made !== undefined) this.#durable.delete(folder)
      await this.#write(temporary, body, options)
      await publish(temporary, path, options.ifAbsent ?? false, () => taken(key, this.url))
      await syncFolders(folder, this.#durable.has(folder) ? folder : this.folder)
      this.#durable.add(folder)
    } catch (error) {
      await unlink(temporary).catch(() => undefined)
      options.signal?.throwIfAborted()
      throw failure(error, path)
    }
    return toInfo(key, await stat(path))
  }

  /**
   * Throws if the folder is not the one that was written to before. A disk that was unmounted leaves its empty mount
   * point: what would be written there is on another disk, and beyond a gap when the right one is back.
   */
  async #checkPlace(): Promise<void> {
    if (this.#inode === undefined) {
      await mkdir(this.folder, { recursive: true, mode: FOLDER_MODE }).catch((error: unknown) => {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
        throw new StoreError('missing', `${this.folder} is a file, not a folder`)
      })
    }
    const found = await stat(this.folder).catch((error: unknown) => {
      if (isAbsent(error)) return undefined
      throw error
    })
    this.#inode ??= found?.ino
    if (found?.ino !== this.#inode) {
      throw new StoreError('transient', `${this.folder} is not the folder that it was: is its disk mounted?`)
    }
  }

  async get(
    key: string,
    { range, signal }: GetOptions = {},
  ): Promise<{ info: ObjectInfo; body: ObjectBody } | undefined> {
    signal?.throwIfAborted()
    const path = this.#path(key)
    try {
      const local = await this.#lookInside(path)
      const info = await this.#info(key, local)
      if (!info) return undefined
      const start = range?.start ?? 0
      const end = Math.min(range?.end ?? Infinity, info.size)
      const atOnce = local && end - start <= SMALL
      return { info, body: atOnce ? bodyOf(readAtOnce(path, start, end)) : this.#read(path, start, end, signal) }
    } catch (error) {
      if (isAbsent(error)) return undefined
      throw failure(error, path)
    }
  }

  async head(key: string): Promise<ObjectInfo | undefined> {
    try {
      return await this.#info(key, await this.#lookInside(this.#path(key)))
    } catch (error) {
      if (isAbsent(error)) return undefined
      throw failure(error, key)
    }
  }

  async *list({ prefix, after, skip, signal }: ListOptions): AsyncIterable<ObjectInfo> {
    // The folder above the last slash holds everything that can match.
    const start = prefix.slice(0, prefix.lastIndexOf('/') + 1)
    for await (const { keys, local } of this.#walk(start)) {
      signal?.throwIfAborted()
      const isWanted = (key: string) =>
        key.startsWith(prefix) && (after === undefined || compareKeys(key, after) > 0) && !skip?.(key)
      const wanted = keys.filter(isWanted)
      for (let i = 0; i < wanted.length; i += AT_A_TIME) {
        const found = await Promise.all(wanted.slice(i, i + AT_A_TIME).map((key) => this.#info(key, local)))
        yield* found.filter((info) => info !== undefined)
        // Where nothing has to be waited for, others would never get their turn.
        await nextTurn()
      }
    }
  }

  async #info(key: string, local: boolean): Promise<ObjectInfo | undefined> {
    try {
      const path = this.#path(key)
      // A link is no object, wherever it leads.
      const found = local ? lstatSync(path) : await lstat(path)
      return found.isFile() ? toInfo(key, found) : undefined
    } catch (error) {
      if (isAbsent(error)) return undefined
      throw failure(error, key)
    }
  }

  async delete(keys: readonly string[]): Promise<void> {
    const folders = new Set<string>()
    for (const key of keys) {
      try {
        await this.#checkInside(this.#path(key))
        await unlink(this.#path(key))
        folders.add(dirname(this.#path(key)))
      } catch (error) {
        if (!isAbsent(error)) throw failure(error, key)
      }
    }
    for (const folder of folders) await syncFolders(folder, folder)
  }

  /** Keys come from a listing or are built by the core, yet none may lead out of the folder. */
  #path(key: string): string {
    const path = resolve(this.folder, key)
    if (!path.startsWith(resolve(this.folder) + sep)) throw new StoreError('permanent', `key ${key} leaves the folder`)
    return path
  }

  /**
   * Nor may a symbolic link lead out of it: whoever may write to the folder could have us write anywhere.
   * Errors: those of the file system, among them `ENOENT` if the folder itself is not there.
   */
  async #checkInside(path: string): Promise<void> {
    const root = await realpath(this.folder)
    for (let folder = dirname(path); folder.length > this.folder.length; folder = dirname(folder)) {
      const real = await realpath(folder).catch((error: unknown) => {
        if (isAbsent(error)) return undefined
        throw error
      })
      if (real === undefined) continue
      if (real.startsWith(root + sep)) return
      throw new StoreError('permanent', `${folder} leads out of ${this.folder} by a symbolic link`)
    }
  }

  /**
   * As {@link #checkInside} for those who read, who ask for one file after the other of the same folder. Tells whether
   * that is on a disk of this machine.
   */
  async #lookInside(path: string): Promise<boolean> {
    const folder = dirname(path)
    const now = performance.now()
    const known = this.#inside.get(folder)
    if (known && now - known.seen < LATELY_MS) return known.local
    await this.#checkInside(path)
    const local = await this.#isLocal(folder)
    if (this.#inside.size >= MOST_REMEMBERED) this.#inside.clear()
    this.#inside.set(folder, { seen: now, local })
    return local
  }

  async #write(path: string, body: () => ObjectBody, options: PutOptions): Promise<void> {
    const { timestamp } = options
    const handle = await open(path, 'wx', FILE_MODE)
    try {
      for await (const piece of exactBody(body(), options)) {
        for (let done = 0; done < piece.length;) done += (await handle.write(piece, done)).bytesWritten
      }
      if (timestamp !== undefined) await handle.utimes(timestamp / 1000, timestamp / 1000)
      await handle.sync()
    } finally {
      await handle.close()
    }
  }

  async *#read(path: string, start: number, end: number, signal: AbortSignal | undefined): ObjectBody {
    const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW).catch((error: unknown) => {
      throw failure(error, path)
    })
    try {
      const buffer = Buffer.allocUnsafeSlow(Math.min(READ_SIZE, Math.max(0, end - start)))
      for (let at = start; at < end;) {
        signal?.throwIfAborted()
        const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, end - at), at)
        if (bytesRead === 0) return
        at += bytesRead
        yield buffer.subarray(0, bytesRead)
      }
    } catch (error) {
      throw failure(error, path)
    } finally {
      await handle.close()
    }
  }

  /** All files below a folder, in the order of the bytes of their keys. */
  async *#walk(folder: string): AsyncGenerator<Found> {
    const path = join(this.folder, folder)
    let found
    try {
      if (folder !== '') await this.#checkInside(join(this.#path(folder), 'x'))
      found = await readdir(path, { withFileTypes: true })
    } catch (error) {
      if (isAbsent(error)) return
      throw failure(error, folder)
    }
    const local = await this.#isLocal(path)
    // A folder sorts as its name with the slash that follows it in every key below it.
    const names = found.map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name))
    let keys: string[] = []
    for (const name of names.sort(compareKeys)) {
      if (name.endsWith('/')) {
        yield { keys, local }
        keys = []
        yield* this.#walk(folder + name)
      } else if (!name.startsWith(TEMPORARY)) keys.push(folder + name)
      else await this.#removeStale(join(path, name))
    }
    yield { keys, local }
  }

  async #removeStale(path: string): Promise<void> {
    const found = await stat(path).catch(() => undefined)
    if (found && Date.now() - found.mtimeMs > STALE_MS) await rm(path, { force: true })
  }
}

/** Reads a part of a file that is not large. Errors: those of the file system, `ELOOP` for a link. */
function readAtOnce(path: string, start: number, end: number): Uint8Array {
  const bytes = Buffer.allocUnsafe(Math.max(0, end - start))
  const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    let used = 0
    for (let read; used < bytes.length; used += read) {
      read = readSync(file, bytes, used, bytes.length - used, start + used)
      if (read === 0) break
    }
    return bytes.subarray(0, used)
  } finally {
    closeSync(file)
  }
}

/** Gives a file its name; with `exclusive`, only if the name is free. */
async function publish(from: string, to: string, exclusive: boolean, onTaken: () => Error): Promise<void> {
  if (!exclusive) {
    await rename(from, to)
    return
  }
  try {
    await link(from, to)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw onTaken()
    throw error
  }
  await unlink(from)
}

/** Makes new names durable, from a folder up to the store's own. */
async function syncFolders(from: string, upTo: string): Promise<void> {
  for (let folder = from; folder.length >= upTo.length; folder = dirname(folder)) {
    const handle = await open(folder, 'r')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
    if (folder === upTo) return
  }
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    (error: unknown) => {
      if (isAbsent(error)) return false
      throw error
    },
  )
}

function toInfo(key: string, { size, mtimeMs }: Stats): ObjectInfo {
  return { key, size, timestamp: Math.round(mtimeMs) }
}

function isAbsent(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'ENOENT' || code === 'ENOTDIR'
}

function taken(key: string, url: string): WalrustError {
  return new WalrustError('E_OBJECT_EXISTS', `${key} is in ${url} already`, { storage: url })
}

const KINDS: Readonly<Record<string, 'auth' | 'missing' | 'permanent'>> = {
  ELOOP: 'permanent',
  EACCES: 'auth',
  EPERM: 'auth',
  EROFS: 'auth',
  ENOTDIR: 'missing',
  ENAMETOOLONG: 'permanent',
}

/** What is wrong with a disk may pass: it is full, or not mounted. What is wrong with permissions does not by itself. */
function failure(error: unknown, path: string): Error {
  if (error instanceof WalrustError || error instanceof StoreError) return error
  const { code, message } = error as NodeJS.ErrnoException
  if (code === undefined) return error instanceof Error ? error : new Error(String(error))
  return new StoreError(KINDS[code] ?? 'transient', `${path}: ${message}`, undefined, error)
}
