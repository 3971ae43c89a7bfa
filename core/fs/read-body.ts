import { type FileHandle, open } from 'node:fs/promises'
import { giveBack, takeBuffer } from '../buffers.js'
import { hashBody } from '../hashing.js'
import type { ObjectBody } from '../object-store.js'

/** Small enough for dozens of files that are read beside each other. */
const PIECE = 32 * 1024

/** The bytes of a file. One buffer is used for all pieces. */
export async function* readFileBody(path: string, start = 0, end = Infinity): ObjectBody {
  const handle = await open(path, 'r')
  const buffer = takeBuffer()
  try {
    yield* readInto(buffer, handle, start, end)
  } finally {
    giveBack(buffer)
    await handle.close()
  }
}

/** The same of an open file, which stays open, in pieces of 32 KiB. */
export function readPieces(handle: FileHandle): ObjectBody {
  return readInto(Buffer.allocUnsafeSlow(PIECE), handle, 0, Infinity)
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

/** SHA-256 of a file's bytes, hex. */
export async function hashFile(path: string): Promise<string> {
  return await hashBody(readFileBody(path))
}

async function* readInto(buffer: Buffer, handle: FileHandle, start: number, end: number): ObjectBody {
  for (let at = start; at < end;) {
    const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, end - at), at)
    if (bytesRead === 0) return
    at += bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}
