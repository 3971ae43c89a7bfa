import Database from 'better-sqlite3'
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ENTRY_CAPACITY, scanFrames, scratch } from '../../../core/kernel/kernel.js'
import { fixture } from '../../helpers/ltx.js'
import { resealWal, slowPageChecksum } from '../../helpers/ltx-slow.js'
import { committed, recoveredBySqlite, scanWal } from '../../helpers/ltx-wal.js'

const HEADER = 32
const FRAME_HEADER = 24

function frameOffset(wal: Uint8Array, frame: number): number {
  const pageSize = Buffer.from(wal.buffer, wal.byteOffset).readUInt32BE(8)
  return HEADER + frame * (FRAME_HEADER + pageSize)
}

/** The page number, the commit size and the page checksum of a frame, read without the kernel. */
function plainFrame(wal: Uint8Array, frame: number): { page: number; commit: number; checksum: bigint } {
  const at = frameOffset(wal, frame)
  const view = new DataView(wal.buffer, wal.byteOffset)
  const page = view.getUint32(at)
  const data = wal.subarray(at + FRAME_HEADER, frameOffset(wal, frame + 1))
  return { page, commit: view.getUint32(at + 4), checksum: slowPageChecksum(page, data) }
}

function flipped(bytes: Uint8Array, at: number, bit: number): Uint8Array {
  const out = bytes.slice()
  out[at] ^= 1 << bit
  return out
}

describe('scanFrames', () => {
  describe('on WALs that SQLite wrote', () => {
    for (const pageSize of [512, 4096]) {
      it(`finds every frame of ${pageSize}-byte pages, and SQLite recovers as many`, () => {
        const wal = fixture(`wal/plain-${pageSize}.wal`)
        const frames = scanWal(wal)
        assert.equal(frameOffset(wal, frames.length), wal.length)
        assert.deepEqual(
          frames,
          frames.map((_, i) => plainFrame(wal, i)),
        )
        assert.equal(committed(frames), recoveredBySqlite(fixture(`wal/plain-${pageSize}.db`), wal))
        assert.equal(frames.filter((frame) => frame.commit > 0).length, 3)
      })

      it(`stops before the stale frames that a restart left behind (${pageSize}-byte pages)`, () => {
        const wal = fixture(`wal/restarted-${pageSize}.wal`)
        const frames = scanWal(wal)
        assert.ok(frameOffset(wal, frames.length) < wal.length, 'the fixture has stale frames')
        assert.equal(frames.length, 1)
        assert.equal(committed(frames), recoveredBySqlite(fixture(`wal/restarted-${pageSize}.db`), wal))
      })
    }

    it('reads what a live database writes, at the smallest and the largest page size, in batches of any length', () => {
      const folder = mkdtempSync(join(tmpdir(), 'walrust-scan-'))
      try {
        for (const pageSize of [512, 1024, 65536]) {
          const file = join(folder, `${pageSize}.db`)
          const db = new Database(file)
          db.pragma(`page_size = ${pageSize}`)
          db.pragma('journal_mode = WAL')
          db.pragma('wal_autocheckpoint = 0')
          db.exec('CREATE TABLE t (v BLOB)')
          const insert = db.prepare('INSERT INTO t VALUES (randomblob(?))')
          for (let i = 0; i < 12; i++) insert.run(300 * i)
          const wal = new Uint8Array(readFileSync(`${file}-wal`))
          const [{ log }] = db.pragma('wal_checkpoint(PASSIVE)') as { log: number }[]
          db.close()
          const capacity = Math.floor(scratch.length / (pageSize + FRAME_HEADER))
          const frames = scanWal(wal, capacity)
          assert.equal(frames.length, log)
          assert.deepEqual(
            frames,
            frames.map((_, i) => plainFrame(wal, i)),
          )
          for (const batch of [1, 3]) assert.deepEqual(scanWal(wal, batch), frames)
        }
      } finally {
        rmSync(folder, { recursive: true })
      }
    })
  })

  describe('on a WAL of the other byte order', () => {
    it('makes one that SQLite takes for its own', () => {
      const wal = resealWal(fixture('wal/plain-512.wal'), true)
      assert.equal(recoveredBySqlite(fixture('wal/plain-512.db'), wal), scanWal(fixture('wal/plain-512.wal')).length)
      // The helper with the byte order that was there already must change nothing.
      assert.deepEqual(resealWal(fixture('wal/plain-512.wal'), false), fixture('wal/plain-512.wal'))
    })

    it('finds the same frames', () => {
      for (const name of ['plain-512', 'plain-4096', 'restarted-512', 'restarted-4096']) {
        const wal = fixture(`wal/${name}.wal`)
        assert.deepEqual(scanWal(resealWal(wal, true)), scanWal(wal))
      }
    })

    it('finds nothing where the magic says the one order and the checksums were made in the other', () => {
      for (const bigEndian of [false, true]) {
        const wal = resealWal(fixture('wal/plain-512.wal'), bigEndian)
        new DataView(wal.buffer).setUint32(0, bigEndian ? 0x377f0682 : 0x377f0683)
        assert.deepEqual(scanWal(wal), [])
      }
    })
  })

  describe('on damage', () => {
    for (const bigEndian of [false, true]) {
      it(`ends before a frame with any one bit of its header flipped, ${bigEndian ? 'big' : 'little'}-endian`, () => {
        const wal = resealWal(fixture('wal/plain-512.wal'), bigEndian)
        const frames = scanWal(wal)
        for (const frame of [0, 3, frames.length - 1]) {
          for (let at = 0; at < FRAME_HEADER; at++) {
            for (let bit = 0; bit < 8; bit++) {
              const damaged = flipped(wal, frameOffset(wal, frame) + at, bit)
              assert.deepEqual(scanWal(damaged), frames.slice(0, frame), `frame ${frame} byte ${at} bit ${bit}`)
            }
          }
        }
      })
    }

    it('ends before a frame with any one bit of its page flipped', () => {
      const wal = fixture('wal/plain-512.wal')
      const frames = scanWal(wal)
      for (let at = 0; at < 512; at++) {
        const damaged = flipped(wal, frameOffset(wal, 2) + FRAME_HEADER + at, at % 8)
        assert.deepEqual(scanWal(damaged), frames.slice(0, 2), `byte ${at}`)
      }
    })

    it('takes no frame under another header: any one bit of the checksummed part flipped', () => {
      const wal = fixture('wal/plain-512.wal')
      for (let at = 0; at < HEADER; at++) {
        // Bit 1 to 31 of the magic say nothing about the byte order; whoever reads the header compares them.
        assert.deepEqual(scanWal(flipped(wal, at, 3)), [], `byte ${at}`)
      }
    })

    it('agrees with SQLite about where the damage begins', () => {
      const database = fixture('wal/plain-512.db')
      const wal = fixture('wal/plain-512.wal')
      for (let at = HEADER + 4; at < wal.length; at += 101) {
        const damaged = flipped(wal, at, at % 8)
        assert.equal(committed(scanWal(damaged)), recoveredBySqlite(database, damaged), `byte ${at}`)
      }
    })

    it('ends before a frame of page 0, which SQLite does not take either, right checksum or not', () => {
      const wal = fixture('wal/plain-512.wal')
      const frames = scanWal(wal)
      new DataView(wal.buffer).setUint32(frameOffset(wal, 4), 0)
      const resealed = resealWal(wal, false)
      assert.deepEqual(scanWal(resealed), frames.slice(0, 4))
      assert.equal(recoveredBySqlite(fixture('wal/plain-512.db'), resealed), committed(frames.slice(0, 4)))
    })

    it('carries the running checksum on to the last good frame only, so that a scan can go on there', () => {
      const wal = fixture('wal/plain-512.wal')
      const view = new DataView(wal.buffer)
      const frameSize = FRAME_HEADER + 512
      const salts = [view.getUint32(16), view.getUint32(20)] as const
      const sum = { s1: view.getUint32(24), s2: view.getUint32(28) }
      scratch.set(flipped(wal, frameOffset(wal, 2) + 100, 0).subarray(HEADER))
      assert.equal(scanFrames(sum, 4, 512, ...salts, false), 2)
      assert.deepEqual(sum, {
        s1: view.getUint32(frameOffset(wal, 1) + 16),
        s2: view.getUint32(frameOffset(wal, 1) + 20),
      })
      scratch.set(wal.subarray(HEADER + 2 * frameSize))
      assert.equal(scanFrames(sum, 2, 512, ...salts, false), 2)
    })
  })

  it('refuses more frames than fit', () => {
    const sum = { s1: 0, s2: 0 }
    assert.throws(() => scanFrames(sum, ENTRY_CAPACITY + 1, 512, 0, 0, false), RangeError)
    assert.throws(() => scanFrames(sum, 17, 65536, 0, 0, false), RangeError)
  })
})
