/** What lies on this machine: positions, page checksums, spool, segments, replica state; and what comes over a socket. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseRequest } from '../../core/control/protocol.js'
import { packError, unpackError } from '../../core/error-transfer.js'
import { WalrustError } from '../../core/errors.js'
import { isPageSize } from '../../core/ltx/index.js'
import { PageChecksums } from '../../core/pages/page-checksums.js'
import { PageListBuilder } from '../../core/pages/page-list.js'
import { readState, type ReplicaPoint, writeState } from '../../core/replica/state.js'
import { PageChecksumFile } from '../../core/spool/page-checksum-file.js'
import { type Position, PositionFile } from '../../core/spool/position-file.js'
import { Spool } from '../../core/spool/spool.js'
import { Segment } from '../../plugins/shadow-wal/segment.js'
import { ShadowLog } from '../../plugins/shadow-wal/shadow-log.js'
import type { Random } from '../helpers/ltx-random.js'
import { damage, edges } from './damage.js'
import type { Target } from './target.js'

const position: Position = {
  txid: 7,
  sha256: 'ab'.repeat(32),
  pre: 2n ** 63n + 1n,
  checksum: 2n ** 63n + 2n,
  commit: 12,
  pageSize: 4096,
  timestamp: 1_700_000_000_000,
  log: { generation: 3, frame: 8 },
  proof: { salt1: 1, salt2: 2, frame: 8, s1: 3, s2: 4 },
  codecs: [],
  prev: 'cd'.repeat(32),
  gapStart: 5,
}
const point: ReplicaPoint = {
  txid: 7,
  checksum: 2n ** 63n + 2n,
  timestamp: 1_700_000_000_000,
  pageSize: 4096,
  commit: 12,
  counter: 5,
  head: { write: 2, read: 2, counter: 9, validFor: 9 },
}

const folder = mkdtempSync(join(tmpdir(), 'walrust-fuzz-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
const file = (name: string) => join(folder, name)

/** Text with bytes changed, or with a value changed for one that nobody expects there. */
function damagedJson(random: Random, text: string): Uint8Array {
  if (random.chance(0.4)) return damage(random, Buffer.from(text))
  const values = [null, -1, 1.5, 2 ** 40, 2 ** 53, '', 'x', [], {}, '0'.repeat(20), true, ...edges]
  const keys = Array.from(text.matchAll(/"(\w+)":/g), (match) => match[1])
  const key = random.pick(keys)
  return Buffer.from(
    JSON.stringify(JSON.parse(text, (name, value: unknown) => (name === key ? random.pick(values) : value))),
  )
}

const isCount = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0

const positions0 = new PositionFile(file('position'))
await positions0.write(position)
await positions0.close()
const positionBytes = readFileSync(file('position'))

/** A slot whose hash is right for what it says, true or not. */
function sealedSlot(text: string | Uint8Array): Buffer {
  const hash = createHash('sha256').update(text).digest('hex')
  const slot = Buffer.alloc(4096)
  Buffer.concat([Buffer.from(`WALRUST POSITION 1\n${hash}\n`), Buffer.from(text), Buffer.from('\n')]).copy(slot)
  return slot
}

async function positions(random: Random): Promise<void> {
  // Written in the second slot first.
  const text = positionBytes.subarray(4096).toString('utf8').split('\n')[2]
  const sealed = () => sealedSlot(damagedJson(random, text))
  writeFileSync(
    file('position-2'),
    random.chance(0.3) ? damage(random, positionBytes) : Buffer.concat([sealed(), sealed()]),
  )
  const read = await new PositionFile(file('position-2')).read()
  if (!read) return
  const { txid, commit, pageSize, timestamp, log, proof } = read
  assert.ok([commit, timestamp, log.generation, log.frame].every(isCount) && isCount(txid) && txid > 0)
  assert.ok(isPageSize(pageSize), `a page size of ${pageSize}`)
  if (proof) assert.ok(Object.values(proof).every(isCount))
  assert.ok(read.pre >= 0n && read.checksum >= 0n)
  // What was understood can be written again.
  const again = new PositionFile(file('position-3'))
  await again.write(read)
  await again.close()
}

await writeState(file('replica'), {
  storage: 'file:///b',
  name: 'app',
  at: point,
  next: { ...point, txid: 8, counter: 6 },
})
const stateText = readFileSync(file('replica'), 'utf8')

async function replicaStates(random: Random): Promise<void> {
  writeFileSync(file('replica-2'), damagedJson(random, stateText))
  const state = await readState(file('replica-2'))
  for (const one of state ? [state.at, state.next] : []) {
    if (!one) continue
    const { txid, timestamp, commit, counter, pageSize, head } = one
    assert.ok([txid, commit, counter, ...Object.values<number>({ ...head })].every(isCount))
    assert.ok([commit, counter, head.counter, head.validFor].every((word) => word <= 0xffffffff))
    assert.ok(head.write <= 255 && head.read <= 255)
    assert.ok(isPageSize(pageSize) && one.checksum < 2n ** 64n)
    assert.ok(!Number.isNaN(new Date(timestamp).getTime()))
  }
}

const table = new PageChecksums(512)
table.resize(700)
for (let page = 1; page <= 700; page++) table.set(page, 0x80000000 + page, page * 7919)
const tableFile = new PageChecksumFile(file('pages'))
await tableFile.save(table, 9)
await tableFile.close()
const tableBytes = readFileSync(file('pages'))

/** Every number in the header is covered by its checksum; entries are held against a recorded one by whoever loads them. */
async function tables(random: Random): Promise<void> {
  const bytes = Buffer.from(tableBytes)
  const damaged = random.chance(0.6)
    ? Buffer.concat([damage(random, bytes.subarray(0, 40)), bytes.subarray(40)])
    : damage(random, bytes)
  writeFileSync(file('pages-2'), damaged)
  const loaded = await new PageChecksumFile(file('pages-2')).load()
  if (!loaded) return
  assert.deepEqual([loaded.txid, loaded.table.pageSize, loaded.table.commit], [9, 512, 700])
}

/** Folders with anything in them. */
async function spools(random: Random): Promise<void> {
  const spool = file('spool')
  rmSync(spool, { recursive: true, force: true })
  mkdirSync(spool)
  const name = () => {
    const id = random.pick([
      '0000000000000002',
      '000000000000000g',
      '0020000000000000',
      'ffffffffffffffff',
      '0000000000000000',
    ])
    return random.pick([`${id}-${id}.ltx`, `.tmp-${id}`, `${id}.ltx`, 'set-aside', 'x', '-.ltx'])
  }
  for (let n = random.below(6); n > 0; n--) writeFileSync(join(spool, name()), random.bytes(random.below(50)))
  const opened = await Spool.open(spool)
  for (const { minTxid, maxTxid, path } of opened.files) {
    assert.ok(path.startsWith(spool) && minTxid <= maxTxid && minTxid >= 1)
  }
}

const builder = new PageListBuilder()
for (let page = 2; page < 40; page++) builder.add(page, page, page)
const pages = builder.build(512, 50, (_index, page, into) => void into.fill(page))
const covers = { from: { generation: 1, frame: 0 }, to: { generation: 1, frame: 38 }, proof: undefined }
Segment.write(file('segment'), pages, covers)
const segmentBytes = readFileSync(file('segment'))

function segments(random: Random): void {
  const shadow = file('shadow')
  rmSync(shadow, { recursive: true, force: true })
  mkdirSync(shadow)
  const bytes = random.chance(0.5) ? damage(random, segmentBytes.subarray(0, 600)) : damage(random, segmentBytes)
  const rest = bytes.length < 1000 ? segmentBytes.subarray(600) : new Uint8Array(0)
  writeFileSync(join(shadow, random.pick(['000000000001.pages', 'x.pages', '.tmp-1'])), Buffer.concat([bytes, rest]))
  const log = new ShadowLog(shadow)
  log.load()
  const batch = log.batch()
  if (!batch) return
  assert.deepEqual([batch.from, batch.to], [covers.from, covers.to])
  const cursor = batch.pages(batch.from).cursor()
  const into = new Uint8Array(512)
  let last = 0
  while (cursor.next()) {
    assert.ok(cursor.page > last && cursor.page < 40 && cursor.high === cursor.page)
    last = cursor.page
    try {
      void cursor.read(into)
    } catch (error) {
      assert.match((error as Error).message, /ends before/)
    }
  }
  cursor.close()
  batch.close()
  void batch.trim(batch.to)
}

const requestText = JSON.stringify({ command: 'sync', database: 'app', options: { force: true } })
const errorText = JSON.stringify(packError(new WalrustError('E_STORAGE', 'x', { cause: new Error('y') })))

function control(random: Random): void {
  const text = (source: string) => Buffer.from(damagedJson(random, source)).toString('utf8')
  const request = parseRequest(text(requestText))
  if (request) {
    assert.ok(typeof request.command === 'string' && typeof request.database === 'string')
    assert.ok(request.options === undefined || typeof request.options === 'object')
  }
  let packed: unknown
  try {
    packed = JSON.parse(text(errorText))
  } catch {
    return
  }
  if (typeof packed === 'object' && packed !== null)
    assert.ok(unpackError(packed as Parameters<typeof unpackError>[0]) instanceof Error)
}

export const targets: readonly Target[] = [
  { name: 'position', share: 2, run: positions },
  { name: 'replica-state', share: 2, run: replicaStates },
  { name: 'page-checksums', share: 2, run: tables },
  { name: 'spool', share: 1, run: spools },
  { name: 'segment', share: 1, run: segments },
  { name: 'control', share: 5, run: control },
]
