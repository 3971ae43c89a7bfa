import { createHash } from 'node:crypto'
import { type FileHandle, open, unlink } from 'node:fs/promises'
import { systemCode, WalrustError } from '../errors.js'
import { diskError, writeDurably } from '../fs/durable.js'
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

/** Each of the two slots is written alone and fits the smallest unit that disks write. */
const SLOT = 4096
const MAGIC = 'WALRUST POSITION 1'

interface Slot {
  sequence: number
  position: Position
}

/**
 * The position on disk: two slots, written in turn, each with a number that rises and a hash over what it says. What
 * counts is the slot with the higher number of those that are whole.
 *
 * Writing in place costs one fdatasync and leaves the file's name and size alone; replacing a file costs a journal
 * commit of the file system for each of them, at every sync. A kill or power failure in the middle of a write leaves the
 * other slot: the position before.
 */
export class PositionFile {
  readonly #path: string
  #handle: FileHandle | undefined
  #sequence = 0

  constructor(path: string) {
    this.#path = path
  }

  /** The newest position that is whole; `undefined` if there is none, or none that makes sense. */
  async read(): Promise<Position | undefined> {
    const newest = await readSlots(this.#path)
    this.#sequence = newest?.sequence ?? 0
    return newest?.position
  }

  /** Takes the place of the older slot, durably. Errors: `E_DISK_FULL`, `E_STATE`. */
  async write(position: Position): Promise<void> {
    try {
      const handle = (this.#handle ??= await this.#open())
      const sequence = this.#sequence + 1
      await handle.write(slotBytes({ sequence, position }), 0, SLOT, (sequence % 2) * SLOT)
      await handle.datasync()
      this.#sequence = sequence
    } catch (error) {
      throw diskError(error, this.#path)
    }
  }

  /** Forgets the position. */
  async clear(): Promise<void> {
    await this.close()
    await unlink(this.#path).catch(() => undefined)
    this.#sequence = 0
  }

  async close(): Promise<void> {
    await this.#handle?.close()
    this.#handle = undefined
  }

  async #open(): Promise<FileHandle> {
    try {
      return await open(this.#path, 'r+')
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw error
    }
    // In its full size from the beginning, so that later writes change nothing but its content.
    await writeDurably(this.#path, Buffer.alloc(2 * SLOT))
    return await open(this.#path, 'r+')
  }
}

async function readSlots(path: string): Promise<Slot | undefined> {
  let handle: FileHandle
  try {
    handle = await open(path, 'r')
  } catch {
    return undefined
  }
  const bytes = Buffer.alloc(2 * SLOT)
  try {
    await handle.read(bytes, 0, bytes.length, 0)
  } finally {
    await handle.close()
  }
  const slots = [readSlot(bytes.subarray(0, SLOT)), readSlot(bytes.subarray(SLOT))].filter((slot) => slot !== undefined)
  return slots.sort((a, b) => b.sequence - a.sequence).at(0)
}

function slotBytes({ sequence, position }: Slot): Buffer {
  const sums = { pre: position.pre.toString(16), checksum: position.checksum.toString(16) }
  const text = JSON.stringify({ sequence, ...position, ...sums })
  const bytes = Buffer.alloc(SLOT)
  const size = bytes.write(`${MAGIC}\n${sha256(text)}\n${text}\n`)
  if (size >= SLOT) throw new WalrustError('E_INTERNAL', 'the position does not fit its place')
  return bytes
}

function readSlot(bytes: Buffer): Slot | undefined {
  const [magic, hash, text = ''] = bytes.toString('utf8').split('\n', 3)
  if (magic !== MAGIC || sha256(text) !== hash) return undefined
  try {
    const stored = JSON.parse(text) as Record<string, unknown>
    const position = readPosition(stored)
    return position.txid >= 1 ? { sequence: count(stored.sequence), position } : undefined
  } catch {
    return undefined
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

function readPosition(stored: Record<string, unknown>): Position {
  return {
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
