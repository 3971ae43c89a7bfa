import { type FileHandle, open } from 'node:fs/promises'
import type { ObjectBody } from '../object-store.js'

/** Small enough for dozens of files that are read beside each other. */
const PIECE = 32 * 1024

/** The bytes of an open file, which stays open. One buffer is used for all pieces. */
export async function* readPieces(handle: FileHandle): ObjectBody {
  const buffer = Buffer.allocUnsafeSlow(PIECE)
  for (let at = 0; ;) {
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, at)
    if (bytesRead === 0) return
    at += bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}

/** The same of a file that is opened for it. */
export async function* readFilePieces(path: string): ObjectBody {
  const handle = await open(path, 'r')
  try {
    yield* readPieces(handle)
  } finally {
    await handle.close()
  }
}
