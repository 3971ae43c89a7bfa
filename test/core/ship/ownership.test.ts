import assert from 'node:assert/strict'
import { WalrustError } from '../../../core/errors.js'
import { Claim } from '../../../core/fence/claim.js'
import { Heartbeats } from '../../../core/fence/heartbeats.js'
import { Lease } from '../../../core/fence/lease.js'
import { Host } from '../../../core/host.js'
import { Inventory } from '../../../core/inventory.js'
import { SILENT } from '../../../core/log.js'
import { fileKey } from '../../../core/object-keys.js'
import { Remote } from '../../../core/remote.js'
import { Delivery } from '../../../core/ship/delivery.js'
import { Ownership } from '../../../core/ship/ownership.js'
import type { Uploader } from '../../../core/ship/uploader.js'
import { bodyOf } from '../../../core/store-rules.js'
import { MemoryStore } from '../../../plugins/storage-memory/index.js'

describe('who ships a database, and what was listed of it', () => {
  const { signal } = new AbortController()
  let store: MemoryStore
  let remote: Remote
  beforeEach(() => {
    store = new MemoryStore('memory://ownership')
    remote = new Remote(store, 'app', new Host(SILENT).hooks)
  })

  const key = (txid: number) => fileKey(store.keyStyle, 'app', { level: 0, minTxid: txid, maxTxid: txid })
  const ship = (txid: number) => store.put(key(txid), () => bodyOf(Buffer.of(txid)))

  function machine(name: string) {
    const lease = new Lease(store, 10_000)
    const claim = new Claim(remote, { lease, heartbeats: new Heartbeats(store, 10_000) }, name, SILENT)
    const delivery = new Delivery()
    const uploader = { ask: (work: () => Promise<unknown>) => work() } as unknown as Uploader
    return {
      lease,
      claim,
      delivery,
      ownership: new Ownership({ remote, claim, uploader, delivery, log: SILENT, signal }),
    }
  }

  async function owner(name: string): Promise<ReturnType<typeof machine>> {
    const owner = machine(name)
    owner.delivery.inventory = await owner.ownership.survey()
    assert.ok(await owner.ownership.isClaimed())
    return owner
  }

  for (const [how, end] of [
    ['ended', ({ lease }: { lease: Lease }) => lease.end()],
    ['let go of the database', ({ claim }: { claim: Claim }) => claim.release()],
  ] as const) {
    it(`what was shipped until a process ${how} is known to the next one`, async () => {
      const one = await owner('one')
      await ship(1)
      const list = remote.inventory.bind(remote)
      let lists = 0
      remote.inventory = async (...args) => {
        const listed = await list(...args)
        // Right after the first look of the other one it goes on, and ends.
        if (++lists === 1) {
          await ship(2)
          await end(one)
        }
        return listed
      }
      assert.equal((await machine('two').ownership.survey()).newest, 2)
      await one.lease.end()
    })
  }

  it('what is missing because it went after it was listed is a reason to list again, while nothing is claimed', async () => {
    await ship(1)
    const one = machine('one')
    one.delivery.inventory = await one.ownership.survey()
    const missing = new WalrustError('E_CHAIN_BROKEN', 'transaction 1 is not there')
    assert.equal(await one.ownership.isOutdated(missing), false)
    await store.delete([key(1)])
    assert.equal(await one.ownership.isOutdated(new WalrustError('E_OBJECT_DAMAGED', 'another thing')), false)
    assert.equal(await one.ownership.isOutdated(missing), true)
    assert.ok(await one.ownership.isClaimed())
    assert.equal(await one.ownership.isOutdated(missing), false)
    await one.lease.end()
  })

  it('takes an empty storage for nobody’s', async () => {
    assert.deepEqual(await machine('one').ownership.survey(), new Inventory())
  })
})
