import { statSync } from 'node:fs'

/** Bytes of a file; 0 if there is none. Nothing is opened: a database may be asked for as well. */
export function fileSize(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}
