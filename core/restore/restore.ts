import { randomBytes } from 'node:crypto'
import { type FileHandle, open, rm } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { mkdir } from 'node:fs/promises'
import { WalrustError } from '../errors.js'
import { diskError } from '../fs/durable.js'
import { pageChecksum, checksumWords } from '../kernel/kernel.js'
import { DatabaseChecksum, formatChecksum } from '../ltx/checksum.js'
import type { LtxHeader } from '../ltx/header.js'
import { lockPage } from '../ltx/layout.js'
import type { Remote } from '../remote.js'
import { checkIntegrity, DatabaseTarget, type IntegrityCheck } from './database-target.js'
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
  /** Told after each file: how many of how many, and the bytes of files read so far. */
  progress?: (done: number, of: number, bytes: number) => void
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
  const path = resolve(options.target)
  await mkdir(dirname(path), { recursive: true })
  const target = await DatabaseTarget.claim(path, options.force)
  const file = join(dirname(path), `.${basename(path)}.restore-${randomBytes(6).toString('hex')}`)
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
  } catch (error) {
    throw diskError(error, path)
  } finally {
    for (const suffix of ['', '-wal', '-shm', '-journal']) await rm(file + suffix, { force: true })
    target.release()
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
  { signal, progress }: RestoreOptions,
): Promise<LtxHeader> {
  let last: LtxHeader | undefined
  let writer: PageWriter | undefined
  let bytes = 0
  for (const [index, file] of plan.files.entries()) {
    const facts = await remote.facts(file, signal)
    const previous = last
    const body = await remote.ltx(file, facts.codecs, signal)
    const sink: PageSink = {
      begin: async (header) => {
        checkContinues(remote, header, previous)
        if (previous?.pageSize !== header.pageSize) writer = new PageWriter(handle, header.pageSize)
        const before = previous?.pageSize === header.pageSize ? previous.commit : 0
        // Pages that are cut off must not come back when the database grows again.
        if (header.commit < before || before === 0)
          await handle.truncate(Math.min(before, header.commit) * header.pageSize)
      },
      page: (page, data) => writer?.write(page, data),
    }
    last = await readFile(remote, file, body, sink, previous?.commit ?? 0)
    await writer?.flush()
    // Its last page may be the one that is never stored.
    await handle.truncate(last.commit * last.pageSize)
    bytes += file.size
    progress?.(index + 1, plan.files.length, bytes)
  }
  if (!last) throw new WalrustError('E_NO_BACKUP', `there is no backup of ${remote.name}`, { database: remote.name })
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
