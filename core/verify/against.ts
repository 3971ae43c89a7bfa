import { DatabaseFile } from '../database/database-file.js'
import { databaseError } from '../database/connection.js'
import { WalrustError } from '../errors.js'
import { DatabaseChecksum, formatChecksum } from '../ltx/checksum.js'
import type { Remote } from '../remote.js'
import { ContinuityLost, Follower } from '../wal/follower.js'
import type { Ends } from './chain.js'
import type { Finding } from './finding.js'

/** How often a database that is written all the time is looked at. */
const LOOKS = 5

/** A live database, held against what storage has. */
export interface Comparison {
  /** Path of the live database, and the checksum of all its pages when it was looked at. */
  database: string
  checksum: string
  /** The transaction in storage that is exactly this; 0 if there is none. */
  txid: number
  /** Whether a running `watch` has shipped what was committed when it was looked at. */
  shipped: boolean
  finding: Finding | undefined
}

export interface AgainstOptions {
  /** Has the running `watch` ship everything committed so far; false if there is none. */
  sync: () => Promise<boolean>
  signal?: AbortSignal
}

/**
 * Holds a live database against storage: the checksum of all its pages, read under one read transaction, against the
 * database checksums of the newest transactions. Nothing is downloaded but headers.
 *
 * A commit that is not shipped yet makes the two differ. So the database is looked at first, then the running `watch`
 * is asked to ship what there is, and then the state seen has to be one of those in storage. Where the database is
 * written all the time, the state seen may lie between two transactions: then it is looked at again, a few times.
 * Where nothing watches the database, it has to be the newest state as it is.
 *
 * Reads the database through SQLite's own locks, and writes nothing. Not in a process that has the file open.
 *
 * @param ends database checksums in storage as far as they are known already
 * Errors: `E_NOT_SQLITE`, `E_NOT_WAL`, `E_DATABASE_MISSING`, `E_DATABASE_UNREADABLE`, `E_STORAGE`…
 */
export async function compareWithLive(
  remote: Remote,
  ends: Ends,
  path: string,
  { sync, signal }: AgainstOptions,
): Promise<Comparison> {
  for (let look = 1; ; look++) {
    const live = await liveChecksum(path, signal)
    const shipped = await sync()
    const { newest, txid } = await findState(remote, ends, live, signal)
    const result = { database: path, checksum: formatChecksum(live), txid, shipped }
    // What was committed after the look may be in storage as well by now.
    if (txid > 0 && (txid === newest || shipped)) return { ...result, finding: undefined }
    if (!shipped || look === LOOKS) return { ...result, finding: difference(result, newest, ends) }
  }
}

/** Checksum of the database as it is now, with what its WAL holds. */
export async function liveChecksum(path: string, signal?: AbortSignal): Promise<bigint> {
  const file = DatabaseFile.open(path)
  try {
    const header = file.header()
    if (!header) throw new WalrustError('E_NOT_SQLITE', `${path} is not an SQLite database`, { database: path })
    if (!header.wal) throw new WalrustError('E_NOT_WAL', `${path} is not in WAL mode`, { database: path })
    const follower = new Follower(file)
    try {
      await follower.attach([])
      const view = follower.openView()
      try {
        const sum = new DatabaseChecksum()
        await view.checksums((_page, high, low) => sum.toggle(high, low), signal)
        return sum.value
      } finally {
        view.close()
      }
    } catch (error) {
      if (!(error instanceof ContinuityLost)) throw databaseError(path, error)
      throw new WalrustError('E_DATABASE_UNREADABLE', `${path} changed while it was read: ${error.message}`, {
        ...{ database: path, cause: error, hint: 'Run the command again.' },
      })
    } finally {
      await follower.close(new Error('the comparison is over'))
    }
  } finally {
    file.close()
  }
}

/** The newest transaction in storage that is that state, and the newest there is. */
async function findState(
  remote: Remote,
  ends: Ends,
  checksum: bigint,
  signal: AbortSignal | undefined,
): Promise<{ newest: number; txid: number }> {
  const inventory = await remote.inventory(signal)
  for (const file of inventory.level(0)) {
    if (ends.has(file.maxTxid)) continue
    const { post } = await remote.facts(file, signal)
    if (post !== 0n) ends.set(file.maxTxid, { checksum: post, file })
  }
  let txid = 0
  for (const [at, end] of ends) if (end.checksum === checksum && at > txid) txid = at
  return { newest: inventory.newest, txid }
}

function difference(
  { database, checksum, txid, shipped }: Omit<Comparison, 'finding'>,
  newest: number,
  ends: Ends,
): Finding {
  const stored = ends.get(newest)
  const sides = { found: checksum, expected: stored ? formatChecksum(stored.checksum) : 'not known' }
  const what = !stored
    ? `it is not known which database transaction ${newest} gives`
    : txid > 0
      ? `${database} is as it was at transaction ${txid}, and storage has ${newest}: it is an older copy, or another machine has gone on`
      : shipped
        ? `${database} was never as any transaction in storage: it is written too often to be caught at one, or its backup is wrong; run this again when less is written`
        : `${database} is not as transaction ${newest}, the newest in storage: there are commits that were not shipped, or it is another database; nothing watches it at present`
  return { code: 'differs', what, ...sides }
}
