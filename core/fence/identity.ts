import { randomBytes } from 'node:crypto'
import { open, readFile, rename, stat, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { syncFolder, temporaryName } from '../fs/durable.js'

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
  const temporary = temporaryName(path)
  try {
    const handle = await open(temporary, 'wx', 0o600)
    try {
      const { ino } = await handle.stat({ bigint: true })
      await handle.writeFile(JSON.stringify({ id, inode: ino.toString() }))
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, path)
    await syncFolder(dirname(path))
  } catch {
    // A full disk is no reason not to ship.
    await unlink(temporary).catch(() => undefined)
  }
  return id
}
