import { closeSync, openSync } from 'node:fs'
import { dirname, join, basename } from 'node:path'

/** Name of the socket in a state directory. */
export const SOCKET = 'control.sock'

/** The shortest that systems allow for the path of a socket (macOS: 104 bytes, Linux: 108), with its final zero. */
const LONGEST = 103

/**
 * Calls `work` with a path of a socket that is short enough for the system: the path itself, or the same by way of an
 * open descriptor of its folder, which is possible on Linux. Errors: `ENAMETOOLONG` where it is not.
 */
export function withShortPath<T>(path: string, work: (short: string) => T): T {
  if (Buffer.byteLength(path) <= LONGEST) return work(path)
  if (process.platform !== 'linux') {
    throw Object.assign(new Error(`${path} is too long for a socket`), { code: 'ENAMETOOLONG' })
  }
  const folder = openSync(dirname(path), 'r')
  try {
    return work(join('/proc/self/fd', String(folder), basename(path)))
  } finally {
    closeSync(folder)
  }
}
