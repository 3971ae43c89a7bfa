import { createHash } from 'node:crypto'
import { type FileHandle, mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { WalrustError } from '../errors.js'
import { diskError } from '../fs/durable.js'
import { readFileBody } from '../fs/read-body.js'
import { writeAll } from '../fs/write-all.js'
import type { StoredFile } from '../inventory.js'
import { LtxError } from '../ltx/errors.js'
import type { LtxHeader } from '../ltx/header.js'
import { mergeLtx } from '../ltx/merge.js'
import { fileName } from '../object-keys.js'
import type { ObjectBody } from '../object-store.js'
import { PageListBuilder } from '../pages/page-list.js'
import type { PageChecksums } from '../pages/page-checksums.js'
import type { PageSet } from '../pages/page-set.js'
import type { Remote } from '../remote.js'
import { decodePages, type PageSink, readFile } from '../restore/read-file.js'
import { type PageHead, readHead } from './head.js'

/** At most so much is applied in one go. */
const MOST_FILES = 64
const MOST_BYTES = 256 * 1024 * 1024

/** Files brought here, verified and merged into one that can be read as often as need be. */
export interface Staged {
  readonly header: LtxHeader
  /** Which of the files it is made of. */
  readonly files: readonly StoredFile[]
  /** Reads its pages, ascending. */
  read(sink: PageSink): Promise<LtxHeader>
}

/**
 * Brings the first files of a plan to this machine, as many as go together, so that nothing that has not been verified
 * from end to end is ever applied, and that readers are kept waiting for no network.
 *
 * @param most files at a time
 * @param onFailure told which file it was, before the error is thrown
 * Errors: `E_OBJECT_DAMAGED`, `E_CHAIN_BROKEN`, `E_STORAGE`…, `E_DISK_FULL`, `E_CODEC_MISSING`.
 */
export async function stage(
  remote: Remote,
  plan: readonly StoredFile[],
  folder: string,
  options: { most?: number; signal: AbortSignal; onFailure: (file: StoredFile) => void },
): Promise<Staged> {
  await emptyFolder(folder)
  const files: StoredFile[] = []
  const paths: string[] = []
  let [header, bytes]: [LtxHeader | undefined, number] = [undefined, 0]
  for (const file of plan.slice(0, Math.min(MOST_FILES, options.most ?? MOST_FILES))) {
    if (files.length > 0 && bytes + file.size > MOST_BYTES) break
    const path = join(folder, `${file.level}-${fileName(file)}`)
    let next: LtxHeader
    try {
      next = await download(remote, file, path, options.signal)
    } catch (error) {
      options.onFailure(file)
      throw diskError(error, path)
    }
    // Files never go together across a change of the page size.
    if (header && next.pageSize !== header.pageSize) break
    header = next
    files.push(file)
    paths.push(path)
    bytes += file.size
  }
  if (!header) throw new WalrustError('E_INTERNAL', 'nothing was planned to be applied')
  if (paths.length === 1) return staged(remote, header, files, paths[0])
  const merged = join(folder, 'merged.ltx')
  return staged(remote, await merge(remote, files, paths, merged), files, merged)
}

/** A folder without anything in it: what a kill has left goes. */
export async function emptyFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true, mode: 0o700 })
}

function staged(remote: Remote, header: LtxHeader, files: readonly StoredFile[], path: string): Staged {
  return {
    header,
    files,
    read: async (sink) => {
      try {
        return await decodePages(readFileBody(path), sink)
      } catch (error) {
        // It was verified when it came in.
        if (!(error instanceof LtxError)) throw error
        throw new WalrustError('E_STATE', `${path} was changed: ${error.message}`, { database: remote.name })
      }
    },
  }
}

async function download(remote: Remote, file: StoredFile, path: string, signal: AbortSignal): Promise<LtxHeader> {
  const { facts, body } = await remote.open(file, signal)
  const hash = createHash('sha256')
  const ltx = await remote.unwrap(
    watched(body, (piece, size) => {
      hash.update(piece)
      if (size > file.size) throw damaged(remote, file, `it is longer than the ${file.size} bytes that are listed`)
    }),
    facts.codecs,
  )
  const handle = await open(path, 'wx', 0o600)
  try {
    const header = await readFile(remote, file, written(ltx, handle), { page: () => undefined })
    if (facts.sha256 !== undefined && hash.digest('hex') !== facts.sha256) {
      throw damaged(remote, file, 'its bytes do not have the SHA-256 that is recorded')
    }
    return header
  } finally {
    await handle.close()
  }
}

function damaged(remote: Remote, file: StoredFile, why: string): WalrustError {
  return new WalrustError('E_OBJECT_DAMAGED', `${file.key} in ${remote.store.url} is damaged: ${why}`, {
    database: remote.name,
    storage: remote.store.url,
  })
}

async function* watched(body: ObjectBody, look: (piece: Uint8Array, size: number) => void): ObjectBody {
  let size = 0
  for await (const piece of body) {
    look(piece, (size += piece.length))
    yield piece
  }
}

async function* written(body: ObjectBody, handle: FileHandle): ObjectBody {
  let size = 0
  for await (const piece of body) {
    await writeAll(handle, piece, size)
    size += piece.length
    yield piece
  }
}

async function merge(
  remote: Remote,
  files: readonly StoredFile[],
  paths: readonly string[],
  into: string,
): Promise<LtxHeader> {
  const handle = await open(into, 'wx', 0o600)
  let pieces: Uint8Array[] = []
  let [waiting, at] = [0, 0]
  const drain = async () => {
    const bytes = Buffer.concat(pieces)
    pieces = []
    waiting = 0
    await writeAll(handle, bytes, at)
    at += bytes.length
  }
  try {
    const header = await mergeLtx(
      paths.map((path) => readFileBody(path)),
      (bytes) => {
        pieces.push(Buffer.from(bytes))
        waiting += bytes.length
      },
      { drain: () => (waiting >= DRAIN_BYTES ? drain() : undefined) },
    )
    await drain()
    return header
  } catch (error) {
    if (!(error instanceof LtxError)) throw diskError(error, into)
    // Each by itself is right, so they do not go together.
    throw new WalrustError('E_CHAIN_BROKEN', `${files[0].key} to ${files[files.length - 1].key}: ${error.message}`, {
      database: remote.name,
      storage: remote.store.url,
    })
  } finally {
    await handle.close()
  }
}

const DRAIN_BYTES = 256 * 1024

/** What a staged file would change. */
export interface Change {
  /** Its pages that differ from those in the table. Only their numbers and checksums: the bytes are in the file. */
  readonly pages: PageSet
  /** Head of page 1, if the file holds that. */
  readonly head: PageHead | undefined
}

/** @param table describes pages of the same size as those in the file, or nothing */
export async function findChange(staged: Staged, table: PageChecksums): Promise<Change> {
  const changed = new PageListBuilder()
  const { pageSize, commit } = staged.header
  let head: PageHead | undefined
  await staged.read({
    page: (page, bytes, high, low) => {
      if (page === 1) head = readHead(bytes)
      if (!table.matches(page, high, low)) changed.add(page, high, low)
    },
  })
  const pages = changed.build(pageSize, commit, (_index, page) => {
    throw new WalrustError('E_INTERNAL', `page ${page} is in the staged file`)
  })
  return { pages, head }
}
