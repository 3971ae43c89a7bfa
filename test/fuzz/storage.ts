/** What a storage says: keys, sizes, metadata, sidecars. */
import assert from 'node:assert/strict'
import { WalrustError } from '../../core/errors.js'
import { fromMetadata, toMetadata } from '../../core/facts.js'
import { Host } from '../../core/host.js'
import { Inventory } from '../../core/inventory.js'
import { SILENT } from '../../core/log.js'
import { checkName, fileKey, type KeyStyle, parseKey } from '../../core/object-keys.js'
import type { ObjectInfo, ObjectMetadata } from '../../core/object-store.js'
import { Remote } from '../../core/remote.js'
import { contiguous, planAdvance } from '../../core/replica/advance.js'
import { planRestore, restorablePoints } from '../../core/restore/plan.js'
import { MemoryStore } from '../../plugins/storage-memory/index.js'
import type { Random } from '../helpers/ltx-random.js'
import { damage, edges } from './damage.js'
import type { Target } from './target.js'
import { bodyOf } from '../../core/store-rules.js'

const hooks = new Host(SILENT).hooks

const hex = (random: Random, digits: number) =>
  Array.from({ length: digits }, () => random.pick('0000000000123456789abcdef'.split(''))).join('')

/** Something like a key, more or less. */
function someKey(random: Random): string {
  const part = () =>
    random.pick([
      'app',
      '..',
      '.',
      '',
      'ltx',
      '0',
      '9',
      '10',
      '0009',
      '000a',
      'walrust',
      'a b',
      'ä',
      '\u0000',
      '%2e%2e',
    ])
  const odd = <T>(usual: T, lie: () => T): T => (random.chance(0.85) ? usual : lie())
  const small = (digits: number) => random.below(20).toString(16).padStart(digits, '0')
  const long = () => hex(random, random.pick([15, 16, 17]))
  const id = () => odd(small(16), () => (random.chance(0.5) ? small(random.pick([15, 17])) : long()))
  const level = random.chance(0.5) ? `ltx/${odd(random.below(10), () => 12)}` : `000${odd(random.below(10), () => 77)}`
  const folders = odd(['app'], () => Array.from({ length: random.below(4) }, part))
  return [
    ...folders,
    odd(level, part),
    `${id()}-${id()}${odd('.ltx', () => random.pick(['', '.LTX', '.ltx.tmp', '/']))}`,
  ].join('/')
}

/** A key that is understood is the very key that is built from what was understood. */
function keys(random: Random): void {
  const key = someKey(random)
  for (const style of ['nested', 'flat'] satisfies KeyStyle[]) {
    const id = parseKey(style, key)
    if (!id) continue
    assert.equal(fileKey(style, id.name, id), key)
    assert.ok(id.level >= 0 && id.level <= 9 && id.minTxid >= 1 && id.minTxid <= id.maxTxid)
    assert.ok(Number.isSafeInteger(id.maxTxid))
    try {
      checkName(id.name)
      assert.ok(!id.name.split('/').includes('..'))
    } catch (error) {
      if (!(error instanceof WalrustError)) throw error
    }
  }
}

/** A listing with anything in it: what is kept of it are files of this database. */
async function listing(random: Random): Promise<void> {
  const store = new MemoryStore()
  const found = Array.from({ length: random.below(30) }, (): ObjectInfo => {
    const odd = random.pick([0, -1, Number.NaN, Infinity, 2 ** 53, random.word()])
    return { key: someKey(random), size: odd, timestamp: random.chance(0.9) ? 1000 : odd }
  })
  // eslint-disable-next-line @typescript-eslint/require-await -- a listing is asynchronous
  store.list = async function* () {
    yield* found
  }
  const remote = new Remote(store, 'app', hooks)
  const inventory = await remote.inventory()
  for (const file of inventory.files()) {
    assert.ok(file.key.startsWith('app/') && found.some(({ key }) => key === file.key))
    assert.equal(remote.key(file), file.key)
  }
}

function someInventory(random: Random): Inventory {
  const inventory = new Inventory()
  const most = random.pick([5, 12, 30])
  for (let n = random.below(25); n > 0; n--) {
    const level = random.pick([0, 0, 0, 1, 2, 3, 9])
    const maxTxid = 1 + random.below(most)
    const minTxid = level === 9 || random.chance(0.05) ? 1 : level === 0 ? maxTxid : 1 + random.below(maxTxid)
    inventory.add({ level, minTxid, maxTxid, key: `${level}/${minTxid}-${maxTxid}`, size: 1, timestamp: maxTxid })
  }
  return inventory
}

/** Points that can be reached, found by trying everything. */
function reachable(inventory: Inventory, from: number): Set<number> {
  const reached = new Set(from > 0 ? [from] : [])
  for (let grown = true; grown;) {
    grown = false
    for (const { minTxid, maxTxid } of inventory.files()) {
      const leads = minTxid === 1 || [...reached].some((at) => at >= minTxid - 1 && at < maxTxid)
      if (!leads || reached.has(maxTxid) || maxTxid <= from) continue
      reached.add(maxTxid)
      grown = true
    }
  }
  return reached
}

/** Whether a level has a file inside another: plans do not look for a way through those everywhere. */
function nested(inventory: Inventory): boolean {
  return Array.from({ length: 10 }, (_, level) => inventory.level(level)).some((files) =>
    files.some(({ minTxid }, i) => i > 0 && minTxid < files[i - 1].minTxid),
  )
}

/** Plans lead where they say, over files that continue each other, and are found whenever there is a way. */
function plans(random: Random): void {
  const inventory = someInventory(random)
  const points = restorablePoints(inventory)
  assert.deepEqual(
    points,
    [...reachable(inventory, 0)].sort((a, b) => a - b),
  )
  const target = 1 + random.below(31)
  try {
    const { files } = planRestore(inventory, target, 'app')
    assert.equal(files[0].minTxid, 1)
    for (let i = 1; i < files.length; i++) {
      assert.ok(files[i].minTxid <= files[i - 1].maxTxid + 1 && files[i].maxTxid > files[i - 1].maxTxid)
    }
    assert.equal(files.at(-1)?.maxTxid, target)
    assert.ok(points.includes(target))
  } catch (error) {
    if (!(error instanceof WalrustError)) throw error
    assert.ok(!points.includes(target) || nested(inventory), `${target} could be reached`)
  }
}

/** The same for a replica on its way. */
function advances(random: Random): void {
  const inventory = someInventory(random)
  const from = 1 + random.below(20)
  const plan = planAdvance(inventory, from, () => true)
  const ends = reachable(inventory, from)
  const newest = Math.max(...ends)
  assert.equal(plan.at(-1)?.maxTxid ?? from, newest)
  let at = from
  for (const [i, file] of plan.entries()) {
    assert.ok(file.maxTxid > at && (file.minTxid <= at + 1 || (i === 0 && file.minTxid === 1)))
    at = file.maxTxid
  }
  for (const file of contiguous(inventory.level(0), from)) assert.ok(file.maxTxid > from)
}

const metadata = toMetadata({
  timestamp: 1_700_000_000_000,
  sha256: 'ab'.repeat(32),
  pre: 2n ** 63n,
  post: 2n ** 63n + 5n,
  prev: 'cd'.repeat(32),
  codecs: ['a', 'b'],
  gapStart: 1_600_000_000_000,
  laterGaps: [1_610_000_000_000, 1_620_000_000_000],
})

function checkFacts(facts: ReturnType<typeof fromMetadata>): void {
  for (const time of [facts.timestamp, facts.gapStart, ...(facts.laterGaps ?? [])])
    assert.ok(time === undefined || Number.isFinite(time))
  for (const hash of [facts.sha256, facts.prev]) {
    assert.ok(hash === undefined || (typeof hash === 'string' && /^[0-9a-f]{64}$/.test(hash)))
  }
  for (const sum of [facts.pre, facts.post]) assert.ok(typeof sum === 'bigint' && sum >= 0n && sum < 2n ** 64n)
  assert.ok(facts.codecs.every((codec) => typeof codec === 'string' && codec !== ''))
  assert.ok((facts.laterGaps ?? []).length < 64)
  // What was understood can be written again.
  toMetadata(facts)
}

const values: readonly unknown[] = [
  null,
  5,
  {},
  [],
  ['ab'.repeat(32)],
  '',
  '+275760-09-13T00:00:00.000Z',
  '-1',
  { toString: 1 },
]

/** Metadata of other writers. */
function someMetadata(random: Random): void {
  const text = Buffer.from(damage(random, Buffer.from(JSON.stringify(metadata)))).toString('latin1')
  const parsed = random.chance(0.5)
    ? parsedOr(text, metadata)
    : { ...metadata, [random.pick(Object.keys(metadata))]: random.pick(values) }
  checkFacts(fromMetadata(parsed as ObjectMetadata | undefined))
}

function parsedOr(text: string, other: unknown): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return other
  }
}

/** Sidecars: small files that anybody may have put there. */
async function sidecar(random: Random): Promise<void> {
  const store = new MemoryStore()
  const file = { level: 0, minTxid: 2, maxTxid: 2 }
  const wild = { ...metadata, [random.pick(Object.keys(metadata))]: random.pick(values) }
  const usual = Buffer.from(JSON.stringify(random.chance(0.5) ? wild : metadata))
  const bytes = random.chance(0.02) ? Buffer.alloc(70_000, random.pick(edges)) : damage(random, usual)
  await store.put('app/walrust/0/0000000000000002-0000000000000002.json', () => bodyOf(bytes))
  try {
    const facts = await new Remote(store, 'app', hooks).sidecar(file)
    if (facts) checkFacts(facts)
  } catch (error) {
    if (!(error instanceof WalrustError && error.code === 'E_OBJECT_DAMAGED')) throw error
  }
}

export const targets: readonly Target[] = [
  { name: 'keys', share: 10, run: keys },
  { name: 'listing', share: 5, run: listing },
  { name: 'plans', share: 5, run: plans },
  { name: 'advances', share: 5, run: advances },
  { name: 'metadata', share: 5, run: someMetadata },
  { name: 'sidecar', share: 5, run: sidecar },
]
