import { randomBytes } from 'node:crypto'
import { type FileHandle, lstat, open, readdir, realpath, rm } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { systemCode, WalrustError } from '../errors.js'
import { diskError, mkdirDurably } from '../fs/durable.js'
import { pageChecksum, checksumWords } from '../kernel/kernel.js'
import { DatabaseChecksum, formatChecksum } from '../ltx/checksum.js'
import type { LtxHeader } from '../ltx/header.js'
import { lockPage } from '../ltx/layout.js'
import type { Remote } from '../remote.js'
import { BESIDE, checkIntegrity, DatabaseTarget, type IntegrityCheck } from './database-target.js'
import { FileFetcher } from './file-fetcher.js'
import { PageWriter } from './page-writer.js'
import type { RestorePlan } from './plan.js'
import { type PageSink, readFile } from './read-file.js'

export interface RestoreOptions {
  /** Where the database goes. */
  target: string
  /** Replace a database that is there. */
  force: boolean
  integrityCheck: IntegrityCheck
  signal?: AbortSignal
  /** Requests at a time. */
  parallelism?: number
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
    const header = await applyAll(remote, plan, handle, options)
    await handle.sync()
    const checksum = await checksumOf(handle, header.pageSize, header.commit)
    if (header.post !== 0n && header.post !== checksum) {
      const sums = `${formatChecksum(checksum)}, recorded is ${formatChecksum(header.post)}`
      throw new WalrustError('E_CHECKSUM', `the restored database has checksum ${sums} for transaction ${plan.txid}`, {
        database: remote.name,
      })
    }
    return {
      txid: plan.txid,
      size: header.commit * header.pageSize,
      pageSize: header.pageSize,
      checksum,
      checksumKnown: header.post !== 0n,
      timestamp: header.timestamp,
      files: plan.files.length,
    }
  } finally {
    await handle.close()
  }
}

/** Applies the files in order. Returns the header of the last. */
async function applyAll(
  remote: Remote,
  plan: RestorePlan,
  handle: FileHandle,
  { signal, progress, parallelism }: RestoreOptions,
): Promise<LtxHeader> {
  const { files } = plan
  const total = files.reduce((sum, { size }) => sum + size, 0)
  let [done, bytes] = [0, 0]
  const tell = () => progress?.({ done, of: files.length, bytes, total })
  const onBytes = (count: number) => {
    bytes += count
    tell()
  }
  const fetcher = new FileFetcher(remote, files, { parallelism, signal, onBytes })
  let last: LtxHeader | undefined
  let writer: PageWriter | undefined
  try {
    for (const file of files) {
      const previous = last
      const sink: PageSink = {
        begin: async (header) => {
          checkContinues(remote, header, previous)
          if (previous?.pageSize !== header.pageSize) {
            await writer?.flush()
            writer = new PageWriter(handle, header.pageSize)
            await handle.truncate(0)
          } else if (header.commit < previous.commit) {
            // Pages that are cut off must not come back when the database grows again.
            await writer?.flush()
            await handle.truncate(header.commit * header.pageSize)
          }
        },
        page: (page, data) => writer?.write(page, data),
      }
      last = await readFile(remote, file, await fetcher.open(file), sink, previous?.commit ?? 0)
      done++
      tell()
    }
  } finally {
    fetcher.close()
  }
  if (!last) throw new WalrustError('E_NO_BACKUP', `there is no backup of ${remote.name}`, { database: remote.name })
  await writer?.flush()
  // Its last page may be the one that is never stored.
  await handle.truncate(last.commit * last.pageSize)
  return last
}

/** Where both files say what they stand on, it has to be the same. */
function checkContinues(remote: Remote, header: LtxHeader, previous: LtxHeader | undefined): void {
  if (!previous || header.minTxid !== previous.maxTxid + 1) return
  if (header.pre !== 0n && previous.post !== 0n && header.pre !== previous.post) {
    throw new WalrustError(
      'E_CHAIN_BROKEN',
      `transaction ${header.minTxid} was made for another database than transaction ${previous.maxTxid} gives`,
      { database: remote.name },
    )
  }
}

/** Checksum of a database as it lies in a file. */
async function checksumOf(handle: FileHandle, pageSize: number, commit: number): Promise<bigint> {
  const sum = new DatabaseChecksum()
  const perRead = Math.max(1, Math.floor((1024 * 1024) / pageSize))
  const buffer = Buffer.allocUnsafeSlow(perRead * pageSize)
  const lock = lockPage(pageSize)
  for (let page = 1; page <= commit;) {
    const pages = Math.min(perRead, commit - page + 1)
    const { bytesRead } = await handle.read(buffer, 0, pages * pageSize, (page - 1) * pageSize)
    if (bytesRead < pages * pageSize)
      throw new WalrustError('E_CHECKSUM', 'the restored file is shorter than it should be')
    for (let i = 0; i < pages; i++, page++) {
      if (page === lock) continue
      pageChecksum(page, buffer.subarray(i * pageSize, (i + 1) * pageSize))
      sum.toggle(checksumWords[0], checksumWords[1])
    }
  }
  return sum.value
}
