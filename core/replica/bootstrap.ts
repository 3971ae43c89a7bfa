import { existsSync } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { WalrustError } from '../errors.js'
import { syncFolder } from '../fs/durable.js'
import type { Remote } from '../remote.js'
import { planRestore, restorablePoints } from '../restore/plan.js'
import { restore } from '../restore/restore.js'
import { HEAD_SIZE, readHead, replicaHead, writeHead } from './head.js'
import { type ReplicaState, writeState } from './state.js'

/** What SQLite would take for a part of a database at this path. */
const LEFTOVERS = ['-journal', '-wal', '-shm']

/**
 * Makes a replica where there is none: the newest state that can be restored, in rollback mode.
 *
 * States a kill can leave: files in the folder for incoming ones (thrown away), a state without a file (made anew).
 * Errors: those of a restore.
 *
 * @param ours there was a replica of ours whose file is gone: what lies beside it may go, too
 */
export async function bootstrap(
  remote: Remote,
  path: string,
  folder: string,
  ours: boolean,
  signal: AbortSignal,
): Promise<void> {
  const left = LEFTOVERS.map((suffix) => path + suffix).find((name) => existsSync(name))
  if (left !== undefined && !ours) {
    throw new WalrustError('E_NOT_REPLICA', `${left} exists: it would be taken for a part of the replica`, {
      hint: 'Remove it, or choose another file.',
    })
  }
  const inventory = await remote.inventory(signal)
  const txid = restorablePoints(inventory).at(-1) ?? inventory.newest
  const plan = planRestore(inventory, txid, remote.name)
  const incoming = join(folder, 'incoming')
  const fresh = join(incoming, 'replica.db')
  const restored = await restore(remote, plan, { target: fresh, force: false, integrityCheck: 'full', signal })
  const { pageSize, checksum, timestamp, size } = restored
  const handle = await open(fresh, 'r+')
  let at: ReplicaState['at']
  try {
    const bytes = Buffer.alloc(HEAD_SIZE)
    const { bytesRead } = await handle.read(bytes, 0, HEAD_SIZE, 0)
    if (bytesRead < HEAD_SIZE) {
      throw new WalrustError('E_NO_BACKUP', `${remote.name} has no pages yet`, { database: remote.name })
    }
    const head = readHead(bytes)
    at = { txid: restored.txid, checksum, timestamp, pageSize, commit: size / pageSize, counter: head.counter, head }
    writeHead(bytes, replicaHead(head, head.counter))
    await handle.write(bytes, 0, HEAD_SIZE, 0)
    await handle.sync()
  } finally {
    await handle.close()
  }
  const { store, name } = remote
  await writeState(join(folder, 'replica.json'), { storage: store.url, name, at, next: undefined })
  for (const suffix of LEFTOVERS) await rm(path + suffix, { force: true })
  await rename(fresh, path)
  await syncFolder(dirname(path))
}
