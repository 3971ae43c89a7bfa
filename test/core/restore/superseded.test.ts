import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { Host } from '../../../core/host.js'
import type { StoredFile } from '../../../core/inventory.js'
import { SILENT } from '../../../core/log.js'
import { readIndex, indexLength } from '../../../core/ltx/page-index.js'
import { Remote } from '../../../core/remote.js'
import { collect } from '../../../core/storage/collect.js'
import { planRestore } from '../../../core/restore/plan.js'
import { restore } from '../../../core/restore/restore.js'
import { findSuperseded } from '../../../core/restore/superseded.js'
import { bodyOf } from '../../../core/store-rules.js'
import { storageMemory } from '../../../plugins/storage-memory/index.js'
import { useFolder } from '../../helpers/databases.js'
import { assertState, History } from '../../helpers/history.js'

const START = Date.UTC(2026, 0, 5)
const MIB = 1024 * 1024

describe('restore of files of which newer ones hold most pages', function () {
  this.timeout(60_000)
  const folder = useFolder()
  const target = () => folder.file('restored.db')
  let host: Host
  let remote: Remote
  let history: History

  /** 8 MiB that do not compress; then two thirds of them are written anew, another third, and some at the end. */
  beforeEach(async () => {
    host = new Host(SILENT)
    host.use(storageMemory())
    remote = new Remote(await host.store('memory://superseded'), 'app', host.hooks)
    history = new History(remote, folder.file('a.db'), { pageSize: 4096 })
    const rows = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2100)'
    await history.commit(START, `${rows} INSERT INTO rows SELECT i, randomblob(4000) FROM n`)
    const anew = 'UPDATE rows SET body = randomblob(4000) WHERE n'
    await history.commit(START + 1, `${anew} < 1400`)
    await history.commit(START + 2, `${anew} BETWEEN 700 AND 2090`)
    await history.commit(START + 3, 'DELETE FROM rows WHERE n > 2095')
  })
  afterEach(() => history.close())

  const plan = async () => planRestore(await remote.inventory(), 4, 'app')
  const traffic = () => {
    const [{ requests, received }] = host.traffic.values()
    return { requests: requests.get, bytes: received }
  }
  async function bringBack() {
    const before = traffic()
    const result = await restore(remote, await plan(), { target: target(), force: true, integrityCheck: 'full' })
    const { requests, bytes } = traffic()
    return { result, requests: requests - before.requests, bytes: bytes - before.bytes }
  }

  async function bytesOf(file: StoredFile): Promise<Buffer> {
    return Buffer.from(await collect(remote.raw(file), file.size))
  }
  const replace = (file: StoredFile, bytes: Uint8Array) => remote.store.put(file.key, () => bodyOf(bytes))

  it('reads only what is needed of them, in few requests, and the checksum of the database proves it', async () => {
    const { files } = await plan()
    const whole = files.reduce((sum, { size }) => sum + size, 0)
    const { result, requests, bytes } = await bringBack()
    assertState(target(), result, history.points[3])
    // 8, 5.5, 5.5 MiB and a page: 700 rows of the first are needed, of the second half, and the third whole.
    assert.ok(whole > 18 * MIB, String(whole))
    assert.ok(bytes < 10 * MIB, String(bytes))
    // Three ends and beginnings; then parts of 2 MiB.
    assert.ok(requests <= 2 * 3 + 8 + files.length, String(requests))
    const parts = await findSuperseded(remote, files)
    assert.deepEqual(
      [...parts.keys()].map(({ maxTxid }) => maxTxid),
      [2, 1],
    )
  })

  it('what is damaged and superseded is not read; what is damaged and needed is found, and named', async () => {
    const [base] = (await plan()).files
    const bytes = await bytesOf(base)
    const index = bytes.subarray(-indexLength(bytes.subarray(-24), bytes.length))
    const pages = [...readIndex(index, { commit: 1e6, pageSize: 4096 })]
    const [superseded, needed] = [pages[1000], pages[pages.length - 3]]
    const damaged = (offset: number) => {
      const copy = Buffer.from(bytes)
      copy[offset] ^= 1
      return copy
    }
    await replace(base, damaged(superseded.offset + 500))
    assertState(target(), (await bringBack()).result, history.points[3])
    for (const place of [needed.offset + 500, bytes.length - index.length + 5]) {
      await replace(base, damaged(place))
      const before = existsSync(target())
      await assert.rejects(bringBack(), { code: 'E_OBJECT_DAMAGED', message: /0000000000000001.ltx in .* is damaged/ })
      assert.equal(existsSync(target()), before)
    }
  })

  it('another file in the place of one, whole in itself, is found before anything is put in place', async () => {
    const [base, second] = (await plan()).files
    const other = new History(new Remote(remote.store, 'other', host.hooks), folder.file('b.db'), { pageSize: 4096 })
    await other.commit(
      START,
      'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2100) INSERT INTO rows SELECT i, randomblob(4000) FROM n',
    )
    other.close()
    const [foreign] = [...(await other.remote.inventory()).files()]
    await replace({ ...base, size: foreign.size }, await bytesOf(foreign))
    assert.ok((await findSuperseded(remote, (await plan()).files)).size > 0)
    await assert.rejects(bringBack(), { code: 'E_CHAIN_BROKEN' })
    assert.equal(second.minTxid, 2)
    assert.ok(!existsSync(target()))
  })

  it('reads everything where little is superseded, and where no checksum of the database is recorded', async () => {
    const { files } = await plan()
    assert.equal((await findSuperseded(remote, files.slice(0, 1))).size, 0)
    assert.equal((await findSuperseded(remote, [files[0], files[3]])).size, 0)
    for (const file of files) {
      const bytes = await bytesOf(file)
      // The place where our files keep what the database's checksum is, and where the reference has none.
      bytes.fill(0, 80, 100)
      await replace(file, bytes)
    }
    const before = traffic()
    assert.equal((await findSuperseded(remote, files)).size, 0)
    assert.ok(traffic().bytes - before.bytes < MIB)
  })
})
