import { isError } from '../errors.js'
import { type FileFacts, mergedGaps } from '../facts.js'
import { HashedBody } from '../hashing.js'
import type { StoredFile } from '../inventory.js'
import { LtxError } from '../ltx/errors.js'
import type { LtxHeader } from '../ltx/header.js'
import type { Remote } from '../remote.js'
import { readFile } from '../restore/read-file.js'

/** What reading a merged file has shown. */
export interface MergedFile {
  header: LtxHeader
  /** Of its bytes as they lie there, hex. */
  sha256: string
  /** What was recorded of it when it was stored. */
  facts: FileFacts
}

/** Reads a stored file to its end, every byte of it. Errors: `E_OBJECT_DAMAGED`, `E_CHAIN_BROKEN` if it is gone. */
export async function readMerged(remote: Remote, file: StoredFile, signal: AbortSignal): Promise<MergedFile> {
  const { facts, body } = await remote.open(file, signal)
  const hashed = new HashedBody()
  const header = await readFile(remote, file, await remote.unwrap(hashed.wrap(body), facts.codecs), {
    page: () => undefined,
  })
  const { sha256 } = hashed
  if (facts.sha256 !== undefined && facts.sha256 !== sha256) {
    throw remote.damaged(file, new LtxError('LTX_CHECKSUM', 'its bytes do not have the SHA-256 that is recorded'))
  }
  return { header, sha256, facts }
}

/**
 * Holds a merged file against its sources once more, before they go: another process made it, and may have been killed
 * before it had read it back, or before what belongs beside it was written.
 *
 * @param sources files of the level below that it was merged from, as far as they are still there, oldest first
 * @returns whether it is sound. If not it was never finished, all of its sources are there, and it should be made anew.
 * Errors: `E_OBJECT_DAMAGED` if it is what it was and has been damaged since.
 */
export async function checkMerged(
  remote: Remote,
  file: StoredFile,
  sources: readonly StoredFile[],
  signal: AbortSignal,
): Promise<boolean> {
  const whole = isWhole(file, sources)
  let read: MergedFile
  try {
    read = await readMerged(remote, file, signal)
  } catch (error) {
    const unfinished = isError(error, 'E_OBJECT_DAMAGED') && whole && (await isUnrecorded(remote, file, signal))
    if (!unfinished) throw error
    return false
  }
  const ends = sources.find(({ maxTxid }) => maxTxid === file.maxTxid)
  if (ends) {
    const { post } = await remote.facts(ends, signal)
    if (post !== 0n && read.header.post !== 0n && post !== read.header.post) {
      throw remote.damaged(
        file,
        new LtxError('LTX_CHECKSUM', 'it does not end where the files end that it was merged from'),
      )
    }
  }
  if (read.facts.sha256 === undefined && whole && !remote.store.capabilities.metadata) {
    await remote.putSidecar(file, await factsOf(remote, read, sources, signal), signal)
  }
  return true
}

async function isUnrecorded(remote: Remote, file: StoredFile, signal: AbortSignal): Promise<boolean> {
  return (await remote.recorded(file, signal)).sha256 === undefined
}

/** What should have been recorded of a merged file. */
async function factsOf(
  remote: Remote,
  { header, sha256 }: MergedFile,
  sources: readonly StoredFile[],
  signal: AbortSignal,
): Promise<FileFacts> {
  const recorded: FileFacts[] = []
  for (const source of sources) recorded.push(await remote.recorded(source, signal))
  const { timestamp, pre, post } = header
  return { timestamp, sha256, pre, post, prev: undefined, codecs: [], ...mergedGaps(recorded) }
}

/** Whether sources hold everything that a file holds. */
function isWhole({ minTxid, maxTxid }: StoredFile, sources: readonly StoredFile[]): boolean {
  let at = minTxid - 1
  for (const source of sources) if (source.minTxid <= at + 1) at = Math.max(at, source.maxTxid)
  return at >= maxTxid
}
