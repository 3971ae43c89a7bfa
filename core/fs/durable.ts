import { randomBytes } from 'node:crypto'
import { fdatasync } from 'node:fs'
import { type FileHandle, mkdir, open, rename, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { messageOf, systemCode, WalrustError } from '../errors.js'

const fdatasyncAsync = promisify(fdatasync)

/** Files in the making carry this, so that a start after a kill knows them and throws them away. */
export const TEMPORARY = '.tmp-'

/** A name for a file in the making in the folder of `path`. */
export function temporaryName(path: string): string {
  return join(dirname(path), `${TEMPORARY}${randomBytes(6).toString('hex')}`)
}

/** Makes renames and new names in a folder survive a power failure. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Makes a folder, and those above it that are missing, so that they survive a power failure. */
export async function mkdirDurably(folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true })
  if (first === undefined) return
  for (let made = folder; made.length >= first.length; made = dirname(made)) await syncFolder(dirname(made))
}

/**
 * Makes what is in a file durable. Only to save time for whoever is going to do it with others waiting: nothing rests on
 * it, so an error is of no interest, and the kernel tells it once more to each other descriptor.
 */
export async function syncAhead(fd: number): Promise<void> {
  await fdatasyncAsync(fd).catch(() => undefined)
}

/**
 * Replaces a small file so that at any moment, also after a power failure, either the old or the new content is there:
 * new file, fsync, rename, fsync of the folder.
 *
 * @param content what it is, or makes it when it is known which file it will lie in
 */
export async function writeDurably(
  path: string,
  content: string | Uint8Array | ((file: FileHandle) => Promise<string>),
): Promise<void> {
  const temporary = temporaryName(path)
  try {
    const handle = await open(temporary, 'wx', 0o600)
    try {
      await handle.writeFile(typeof content === 'function' ? await content(handle) : content)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, path)
    await syncFolder(dirname(path))
  } catch (error) {
    await unlink(temporary).catch(() => undefined)
    throw diskError(error, path)
  }
}

/** An error of the file system in our own words: a full disk has its own code, because the engine goes on without it. */
export function diskError(error: unknown, path: string): Error {
  if (error instanceof WalrustError) return error
  const code = systemCode(error)
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new WalrustError('E_DISK_FULL', `no space left on the disk of ${path}`, { cause: error })
  }
  if (code !== undefined) {
    return new WalrustError('E_STATE', `cannot write ${path}: ${messageOf(error)}`, { cause: error })
  }
  return error instanceof Error ? error : new Error(messageOf(error))
}
