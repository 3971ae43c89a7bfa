import { readFile } from 'node:fs/promises'
import { writeDurably } from '../fs/durable.js'
import { isPageSize, LATEST_TIME } from '../ltx/layout.js'
import type { LogPosition, WalPosition } from '../wal/position.js'

/**
 * How far one database has come in one storage, on this machine: the newest file that lies in the spool or beyond.
 *
 * Written after the file is in the spool under its final name and before its upload begins. A kill between the two
 * leaves a file newer than the position: it is uploaded, but where it ended in the WAL is not known, so what came
 * after it is found by difference. A lost or unreadable position means the same for everything: an optimisation is
 * gone, nothing else.
 */
export interface Position {
  readonly txid: number
  /** SHA-256 of the object's bytes, hex; empty if it is not known (a file of another tool without metadata). */
  readonly sha256: string
  /** Database checksums before it (0 for a snapshot, or if not known) and after it. */
  readonly pre: bigint
  readonly checksum: bigint
  /** Size of the database in pages after it, and the size of a page in bytes. */
  readonly commit: number
  readonly pageSize: number
  /** Milliseconds since the epoch; rises with the TXID. */
  readonly timestamp: number
  /** Where in the WAL it ended, on this machine, and as it can be proved; no proof where there was no WAL. */
  readonly log: LogPosition
  readonly proof: WalPosition | undefined
  /** Transforms around the file, see the `encode` hook. */
  readonly codecs: readonly string[]
  /** SHA-256 of the file before it, if that is known. */
  readonly prev: string | undefined
  /** For what was found by difference: since when commits may be missing one by one, milliseconds since the epoch. */
  readonly gapStart: number | undefined
}

const VERSION = 1

/** Reads a position; `undefined` if there is none, or none that makes sense. */
export async function readPosition(path: string): Promise<Position | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  try {
    const stored = JSON.parse(text) as Record<string, unknown>
    if (stored.version !== VERSION) return undefined
    const position: Position = {
      txid: count(stored.txid),
      sha256: typeof stored.sha256 === 'string' ? stored.sha256 : '',
      pre: checksum(stored.pre),
      checksum: checksum(stored.checksum),
      commit: count(stored.commit, 0xffffffff),
      pageSize: pageSize(stored.pageSize),
      timestamp: count(stored.timestamp, LATEST_TIME),
      log: readLog(stored.log),
      proof: stored.proof === undefined ? undefined : readProof(stored.proof),
      codecs: Array.isArray(stored.codecs) ? stored.codecs.map(String) : [],
      prev: typeof stored.prev === 'string' ? stored.prev : undefined,
      gapStart: stored.gapStart === undefined ? undefined : count(stored.gapStart, LATEST_TIME),
    }
    return position.txid >= 1 ? position : undefined
  } catch {
    return undefined
  }
}

/** Replaces a position durably. */
export async function writePosition(path: string, position: Position): Promise<void> {
  const sums = { pre: position.pre.toString(16), checksum: position.checksum.toString(16) }
  await writeDurably(path, JSON.stringify({ version: VERSION, ...position, ...sums }, null, 1))
}

function count(value: unknown, most = Number.MAX_SAFE_INTEGER): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0 || (value as number) > most) {
    throw new TypeError('not a count')
  }
  return value as number
}

function pageSize(value: unknown): number {
  if (typeof value !== 'number' || !isPageSize(value)) throw new TypeError('not a page size')
  return value
}

function checksum(value: unknown): bigint {
  if (typeof value !== 'string' || !/^[0-9a-f]{1,16}$/.test(value)) throw new TypeError('not a checksum')
  return BigInt(`0x${value}`)
}

function fields(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null) throw new TypeError('not an object')
  return value as Record<string, unknown>
}

function readLog(value: unknown): LogPosition {
  const { generation, frame } = fields(value)
  return { generation: count(generation), frame: count(frame) }
}

function readProof(value: unknown): WalPosition {
  const { salt1, salt2, frame, s1, s2 } = fields(value)
  return { salt1: count(salt1), salt2: count(salt2), frame: count(frame), s1: count(s1), s2: count(s2) }
}
