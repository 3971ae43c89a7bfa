import assert from 'node:assert/strict'
import { existsSync, writeFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { WalrustError } from '../../../core/errors.js'
import { SILENT } from '../../../core/log.js'
import { PageChecksums } from '../../../core/pages/page-checksums.js'
import { Delivery } from '../../../core/ship/delivery.js'
import { LocalState } from '../../../core/ship/local-state.js'
import { LocalUpkeep } from '../../../core/ship/local-upkeep.js'
import { useFolder } from '../../helpers/databases.js'

const DAY = 24 * 3_600_000

// eslint-disable-next-line @typescript-eslint/require-await -- a body is asynchronous, these bytes are there
async function* body(bytes: number): AsyncIterable<Uint8Array> {
  yield Buffer.alloc(bytes)
}

describe('what lies on this machine is kept small', () => {
  const folder = useFolder()
  let local: LocalState
  let delivery: Delivery

  beforeEach(async () => {
    local = await LocalState.load(folder.file('state'), (bytes) => Promise.resolve(bytes))
    local.table = new PageChecksums(512)
    delivery = new Delivery()
  })
  afterEach(() => local.close())

  const upkeep = (settings: { cacheMaxSize?: number; cacheRetention?: number } = {}) =>
    new LocalUpkeep({
      local,
      delivery,
      settings: { cacheMaxSize: 250, cacheRetention: DAY, ...settings },
      log: SILENT,
    })

  /** Files of 100 bytes up to a transaction, of which storage has so many and the table on disk knows so many. */
  async function spooled(upTo: number, confirmed: number, saved: number): Promise<void> {
    for (let txid = 1; txid <= upTo; txid++) await local.spool.write(txid, body(100))
    await local.writePosition({
      ...{
        txid: upTo,
        sha256: 'a'.repeat(64),
        pre: 0n,
        checksum: local.table?.checksum ?? 0n,
        commit: 0,
        pageSize: 512,
      },
      ...{ timestamp: 1000, log: { generation: 1, frame: 1 }, proof: undefined, codecs: [], prev: undefined },
      gapStart: undefined,
    })
    delivery.found(confirmed)
    local.tableTxid = saved
  }
  const kept = () => local.spool.files.map(({ maxTxid }) => maxTxid)

  it('the oldest files go when there is more than may be kept', async () => {
    await spooled(5, 5, 5)
    await upkeep().tidy()
    assert.deepEqual(kept(), [4, 5])
  })

  it('and those that were kept for long enough', async () => {
    await spooled(3, 3, 3)
    await upkeep({ cacheRetention: -DAY }).tidy()
    assert.deepEqual(kept(), [])
  })

  it('none goes that storage has not confirmed, or that the table on disk has not passed', async () => {
    await spooled(5, 2, 5)
    await upkeep({ cacheMaxSize: 0 }).tidy()
    assert.deepEqual(kept(), [3, 4, 5])
    delivery.found(5)
    local.tableTxid = 4
    await upkeep({ cacheMaxSize: 0 }).tidy()
    assert.deepEqual(kept(), [5])
  })

  it('the table is not saved for every file; when everything is at rest it says when it will be', async () => {
    await spooled(5, 5, 2)
    const keeper = upkeep()
    const wait = await keeper.rest()
    assert.equal(local.tableTxid, 2)
    assert.ok(wait > 0 && wait <= 60_000, `${wait}`)
    local.tableTxid = 5
    assert.equal(await keeper.rest(), Infinity)
  })

  it('but when there are many since, and at the end', async () => {
    await spooled(3, 3, -300)
    await upkeep().tidy()
    assert.equal(local.tableTxid, 3)
    local.tableTxid = 1
    await upkeep().finish()
    assert.equal(local.tableTxid, 3)
  })

  it('on a full disk every confirmed file may go, and none else', async () => {
    await spooled(5, 3, 1)
    await upkeep({ cacheMaxSize: 10_000 }).makeRoom()
    assert.equal(local.tableTxid, 5)
    assert.deepEqual(kept(), [4, 5])
  })

  it('where there is not even room for the table, confirmed files make way for it one by one', async () => {
    await spooled(5, 3, 1)
    const real = local.tableFile.save.bind(local.tableFile)
    let left = 2
    local.tableFile.save = (table, txid) =>
      left-- > 0 ? Promise.reject(new WalrustError('E_DISK_FULL', 'no space')) : real(table, txid)
    await upkeep().makeRoom()
    assert.equal(local.tableTxid, 5)
    left = Infinity
    await upkeep().makeRoom()
    assert.deepEqual(kept(), [4, 5])
  })

  it('what was set aside goes a month later, and only while storage has everything', async () => {
    await spooled(2, 1, 2)
    const aside = folder.file('state/spool/set-aside')
    await mkdir(aside)
    const old = `${aside}/${Date.now() - 31 * DAY}-0000000000000009-0000000000000009.ltx`
    const young = `${aside}/${Date.now() - 29 * DAY}-0000000000000009-0000000000000009.ltx`
    for (const path of [old, young]) writeFileSync(path, 'x')
    const keeper = upkeep()
    await keeper.rest()
    assert.ok(existsSync(old))
    delivery.found(2)
    await keeper.rest()
    assert.deepEqual([existsSync(old), existsSync(young)], [false, true])
  })
})
