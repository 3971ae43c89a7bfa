// @ts-check
import { randomBytes } from 'node:crypto'
import { link, mkdir, open, readdir, rename, stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { compareKeys, exactBody, refuseUndeclared, StoreError, WalrustError } from 'walrust'

/** Begins the names of files that are not whole yet. No key is encoded to it. */
const UNFINISHED = '.unfinished-'

/** Options beside the URL, as a JSON schema: walrust holds what the user writes against it. */
const options = {
  type: 'object',
  additionalProperties: false,
  properties: { fsync: { type: 'boolean', description: 'Make every object survive a power failure.', default: true } },
}

/**
 * Objects as the files of one flat folder: `flat:/srv/backups`. The slashes of keys are part of the names.
 *
 * @implements {import('walrust').ObjectStore}
 */
export class FlatStore {
  /** @type {'flat'} */
  keyStyle = 'flat'
  /** What is not there is not promised: walrust then keeps what it knows of a file in a sidecar. */
  capabilities = {
    createIfAbsent: true,
    replaceIfMatch: false,
    metadata: false,
    streamedMetadata: false,
    listMetadata: false,
    verifiesSha256: false,
  }

  /**
   * @param {string} url
   * @param {{ fsync?: boolean }} [options]
   */
  constructor(url, { fsync = true } = {}) {
    this.url = url
    this.folder = decodeURI(url.slice('flat:'.length))
    this.fsync = fsync
    if (!this.folder.startsWith('/')) {
      throw new WalrustError('E_CONFIG', `${url} names no folder`, { hint: 'Write it as flat:/srv/backups.' })
    }
  }

  async check() {
    await this.#attempt(() => mkdir(this.folder, { recursive: true }))
  }

  /** @type {import('walrust').ObjectStore['put']} */
  async put(key, body, options = {}) {
    refuseUndeclared(this.capabilities, options)
    const { ifAbsent, timestamp, signal } = options
    const path = this.#path(key)
    const unfinished = join(this.folder, UNFINISHED + randomBytes(6).toString('hex'))
    return this.#attempt(async () => {
      await mkdir(this.folder, { recursive: true })
      const file = await open(unfinished, 'wx')
      try {
        try {
          for await (const piece of exactBody(body(), options)) {
            signal?.throwIfAborted()
            await file.writeFile(piece)
          }
          if (timestamp !== undefined) await file.utimes(timestamp / 1000, timestamp / 1000)
          if (this.fsync) await file.sync()
        } finally {
          await file.close()
        }
        // One step of the file system that only one of many can win. Looking first and writing then would be a race.
        if (ifAbsent) await link(unfinished, path)
        else await rename(unfinished, path)
      } catch (error) {
        if (codeOf(error) === 'EEXIST') {
          throw new WalrustError('E_OBJECT_EXISTS', `${key} is in ${this.url} already`, { storage: this.url })
        }
        throw error
      } finally {
        await unlink(unfinished).catch(() => undefined)
      }
      if (this.fsync) await this.#syncFolder()
      return infoOf(key, await stat(path))
    })
  }

  /** @type {import('walrust').ObjectStore['get']} */
  async get(key, { range, signal } = {}) {
    const info = await this.head(key)
    return info && { info, body: this.#read(key, range?.start ?? 0, range?.end ?? info.size, signal) }
  }

  /** @type {import('walrust').ObjectStore['head']} */
  async head(key) {
    return this.#attempt(async () => {
      try {
        return infoOf(key, await stat(this.#path(key)))
      } catch (error) {
        // "There is none" and nothing else is an answer: a folder that is gone is a failure.
        if (codeOf(error) !== 'ENOENT') throw error
        return undefined
      }
    })
  }

  /** @type {import('walrust').ObjectStore['list']} */
  async *list({ prefix, after, signal }) {
    const names = await this.#attempt(() => readdir(this.folder).catch(ifMissing(/** @type {string[]} */ ([]))))
    const keys = names.filter((name) => !name.startsWith(UNFINISHED)).map(decodeURIComponent)
    for (const key of keys.sort(compareKeys)) {
      signal?.throwIfAborted()
      if (!key.startsWith(prefix) || (after !== undefined && compareKeys(key, after) <= 0)) continue
      const info = await this.head(key)
      if (info) yield info
    }
  }

  /** @type {import('walrust').ObjectStore['delete']} */
  async delete(keys) {
    await this.#attempt(async () => {
      for (const key of keys) await unlink(this.#path(key)).catch(ifMissing(undefined))
    })
  }

  /**
   * @param {string} key
   * @param {number} start
   * @param {number} end
   * @param {AbortSignal} [signal]
   */
  async *#read(key, start, end, signal) {
    const file = await this.#attempt(() => open(this.#path(key)))
    try {
      const buffer = Buffer.allocUnsafe(65_536)
      for (let at = start; at < end;) {
        signal?.throwIfAborted()
        const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, end - at), at)
        if (bytesRead === 0) return
        at += bytesRead
        yield buffer.subarray(0, bytesRead)
      }
    } finally {
      await file.close()
    }
  }

  /** An encoded key has no slash and is never `.` or `..`: it cannot leave the folder. @param {string} key */
  #path(key) {
    return join(this.folder, encodeURIComponent(key).replace(/^\./, '%2E'))
  }

  async #syncFolder() {
    const folder = await open(this.folder)
    await folder.sync()
    await folder.close()
  }

  /**
   * Says of what kind a failure is: that decides whether it is tried again.
   *
   * @template T
   * @param {() => Promise<T>} work
   * @returns {Promise<T>}
   */
  async #attempt(work) {
    try {
      return await work()
    } catch (error) {
      const code = codeOf(error)
      if (code === undefined) throw error
      const kind = code === 'EACCES' || code === 'EPERM' || code === 'EROFS' ? 'auth' : 'transient'
      throw new StoreError(kind, `${this.url}: ${String(error)}`, undefined, error)
    }
  }
}

/** @param {unknown} error */
function codeOf(error) {
  const { code, syscall } = /** @type {NodeJS.ErrnoException} */ (error)
  return syscall === undefined ? undefined : code
}

/**
 * @template T
 * @param {T} value
 * @returns {(error: unknown) => T}
 */
function ifMissing(value) {
  return (error) => {
    if (codeOf(error) === 'ENOENT') return value
    throw error
  }
}

/**
 * @param {string} key
 * @param {import('node:fs').Stats} stats
 */
function infoOf(key, { size, mtimeMs }) {
  return { key, size, timestamp: Math.round(mtimeMs) }
}

/** @returns {import('walrust').Plugin} */
export default function storageFlat() {
  return {
    name: 'walrust-plugin-storage-flat',
    walrust: '>=0.1 <1',
    storageOptions: { flat: options },
    apply(host) {
      host.registerStorage('flat', ({ url, options }) => new FlatStore(url, options))
    },
  }
}
