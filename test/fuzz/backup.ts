/** Whole backups, damaged in any way: what comes out is exactly what was put in, or an error. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { WalrustError } from '../../core/errors.js'
import { Host } from '../../core/host.js'
import { SILENT } from '../../core/log.js'
import { LtxDecoder, LtxError, mergeLtx } from '../../core/ltx/index.js'
import type { ObjectStore } from '../../core/object-store.js'
import { Remote } from '../../core/remote.js'
import { Replica } from '../../core/replica/replica.js'
import { planRestore } from '../../core/restore/plan.js'
import { readRemoteTable } from '../../core/restore/remote-table.js'
import { restore } from '../../core/restore/restore.js'
import { verify } from '../../core/verify/verify.js'
import { MemoryStore } from '../../plugins/storage-memory/index.js'
import { Chain } from '../helpers/chain.js'
import { checksumOfBytes } from '../helpers/databases.js'
import { decode, encode, Model } from '../helpers/ltx.js'
import type { Random } from '../helpers/ltx-random.js'
import { damage } from './damage.js'
import { corpus, lie } from './ltx.js'
import type { Target } from './target.js'
import { bodyOf } from '../../core/store-rules.js'

const root = mkdtempSync(join(tmpdir(), 'walrust-fuzz-'))
process.on('exit', () => rmSync(root, { recursive: true, force: true }))
const hooks = new Host(SILENT).hooks
const signal = new AbortController().signal

const chain = new Chain(join(root, 'backups'), join(root, 'scratch'), 'app', 512)
const rows = (first: number, last: number) =>
  `WITH n(i) AS (VALUES (${first}) UNION ALL SELECT i + 1 FROM n WHERE i < ${last})
   INSERT INTO t SELECT i, randomblob(100) FROM n`
chain.commit(`CREATE TABLE t(id INTEGER PRIMARY KEY, v); ${rows(1, 20)}`)
chain.commit(rows(21, 50))
chain.commit('DELETE FROM t WHERE id > 15; VACUUM')
chain.commit(rows(100, 110))
await chain.compact(1, 2, 3)
chain.snapshot(4)
chain.commit("UPDATE t SET v = 'x' WHERE id = 3")
chain.close()
/** The checksum of each transaction's database. */
const truth = Array.from({ length: chain.txid }, (_, i) => {
  const bytes = readFileSync(chain.state(i + 1))
  return checksumOfBytes(bytes, 512, bytes.length / 512)
})
const files = (readdirSync(chain.folder, { recursive: true }) as string[])
  .map((name) => join(chain.folder, name))
  .filter((path) => statSync(path).isFile())
  .map((path) => ({
    key: relative(chain.folder, path).replace(/\/ltx\/(\d)\//, '/000$1/'),
    bytes: new Uint8Array(readFileSync(path)),
  }))
  .sort((a, b) => (a.key < b.key ? -1 : 1))
const allBytes = files.map(({ bytes }) => bytes)

/** A file with other pages than its header speaks of, and with the right checksum over that. */
function resealed(random: Random, bytes: Uint8Array): Uint8Array {
  try {
    const { header, pages } = decode(bytes)
    const numbers = [...pages.keys()]
    if (numbers.length === 0) return bytes
    pages.set(random.pick(numbers), random.page(header.pageSize))
    return encode({ ...header, ...(random.chance(0.3) ? { post: 0n, pre: 0n } : {}) }, pages)
  } catch (error) {
    // What was damaged before cannot be sealed.
    if (error instanceof LtxError) return bytes
    throw error
  }
}

/** A store with the backup as an accident or an enemy left it. */
async function damagedStore(random: Random, kinds = 7): Promise<MemoryStore> {
  const store = new MemoryStore()
  const present: Array<{ key: string; bytes: Uint8Array }> = files.map((file) => ({ ...file }))
  for (let n = random.pick([1, 1, 2, 3]); n > 0; n--) {
    const file = random.pick(present)
    const other = random.pick(present)
    switch (random.below(kinds)) {
      case 0:
      case 1:
        file.bytes = damage(random, file.bytes, allBytes)
        break
      case 2:
        file.bytes = other.bytes
        break
      case 3:
        ;[file.key, other.key] = [other.key, file.key]
        break
      case 4:
        if (present.length > 1) present.splice(present.indexOf(file), 1)
        break
      case 5:
        file.bytes = lie(random).bytes
        break
      default:
        file.bytes = resealed(random, file.bytes)
    }
  }
  for (const { key, bytes } of present) {
    await store.put(key, () => bodyOf(bytes))
  }
  return store
}

/** An error of ours, and none of those that mean a defect. */
function expected(error: unknown): void {
  if (!(error instanceof WalrustError) || error.code === 'E_INTERNAL') throw error
}

async function restored(random: Random): Promise<void> {
  const remote = new Remote(await damagedStore(random), 'app', hooks)
  const target = join(root, 'restored.db')
  rmSync(target, { force: true })
  const txid = 1 + random.below(chain.txid)
  try {
    const plan = planRestore(await remote.inventory(), txid, 'app')
    const result = await restore(remote, plan, { target, force: false, integrityCheck: 'none' })
    if (!result.checksumKnown) return
    const bytes = readFileSync(target)
    assert.equal(checksumOfBytes(bytes, result.pageSize, bytes.length / result.pageSize), result.checksum.toString(16))
    assert.equal(result.checksum, await recorded(remote, plan.files[plan.files.length - 1].key))
    const planned = await Promise.all(plan.files.map((file) => isOurs(remote, file.key)))
    if (planned.every(Boolean)) assert.equal(result.checksum.toString(16), truth[txid - 1])
  } catch (error) {
    expected(error)
  }
  assert.deepEqual(readdirSync(root).filter((name) => name.startsWith('.')), []) // prettier-ignore
}

/** The database checksum after a file, as it says itself. */
async function recorded(remote: Remote, key: string): Promise<bigint> {
  return decode(await bytesOf(remote.store, key)).header.post
}

/** Whether an object is one of those that were put there, not one that lies consistently. */
async function isOurs(remote: Remote, key: string): Promise<boolean> {
  const bytes = await bytesOf(remote.store, key)
  return allBytes.some((one) => Buffer.compare(one, bytes) === 0)
}

async function tabled(random: Random): Promise<void> {
  const remote = new Remote(await damagedStore(random), 'app', hooks)
  try {
    const inventory = await remote.inventory()
    await readRemoteTable(remote, planRestore(inventory, inventory.newest, 'app'), signal)
  } catch (error) {
    expected(error)
  }
}

/** Verification never ends in an error, and passes no file that is not what was written under its name. */
async function verified(random: Random): Promise<void> {
  // Without metadata nothing tells that other pages were sealed into a file, until it is restored.
  const store = await damagedStore(random, 6)
  const { findings } = await verify(new Remote(store, 'app', hooks))
  for (const { key, bytes } of files) {
    // One that is gone may have been merged into another, or have been the newest: nobody can tell.
    if (!(await store.head(key))) continue
    if (findings.length > 0 || Buffer.compare(await bytesOf(store, key), bytes) === 0) continue
    // A page can be compressed in several ways, and nothing but a recorded hash tells which it was.
    assert.deepEqual(decode(await bytesOf(store, key)), decode(bytes), `${key} is not what it was, and nobody says so`)
  }
}

async function bytesOf(store: ObjectStore, key: string): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  for await (const piece of (await store.get(key))?.body ?? []) parts.push(piece)
  return Buffer.concat(parts)
}

/** A replica comes to a state that there was, or stays where it is. */
async function replicated(random: Random): Promise<void> {
  const folder = join(root, 'replica')
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder)
  const path = join(folder, 'app.db')
  const good = new MemoryStore()
  for (const { key, bytes } of files.filter(({ key }) => /0009\/0{15}1-0{15}1/.test(key))) {
    await good.put(key, () => bodyOf(bytes))
  }
  await (await Replica.open({ remote: new Remote(good, 'app', hooks), path, interval: 1, log: SILENT })).close()
  const damaged = await damagedStore(random)
  const remote = new Remote(damaged, 'app', hooks)
  const replica = await Replica.open({ remote, path, interval: 1, log: SILENT })
  try {
    await replica.poll(signal)
  } catch (error) {
    expected(error)
  }
  const { txid, checksum } = replica.status
  await replica.close()
  const listed = [...(await remote.inventory()).files()]
  const all = await Promise.all(listed.map(({ key }) => isOurs(remote, key)))
  if (txid > 1) {
    const ends = listed
      .filter(({ maxTxid }) => maxTxid === txid)
      .map(({ key }) => recorded(remote, key).catch(() => 1n))
    // A file that records no checksum has nothing to be held against.
    assert.ok((await Promise.all(ends)).some((post) => post === 0n || post === BigInt(`0x${checksum}`)))
  }
  if (all.every(Boolean)) assert.equal(checksum, truth[txid - 1])
  // Whatever it says it is, it is.
  const again = await Replica.open({ remote, path, interval: 1, log: SILENT })
  assert.deepEqual([again.status.txid, again.status.checksum], [txid, checksum])
  await again.close()
}

/** Merging what is not right, or does not go together, is refused; what it makes is what applying one by one makes. */
async function merged(random: Random): Promise<void> {
  const chosen = Array.from({ length: random.between(1, 3) }, () => {
    const bytes = random.pick(random.chance(0.7) ? allBytes : corpus)
    return random.chance(0.6) ? bytes : random.chance(0.5) ? lie(random).bytes : damage(random, bytes, allBytes)
  })
  const parts: Buffer[] = []
  try {
    await mergeLtx(
      chosen.map((bytes) => [bytes]),
      (bytes) => {
        parts.push(Buffer.from(bytes))
        assert.ok(parts.length < 300_000, 'there is no end to it')
      },
    )
  } catch (error) {
    if (!(error instanceof LtxError)) throw error
    return
  }
  const made = Buffer.concat(parts)
  // One with a size out of the air may have 65,536 pages of zeros: it is read to its end, and its pages are not kept.
  const decoder = new LtxDecoder()
  decoder.push(made)
  decoder.finish()
  while (decoder.next() !== 'end') continue
  const { pageSize, commit } = decoder.header
  if (commit > 5000) return
  const result = decode(made)
  const [one, all] = [new Model(pageSize), new Model(pageSize)]
  for (const bytes of chosen) one.apply(decode(bytes))
  assert.equal(Buffer.compare(all.apply(result).file, one.file), 0)
}

export const targets: readonly Target[] = [
  { name: 'restore', share: 1, run: restored },
  { name: 'remote-table', share: 2, run: tabled },
  { name: 'verify', share: 1, run: verified },
  { name: 'replica', share: 0.2, run: replicated },
  { name: 'merge', share: 10, run: merged },
]
