import type { FileHandle } from 'node:fs/promises'

/** Writes all of the bytes to where they belong in a file, in as many calls as the system takes for it. */
export async function writeAll(handle: FileHandle, bytes: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    done += (await handle.write(bytes, done, bytes.length - done, at + done)).bytesWritten
  }
}
