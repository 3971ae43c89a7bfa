import assert from 'node:assert/strict'
import { copyFileSync, existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FrameBatch, LogPosition, PageSet } from '../../../core/index.js'
import { checksumWords, pageChecksum } from '../../../core/kernel/kernel.js'
import { PageListBuilder } from '../../../core/pages/page-list.js'
import { MAX_SEGMENTS, ShadowLog } from '../../../plugins/shadow-wal/shadow-log.js'
import { useFolder } from '../../helpers/databases.js'
import { Random } from '../../helpers/ltx-random.js'

const SIZE = 512
const at = (frame: number, generation = 1): LogPosition => ({ generation, frame })

/** Bytes of a page in its n-th version. */
function content(page: number, version: number): Uint8Array {
  return new Uint8Array(SIZE).fill((page * 31 + version * 7) & 255)
}

function pageSet(commit: number, versions: ReadonlyMap<number, number>): PageSet {
  const builder = new PageListBuilder()
  const numbers = [...versions.keys()].sort((a, b) => a - b)
  for (const page of numbers) {
    pageChecksum(page, content(page, versions.get(page) ?? 0))
    builder.add(page, checksumWords[0], checksumWords[1])
  }
  return builder.build(SIZE, commit, (_index, page, into) => into.set(content(page, versions.get(page) ?? 0)))
}

/** What the WAL holds between two positions. */
function batch(from: LogPosition, to: LogPosition, commit: number, versions: ReadonlyMap<number, number>): FrameBatch {
  const pages = pageSet(commit, versions)
  return { from, to, proof: undefined, bytes: 0, pages: () => pages, close: () => undefined, trim: () => undefined }
}

function read(pages: PageSet): Map<number, number[]> {
  const found = new Map<number, number[]>()
  const cursor = pages.cursor()
  while (cursor.next()) {
    const bytes = new Uint8Array(SIZE)
    void cursor.read(bytes)
    pageChecksum(cursor.page, bytes)
    assert.deepEqual([checksumWords[0], checksumWords[1]], [cursor.high >>> 0, cursor.low >>> 0])
    found.set(cursor.page, [...bytes.subarray(0, 1)])
  }
  cursor.close()
  return found
}

const expected = (versions: ReadonlyMap<number, number>) =>
  new Map([...versions].sort(([a], [b]) => a - b).map(([page, version]) => [page, [...content(page, version).subarray(0, 1)]])) // prettier-ignore

describe('the shadow log', () => {
  const folder = useFolder()
  const shadow = () => folder.file('shadow')
  const segments = () => readdirSync(shadow()).sort()

  /** Adds `count` batches of random pages and tells what the newest versions are. */
  function grow(log: ShadowLog, count: number, seed: number): { versions: Map<number, number>; end: LogPosition } {
    const random = new Random(seed)
    const versions = new Map<number, number>()
    let frame = 0
    for (let i = 1; i <= count; i++) {
      const written = new Map<number, number>()
      for (let j = 0; j < 5; j++) written.set(random.between(1, 40), i)
      for (const [page, version] of written) versions.set(page, version)
      log.add(batch(at(frame), at(frame + 5), 40, written), at(frame))
      frame += 5
    }
    return { versions, end: at(frame) }
  }

  it('holds of each page the newest version, however many segments there were', () => {
    for (const count of [1, 2, MAX_SEGMENTS, MAX_SEGMENTS + 1, MAX_SEGMENTS * 5]) {
      const log = new ShadowLog(join(shadow(), String(count)))
      const { versions, end } = grow(log, count, count)
      const kept = log.batch()
      assert.ok(kept)
      assert.deepEqual([kept.from, kept.to], [at(0), end])
      assert.deepEqual(read(kept.pages(at(0))), expected(versions))
      assert.ok(readdirSync(join(shadow(), String(count))).length <= MAX_SEGMENTS)
      kept.close()
    }
  })

  it('goes on with the WAL where the two meet, and not where they do not', () => {
    const log = new ShadowLog(shadow())
    log.add(batch(at(0), at(5), 9, new Map([[1, 1], [2, 1]])), at(0)) // prettier-ignore
    const met = log.batch(batch(at(5), at(8), 10, new Map([[2, 2], [10, 2]]))) // prettier-ignore
    assert.ok(met)
    assert.deepEqual(met.to, at(8))
    assert.deepEqual(read(met.pages(at(0))), expected(new Map([[1, 1], [2, 2], [10, 2]]))) // prettier-ignore
    met.close()
    assert.equal(log.batch(batch(at(6), at(8), 10, new Map([[2, 2]]))), undefined)
  })

  it('is found again by the next start, and throws away what is torn', () => {
    const { versions, end } = grow(new ShadowLog(shadow()), 5, 1)
    writeFileSync(join(shadow(), '.tmp-abcdef'), 'half')
    const again = new ShadowLog(shadow())
    again.load()
    const kept = again.batch()
    assert.deepEqual(kept?.to, end)
    assert.deepEqual(read(kept.pages(at(0))), expected(versions))
    assert.ok(!existsSync(join(shadow(), '.tmp-abcdef')))

    const [, , third] = segments()
    truncateSync(join(shadow(), third), readFileSync(join(shadow(), third)).length - 1)
    const torn = new ShadowLog(shadow())
    torn.load()
    // Only what follows the hole: without it the pages before would be offered as a state that never was.
    assert.deepEqual(torn.batch()?.from, at(15))
  })

  it('does not believe a segment whose header or index was changed', () => {
    grow(new ShadowLog(shadow()), 1, 1)
    const [name] = segments()
    const good = readFileSync(join(shadow(), name))
    for (const byte of [0, 20, 60, 100, 4096, 4100, 4096 + 30]) {
      const bad = Buffer.from(good)
      bad[byte] ^= 1
      writeFileSync(join(shadow(), name), bad)
      const log = new ShadowLog(shadow())
      log.load()
      assert.equal(log.batch(), undefined, `byte ${byte}`)
      writeFileSync(join(shadow(), name), good)
    }
  })

  it('survives a kill in the middle of folding: both the parts and the whole are there', () => {
    const log = new ShadowLog(shadow())
    const { versions, end } = grow(log, MAX_SEGMENTS, 3)
    const before = segments().map((name) => [name, readFileSync(join(shadow(), name))] as const)
    const random = new Random(99)
    const written = new Map([[random.between(1, 40), MAX_SEGMENTS + 1]])
    for (const [page, version] of written) versions.set(page, version)
    log.add(batch(end, at(end.frame + 1), 40, written), end)
    assert.ok(segments().length < before.length)
    // As if the process had died after the rename and before the parts were deleted.
    for (const [name, bytes] of before) writeFileSync(join(shadow(), name), bytes)
    const again = new ShadowLog(shadow())
    again.load()
    const kept = again.batch()
    assert.deepEqual([kept?.from, kept?.to], [at(0), at(end.frame + 1)])
    assert.deepEqual(kept && read(kept.pages(at(0))), expected(versions))
  })

  it('lets go only what everybody has, and not from under a reader', () => {
    const log = new ShadowLog(shadow())
    const { end } = grow(log, 3, 5)
    const kept = log.batch()
    assert.ok(kept)
    log.trim(at(10))
    assert.equal(segments().length, 1)
    assert.deepEqual(log.batch()?.from, at(10))
    log.trim(end)
    assert.deepEqual(segments(), [])
    // The reader still sees all of it.
    assert.ok(read(kept.pages(at(0))).size > 5)
    kept.close()
    assert.equal(log.batch(), undefined)
  })

  it('starts afresh behind a gap', () => {
    const log = new ShadowLog(shadow())
    log.add(batch(at(0), at(5), 9, new Map([[1, 1]])), at(0))
    log.add(batch(at(7), at(9), 9, new Map([[2, 2]])), at(7))
    assert.deepEqual(log.batch()?.from, at(7))
    assert.equal(segments().length, 1)
  })

  it('is not confused by other files', () => {
    grow(new ShadowLog(shadow()), 1, 1)
    copyFileSync(join(shadow(), segments()[0]), join(shadow(), 'notes.pages'))
    const log = new ShadowLog(shadow())
    log.load()
    assert.deepEqual(log.batch()?.to, at(5))
  })
})
