import type { FileHandle } from 'node:fs/promises'
import { isError, WalrustError } from '../errors.js'
import type { StoredFile } from '../inventory.js'
import { pageChecksum, checksumWords } from '../kernel/kernel.js'
import { DatabaseChecksum, formatChecksum } from '../ltx/checksum.js'
import type { LtxHeader } from '../ltx/header.js'
import { lockPage } from '../ltx/layout.js'
import type { Remote } from '../remote.js'
import type { FileCache } from './file-cache.js'
import { FileFetcher } from './file-fetcher.js'
import { PageWriter } from './page-writer.js'
import type { RestorePlan } from './plan.js'
import { type PageSink, readFile, readParts } from './read-file.js'
import type { RestoreOptions } from './restore.js'
import { findSuperseded, type NeededParts } from './superseded.js'

export interface Filled {
  /** Of the last file. */
  header: LtxHeader
  checksum: bigint
}

type Parts = ReadonlyMap<StoredFile, NeededParts>

/**
 * Makes the database of a plan in an open, empty file, durably, and holds it against the checksum that is recorded. Of
 * what newer files of the plan hold, older ones are read in part; if that does not give the database that it should
 * have, all of them are read whole: then they prove themselves, and say what is wrong.
 *
 * Errors: those of {@link restore}
 */
export async function fillFile(
  remote: Remote,
  plan: RestorePlan,
  handle: FileHandle,
  options: RestoreOptions,
  cache: FileCache | undefined,
): Promise<Filled> {
  const parts = await findSuperseded(remote, plan.files, options.signal)
  if (parts.size > 0) {
    try {
      const filled = await fill(remote, plan, handle, options, cache, parts)
      if (filled.header.post !== 0n) return filled
    } catch (error) {
      if (!isError(error, 'E_OBJECT_DAMAGED') && !isError(error, 'E_CHECKSUM')) throw error
    }
    await handle.truncate(0)
  }
  return await fill(remote, plan, handle, options, cache, new Map())
}

async function fill(
  remote: Remote,
  plan: RestorePlan,
  handle: FileHandle,
  options: RestoreOptions,
  cache: FileCache | undefined,
  parts: Parts,
): Promise<Filled> {
  const header = await applyAll(remote, plan, handle, options, cache, parts)
  // What is read back does not have to wait for the disk.
  const [checksum] = await Promise.all([checksumOf(handle, header.pageSize, header.commit), handle.sync()])
  if (header.post !== 0n && header.post !== checksum) {
    const sums = `${formatChecksum(checksum)}, recorded is ${formatChecksum(header.post)}`
    throw new WalrustError('E_CHECKSUM', `the restored database has checksum ${sums} for transaction ${plan.txid}`, {
      database: remote.name,
    })
  }
  return { header, checksum }
}

/** Applies the files in order. Returns the header of the last. */
async function applyAll(
  remote: Remote,
  plan: RestorePlan,
  handle: FileHandle,
  { signal, progress, parallelism }: RestoreOptions,
  cache: FileCache | undefined,
  parts: Parts,
): Promise<LtxHeader> {
  const { files } = plan
  const total = files.reduce((sum, file) => sum + bytesOf(file, parts), 0)
  let [done, bytes] = [0, 0]
  const tell = () => progress?.({ done, of: files.length, bytes, total })
  const onBytes = (count: number) => {
    bytes += count
    tell()
  }
  const fetcher = new FileFetcher(remote, files, { parallelism, signal, onBytes, cache, parts })
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
      const some = parts.get(file)
      last = some
        ? await readParts(remote, file, some, fetcher.pieces(file), sink)
        : await readFile(remote, file, await fetcher.open(file), sink, previous?.commit ?? 0)
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

function bytesOf(file: StoredFile, parts: Parts): number {
  return parts.get(file)?.ranges.reduce((sum, { start, end }) => sum + end - start, 0) ?? file.size
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
