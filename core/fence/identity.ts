import { randomBytes } from 'node:crypto'
import { type FileHandle, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { writeDurably } from '../fs/durable.js'

/**
 * Who this machine is, for one database and one storage: a random name kept in the state folder. Whoever holds the
 * machine lock of that folder and finds its own name in a claim knows that the process which made it is gone.
 *
 * The name counts only in the file it was written to (by inode): a state folder that was copied along with a database
 * is another machine. Losing it, or not being able to write it, costs one wait of `lease.ttl` after a kill, nothing else.
 */
export async function loadIdentity(folder: string): Promise<string> {
  const path = join(folder, 'identity.json')
  return (await readIdentity(path)) ?? (await makeIdentity(path))
}

async function readIdentity(path: string): Promise<string | undefined> {
  try {
    const { id, inode } = JSON.parse(await readFile(path, 'utf8')) as { id?: unknown; inode?: unknown }
    const { ino } = await stat(path, { bigint: true })
    return typeof id === 'string' && id.length >= 16 && inode === ino.toString() ? id : undefined
  } catch {
    return undefined
  }
}

async function makeIdentity(path: string): Promise<string> {
  const id = randomBytes(12).toString('hex')
  const content = async (file: FileHandle) => {
    const { ino } = await file.stat({ bigint: true })
    return JSON.stringify({ id, inode: ino.toString() })
  }
  // A full disk is no reason not to ship.
  await writeDurably(path, content).catch(() => undefined)
  return id
}
