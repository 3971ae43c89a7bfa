import { readFile } from 'node:fs/promises'
import { writeDurably } from '../fs/durable.js'
import { formatChecksum } from '../ltx/checksum.js'
import { isPageSize, LATEST_TIME } from '../ltx/layout.js'
import type { PageHead } from './head.js'

/** A state of the source that a replica is in, or about to be in. */
export interface ReplicaPoint {
  readonly txid: number
  /** Checksum of the source database. */
  readonly checksum: bigint
  /** When its newest commit was observed, milliseconds since the epoch. */
  readonly timestamp: number
  readonly pageSize: number
  /** Size of the database in pages. */
  readonly commit: number
  /** Change counter of the replica in this state: tells which of two states the file is in. */
  readonly counter: number
  /** What the source has where the replica differs. */
  readonly head: PageHead
}

/**
 * What a replica knows of itself, in its state folder. Written before the file is touched: `next` is where it is going.
 * A kill leaves the file in either state, and its change counter says in which.
 */
export interface ReplicaState {
  /** Where it comes from: a replica never follows something else. */
  readonly storage: string
  readonly name: string
  readonly at: ReplicaPoint
  readonly next: ReplicaPoint | undefined
}

const VERSION = 1

/** Reads a state; `undefined` if there is none, or none that makes sense. */
export async function readState(path: string): Promise<ReplicaState | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  try {
    const stored = fields(JSON.parse(text))
    if (stored.version !== VERSION || typeof stored.storage !== 'string' || typeof stored.name !== 'string') {
      return undefined
    }
    const next = stored.next === undefined ? undefined : readPoint(stored.next)
    return { storage: stored.storage, name: stored.name, at: readPoint(stored.at), next }
  } catch {
    return undefined
  }
}

/** Replaces a state durably. Errors: `E_DISK_FULL`, `E_STATE`. */
export async function writeState(path: string, state: ReplicaState): Promise<void> {
  const checksums = (key: string, value: unknown) => (key === 'checksum' ? formatChecksum(value as bigint) : value)
  await writeDurably(path, JSON.stringify({ version: VERSION, ...state }, checksums, 1))
}

function readPoint(value: unknown): ReplicaPoint {
  const { txid, checksum, timestamp, pageSize, commit, counter, head } = fields(value)
  const { write, read, counter: sourceCounter, validFor } = fields(head)
  if (typeof checksum !== 'string' || !/^[0-9a-f]{16}$/.test(checksum)) throw new TypeError('not a checksum')
  if (typeof pageSize !== 'number' || !isPageSize(pageSize)) throw new TypeError('not a page size')
  return {
    txid: count(txid, Number.MAX_SAFE_INTEGER),
    checksum: BigInt(`0x${checksum}`),
    timestamp: moment(timestamp),
    pageSize,
    commit: count(commit, WORD),
    counter: count(counter, WORD),
    head: {
      write: count(write, 255),
      read: count(read, 255),
      counter: count(sourceCounter, WORD),
      validFor: count(validFor, WORD),
    },
  }
}

const WORD = 0xffffffff

function moment(value: unknown): number {
  if (!Number.isSafeInteger(value) || Math.abs(value as number) > LATEST_TIME) throw new TypeError('not a moment')
  return value as number
}

function count(value: unknown, most: number): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0 || (value as number) > most) {
    throw new TypeError('not a count')
  }
  return value as number
}

function fields(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null) throw new TypeError('not an object')
  return value as Record<string, unknown>
}
