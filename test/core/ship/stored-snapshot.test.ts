import assert from 'node:assert/strict'
import { Host } from '../../../core/host.js'
import type { StoredFile } from '../../../core/inventory.js'
import { SILENT } from '../../../core/log.js'
import { Remote } from '../../../core/remote.js'
import { planRestore } from '../../../core/restore/plan.js'
import { storeFromStorage } from '../../../core/ship/stored-snapshot.js'
import { storageMemory } from '../../../plugins/storage-memory/index.js'
import { useFolder } from '../../helpers/databases.js'
import { checkPoint, History } from '../../helpers/history.js'

describe('a snapshot of what storage holds', function () {
  this.timeout(60_000)
  const folder = useFolder()

  async function take(txid: number, wrong = 0n): Promise<{ remote: Remote; history: History; stored: StoredFile }> {
    const host = new Host(SILENT)
    host.use(storageMemory())
    const remote = new Remote(await host.store('memory://stored'), 'app', host.hooks)
    const history = new History(remote, folder.file('a.db'), { pageSize: 4096 })
    const start = Date.UTC(2026, 0, 5)
    for (let i = 0; i < 40; i++) {
      const large = i % 4 === 1 ? `INSERT INTO rows VALUES (${i + 1}, randomblob(${i * 12_000}))` : undefined
      await history.commit(start + i * 1000, large)
    }
    const point = history.points[txid - 1]
    const stored = await storeFromStorage(
      {
        ...{ remote, hooks: host.hooks, database: { name: 'app', path: 'app', stateDir: folder.path } },
        ...{ folder: folder.file('scratch'), checksums: 'portable', signal: new AbortController().signal },
        uploader: { put: (put) => remote.put(put) },
      },
      planRestore(await remote.inventory(), txid, 'app').files,
      { txid, timestamp: point.time, checksum: point.checksum ^ wrong, gapStart: undefined },
    )
    return { remote, history, stored }
  }

  it('is the database at that transaction, by itself', async () => {
    const { remote, history, stored } = await take(37)
    assert.deepEqual([stored.level, stored.minTxid, stored.maxTxid], [9, 1, 37])
    const facts = await remote.recorded(stored)
    assert.equal(facts.sha256, await remote.hash(stored))
    assert.equal(facts.post, history.points[36].checksum)
    assert.equal(await checkPoint(remote, history.points[36], folder.file('r.db')), 1)
    assert.equal(await checkPoint(remote, history.points[39], folder.file('r.db')), 4)
    history.close()
  })

  it('is not stored if its pages are not the database that it should be', async () => {
    await assert.rejects(take(37, 1n), /database checksum/)
  })
})
