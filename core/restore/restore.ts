import { randomBytes } from 'node:crypto'
import { lstat, open, readdir, realpath, rm } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { systemCode, WalrustError } from '../errors.js'
import { diskError, mkdirDurably } from '../fs/durable.js'
import type { Remote } from '../remote.js'
import { BESIDE, checkIntegrity, DatabaseTarget, type IntegrityCheck } from './database-target.js'
import { FileCache } from './file-cache.js'
import { fillFile } from './fill-file.js'
import type { RestorePlan } from './plan.js'

export interface RestoreOptions {
  /** Where the database goes. */
  target: string
  /** Replace a database that is there. */
  force: boolean
  integrityCheck: IntegrityCheck
  signal?: AbortSignal
  /** Requests at a time. */
  parallelism?: number
  /** Folder with files of the backup that are on this machine already: see {@link FileCache}. */
  cacheDir?: string
  /** Told as it goes on: files applied and files in all, bytes fetched and bytes in all. */
  progress?: (state: RestoreProgress) => void
}

export interface RestoreProgress {
  readonly done: number
  readonly of: number
  readonly bytes: number
  readonly total: number
}

export interface RestoreResult {
  txid: number
  /** Bytes of the database. */
  size: number
  pageSize: number
  /** Database checksum, and whether storage recorded one to hold it against. */
  checksum: bigint
  checksumKnown: boolean
  /** Milliseconds since the epoch: when the newest commit it holds was observed. */
  timestamp: number
  files: number
  /** How many of the files were on this machine. */
  cached: number
}

/**
 * Brings a database back from the files of a plan: into a new file beside the target, verified as it is read, held
 * against the recorded database checksum as it lies on disk, checked by SQLite, made durable, and only then put in
 * place. Whatever fails before leaves the target as it was.
 *
 * Errors: `E_TARGET_EXISTS`, `E_DATABASE_BUSY`, `E_OBJECT_DAMAGED`, `E_CHAIN_BROKEN`, `E_CHECKSUM`, `E_STORAGE`….
 */
export async function restore(remote: Remote, plan: RestorePlan, options: RestoreOptions): Promise<RestoreResult> {
  const path = await realPlace(options.target)
  const file = join(dirname(path), `${temporaryPrefix(path)}${randomBytes(6).toString('hex')}`)
  try {
    await removeAbandoned(path)
    const target = DatabaseTarget.claim(path, options.force, `${file}-old`)
    try {
      const result = await write(remote, plan, file, options)
      const problems = checkIntegrity(file, options.integrityCheck)
      if (problems.length > 0) {
        throw new WalrustError('E_CHECKSUM', `SQLite finds the restored database damaged: ${problems[0]}`, {
          database: remote.name,
        })
      }
      options.signal?.throwIfAborted()
      await target.replaceWith(file)
      return result
    } finally {
      for (const suffix of ['', ...BESIDE]) await rm(file + suffix, { force: true })
      target.release()
    }
  } catch (error) {
    throw diskError(error, path)
  }
}

/** Absolute path of a target, whose folder is made if need be; what a symbolic link stands for is replaced, not the link. */
async function realPlace(target: string): Promise<string> {
  const path = resolve(target)
  try {
    await mkdirDurably(dirname(path))
    return await realpath(path)
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return path
    throw diskError(error, path)
  }
}

const temporaryPrefix = (path: string) => `.${basename(path)}.restore-`

/** After so long, milliseconds, a file in the making is one of a restore that was killed. */
const ABANDONED = 24 * 3600_000

/** Removes what restores to the same place left that were killed: as large as the database, and seen by nobody. */
async function removeAbandoned(path: string): Promise<void> {
  const prefix = temporaryPrefix(path)
  for (const name of await readdir(dirname(path))) {
    if (!name.startsWith(prefix) || !/^[0-9a-f]{12}(-|$)/.test(name.slice(prefix.length))) continue
    const file = join(dirname(path), name)
    const found = await lstat(file).catch(() => undefined)
    if (found && Date.now() - found.ctimeMs > ABANDONED) await rm(file, { force: true })
  }
}

async function write(remote: Remote, plan: RestorePlan, path: string, options: RestoreOptions): Promise<RestoreResult> {
  const handle = await open(path, 'wx+', 0o600)
  try {
    const { cacheDir, signal } = options
    const cache = cacheDir === undefined ? undefined : await FileCache.open(cacheDir, remote, signal)
    const { header, checksum } = await fillFile(remote, plan, handle, options, cache)
    return {
      txid: plan.txid,
      size: header.commit * header.pageSize,
      pageSize: header.pageSize,
      checksum,
      checksumKnown: header.post !== 0n,
      timestamp: header.timestamp,
      files: plan.files.length,
      cached: cache?.used ?? 0,
    }
  } finally {
    await handle.close()
  }
}
