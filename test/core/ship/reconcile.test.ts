import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { Host } from '../../../core/host.js'
import { Inventory } from '../../../core/inventory.js'
import { SILENT } from '../../../core/log.js'
import { Remote } from '../../../core/remote.js'
import { LocalState } from '../../../core/ship/local-state.js'
import { reconcile } from '../../../core/ship/reconcile.js'
import type { Position } from '../../../core/spool/position-file.js'
import { storageMemory } from '../../../plugins/storage-memory/index.js'
import { useFolder } from '../../helpers/databases.js'

const FLAG = 1n << 63n
const hash = (n: number) => n.toString(16).padStart(64, '0')

// eslint-disable-next-line @typescript-eslint/require-await -- a body is asynchronous, these bytes are there
async function* body(text: string): AsyncIterable<Uint8Array> {
  yield Buffer.from(text)
}

/** A position whose chain is told by its numbers: file n has hash n and leaves checksum n. */
const position = (txid: number, other: Partial<Position> = {}): Position => ({
  txid,
  sha256: hash(txid),
  pre: FLAG | BigInt(txid - 1),
  checksum: FLAG | BigInt(txid),
  commit: 1,
  pageSize: 512,
  timestamp: 1000 * txid,
  log: { generation: 1, frame: txid },
  proof: undefined,
  codecs: [],
  prev: hash(txid - 1),
  gapStart: undefined,
  ...other,
})

describe('what this machine remembers, held against what lies in storage', () => {
  const folder = useFolder()
  let remote: Remote
  let local: LocalState

  beforeEach(async () => {
    const host = new Host(SILENT)
    host.use(storageMemory())
    remote = new Remote(await host.store('memory:test'), 'app', host.hooks)
    local = await LocalState.load(folder.file('state'), (bytes) => Promise.resolve(bytes))
  })

  afterEach(() => local.close())

  /** Puts files 1 to n into storage, each with the facts of its place in the chain. */
  async function stored(n: number, other: Record<string, string> = {}): Promise<void> {
    for (let txid = 1; txid <= n; txid++) {
      const key = remote.key({ level: txid === 1 ? 9 : 0, minTxid: txid, maxTxid: txid })
      const metadata = {
        'litestream-timestamp': new Date(1000 * txid).toISOString(),
        'walrust-sha256': hash(txid),
        'walrust-pre': (FLAG | BigInt(txid - 1)).toString(16),
        'walrust-post': (FLAG | BigInt(txid)).toString(16),
        ...(txid === n ? other : {}),
      }
      await remote.store.put(key, () => body(`file ${txid}`), { ifAbsent: true, metadata })
    }
  }
  const start = async () => reconcile(local, remote, await remote.inventory(), new AbortController().signal)

  it('nothing anywhere: a snapshot', async () => {
    assert.equal((await start()).need, 'snapshot')
  })

  it('an empty storage where files had been shipped: a snapshot, and what was spooled is set aside', async () => {
    await local.writePosition(position(4))
    await local.spool.write(4, body('four'))
    assert.equal((await start()).need, 'snapshot')
    assert.equal(local.position, undefined)
    assert.deepEqual(local.spool.files, [])
  })

  it('the same file at both: goes on', async () => {
    await stored(4)
    await local.writePosition(position(4))
    assert.deepEqual(await start(), { need: 'continue', staged: undefined })
  })

  it('the same file at both, killed before its sidecar was stored: goes on, and the sidecar is made up for', async () => {
    await stored(3)
    const sha256 = createHash('sha256').update('file 4').digest('hex')
    await remote.store.put(remote.key({ level: 0, minTxid: 4, maxTxid: 4 }), () => body('file 4'))
    await local.writePosition(position(4, { sha256 }))
    assert.deepEqual(await start(), { need: 'continue', staged: undefined })
    assert.equal((await remote.sidecar({ level: 0, minTxid: 4, maxTxid: 4 }))?.sha256, sha256)
  })

  it('the next file still in the spool: uploads it', async () => {
    await stored(4)
    const { file, sha256 } = await local.spool.write(5, body('five'))
    await local.writePosition(position(5, { sha256 }))
    assert.deepEqual(await start(), { need: 'continue', staged: file })
  })

  it('the next file still in the spool, and damaged: made anew', async () => {
    await stored(4)
    const { file, sha256 } = await local.spool.write(5, body('five'))
    await local.writePosition(position(5, { sha256 }))
    writeFileSync(file.path, 'fivE')
    const found = await start()
    assert.ok(found.need === 'compare' && found.ours)
    assert.match(found.reason, /damaged in the spool/)
    assert.deepEqual(local.spool.files, [])
  })

  it('a file spooled for a transaction that was never reached: set aside, its number is free', async () => {
    await stored(4)
    await local.writePosition(position(4))
    await local.spool.write(5, body('five'))
    assert.deepEqual(await start(), { need: 'continue', staged: undefined })
    assert.deepEqual(local.spool.files, [])
  })

  it('spooled files without a position: set aside, their numbers are free', async () => {
    await stored(4)
    await local.spool.write(5, body('five'))
    const found = await start()
    assert.ok(found.need === 'compare' && !found.ours)
    assert.deepEqual(local.spool.files, [])
  })

  it('the first snapshot, stored just before a kill: known for our own', async () => {
    await stored(1)
    await local.begin(FLAG | 1n)
    const found = await start()
    assert.ok(found.need === 'compare' && found.ours)
    await local.begin(FLAG | 2n)
    const other = await start()
    assert.ok(other.need === 'compare' && !other.ours)
  })

  it('storage that has lost files: ours to go on with, also if comparing is not finished before a kill', async () => {
    await stored(3)
    await local.writePosition(position(5))
    const found = await start()
    assert.ok(found.need === 'compare' && found.ours)
    assert.match(found.reason, /has lost transactions 4 to 5/)
    await local.close()
    local = await LocalState.load(folder.file('state'), (bytes) => Promise.resolve(bytes))
    assert.equal(local.position, undefined)
    const again = await start()
    assert.ok(again.need === 'compare' && again.ours)
  })

  for (const hidden of [1, 2, 3, 5]) {
    it(`a listing that lacks the newest ${hidden}, which are there: no answer, and nothing is forgotten`, async () => {
      await stored(5)
      // One more is in the spool, and has perhaps not got there.
      for (const txid of [5, 6]) {
        await local.writePosition(position(txid))
        const listed = new Inventory()
        for (const file of (await remote.inventory()).files()) if (file.maxTxid <= 5 - hidden) listed.add(file)
        await assert.rejects(reconcile(local, remote, listed, new AbortController().signal), /lacks .*, which is there/)
        assert.equal(local.position?.txid, txid)
      }
    })
  }

  it('storage that has lost files and got others: not ours to overwrite', async () => {
    await stored(3, { 'walrust-sha256': hash(99) })
    await local.spool.write(3, body('three'))
    await local.writePosition(position(5))
    const found = await start()
    assert.ok(found.need === 'compare' && !found.ours)
  })

  it('a spooled file that does not follow what lies there: set aside, and not ours to overwrite', async () => {
    await stored(4, { 'walrust-sha256': hash(99), 'walrust-post': (FLAG | 99n).toString(16) })
    const { sha256 } = await local.spool.write(5, body('five'))
    await local.writePosition(position(5, { sha256 }))
    const found = await start()
    assert.ok(found.need === 'compare' && !found.ours)
    assert.deepEqual(local.spool.files, [])
    assert.equal(local.position, undefined)
  })

  it('the same number with other content: somebody else wrote it', async () => {
    await stored(4, { 'walrust-sha256': hash(99), 'walrust-post': (FLAG | 99n).toString(16) })
    await local.writePosition(position(4))
    const found = await start()
    assert.ok(found.need === 'compare' && !found.ours, JSON.stringify(found, (_k, v) => (typeof v === 'bigint' ? String(v) : v) as unknown)) // prettier-ignore
  })

  it('storage further than this machine: not ours to overwrite', async () => {
    await stored(6)
    await local.writePosition(position(4))
    const found = await start()
    assert.ok(found.need === 'compare' && !found.ours)
    assert.equal(found.head.file.maxTxid, 6)
  })

  it('storage that has lost more than one file: the difference is ours to ship', async () => {
    await stored(2)
    await local.writePosition(position(5))
    const found = await start()
    assert.ok(found.need === 'compare' && found.ours)
    assert.match(found.reason, /lost transactions 3 to 5/)
  })

  it('no record on this machine: compared, and not ours', async () => {
    await stored(3)
    const found = await start()
    assert.ok(found.need === 'compare' && !found.ours)
  })

  it('a listing that fails is an error, never an empty storage', async () => {
    await local.writePosition(position(4))
    await local.spool.write(4, body('four'))
    remote.store.list = async function* () {
      yield* []
      await Promise.resolve()
      throw new Error('the listing broke off')
    }
    await assert.rejects(start(), { code: 'E_STORAGE' })
    assert.equal(local.position?.txid, 4)
    assert.equal(local.spool.files.length, 1)
  })
})
