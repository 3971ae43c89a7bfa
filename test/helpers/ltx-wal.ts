import Database from 'better-sqlite3'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { entries, scanFrames, scratch, walSum } from '../../core/kernel/kernel.js'

const HEADER = 32
const FRAME_HEADER = 24

export interface ScannedFrame {
  page: number
  commit: number
  checksum: bigint
}

/** Verifies the header of a WAL and scans all frames that it has room for, `batch` of them at a time. */
export function scanWal(wal: Uint8Array, batch = Infinity): ScannedFrame[] {
  const view = new DataView(wal.buffer, wal.byteOffset, wal.length)
  const bigEndian = (view.getUint32(0) & 1) === 1
  const pageSize = view.getUint32(8)
  const frameSize = FRAME_HEADER + pageSize
  const sum = { s1: 0, s2: 0 }
  walSum(sum, wal.subarray(0, 24), bigEndian)
  if (sum.s1 !== view.getUint32(24) || sum.s2 !== view.getUint32(28)) return []
  const frames: ScannedFrame[] = []
  const total = Math.floor((wal.length - HEADER) / frameSize)
  for (;;) {
    const count = Math.min(batch, total - frames.length)
    if (count === 0) return frames
    const from = HEADER + frames.length * frameSize
    scratch.set(wal.subarray(from, from + count * frameSize))
    const good = scanFrames(sum, count, pageSize, view.getUint32(16), view.getUint32(20), bigEndian)
    for (let i = 0; i < good; i++) {
      const [page, commit, high, low] = entries.subarray(4 * i, 4 * i + 4)
      frames.push({ page, commit, checksum: (BigInt(high) << 32n) | BigInt(low) })
    }
    if (good < count) return frames
  }
}

/** How many frames lead up to the last commit among those given. */
export function committed(frames: ScannedFrame[]): number {
  return frames.findLastIndex((frame) => frame.commit > 0) + 1
}

/** How many frames SQLite itself recovers from a WAL beside that database. */
export function recoveredBySqlite(database: Uint8Array, wal: Uint8Array): number {
  const folder = mkdtempSync(join(tmpdir(), 'walrust-wal-'))
  try {
    const file = join(folder, 'copy.db')
    writeFileSync(file, database)
    writeFileSync(`${file}-wal`, wal)
    const db = new Database(file)
    try {
      const [row] = db.pragma('wal_checkpoint(PASSIVE)') as { log: number }[]
      return row.log
    } finally {
      db.close()
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}
