import assert from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { mergeFiles } from '../../../core/compact/merge-files.js'
import { Host } from '../../../core/host.js'
import { SILENT } from '../../../core/log.js'
import { Remote } from '../../../core/remote.js'
import { SentFiles } from '../../../core/ship/sent-files.js'
import { Spool } from '../../../core/spool/spool.js'
import { storageMemory } from '../../../plugins/storage-memory/index.js'
import { useFolder } from '../../helpers/databases.js'
import { checkPoint, History } from '../../helpers/history.js'

describe('files that were sent by this process', () => {
  const folder = useFolder()
  const signal = new AbortController().signal
  let remote: Remote
  let history: History
  let spool: Spool
  let sent: SentFiles
  /** Keys of what was fetched. */
  let fetched: string[]

  beforeEach(async () => {
    const host = new Host(SILENT)
    host.use(storageMemory())
    remote = new Remote(await host.store('memory://sent'), 'app', host.hooks)
    const get = remote.store.get.bind(remote.store)
    history = new History(remote, folder.file('a.db'))
    spool = await Spool.open(folder.file('spool'))
    sent = new SentFiles()
    for (let txid = 1; txid <= 6; txid++) {
      const stored = await history.commit(txid * 1000)
      if (txid === 1) continue
      const { facts, body } = await remote.open(stored, signal)
      sent.add(stored, (await spool.write(txid, body)).file, facts)
    }
    fetched = []
    remote.store.get = (key, options) => {
      fetched.push(key)
      return get(key, options)
    }
  })
  afterEach(() => history.close())

  const sources = async () => (await remote.inventory()).level(0).filter(({ minTxid }) => minTxid > 1)

  /** Merges them, tells which had to be fetched for it, and proves what came of it. */
  async function merge(): Promise<number[]> {
    const database = { name: 'app', path: 'app', stateDir: folder.path }
    const work = { remote, hooks: remote.hooks, database, folder: folder.file('merging'), signal, local: sent }
    const files = await sources()
    const own = files.filter(({ key }) => fetched.includes(key))
    assert.deepEqual(own, [])
    await mergeFiles(work, 1, files)
    const needed = files.filter(({ key }) => fetched.includes(key)).map(({ maxTxid }) => maxTxid)
    for (const file of files) await remote.store.delete([file.key])
    await checkPoint(remote, history.points[5], folder.file('restored.db'))
    return needed
  }

  it('are merged without being fetched', async () => {
    assert.deepEqual(await merge(), [])
  })

  it('are fetched where the bytes here are not those that were sent', async () => {
    const path = spool.find(3)?.path ?? ''
    const bytes = readFileSync(path)
    bytes[bytes.length - 30] ^= 1
    writeFileSync(path, bytes)
    writeFileSync(spool.find(4)?.path ?? '', bytes.subarray(0, 100))
    assert.deepEqual(await merge(), [3, 4])
  })

  it('are fetched once they have left the cache', async () => {
    rmSync(spool.find(2)?.path ?? '')
    rmSync(spool.find(6)?.path ?? '')
    assert.deepEqual(await merge(), [2, 6])
  })

  it('are fetched when it is not known any more whose they are, and by a second attempt', async () => {
    const [first] = await sources()
    const local = await sent.open(first)
    assert.ok(local)
    await local.close()
    assert.equal(await sent.open(first), undefined)
    sent.clear()
    assert.deepEqual(await merge(), [2, 3, 4, 5, 6])
  })

  it('are fetched where storage has a file of another size under the name', async () => {
    const [first] = await sources()
    assert.equal(await sent.open({ ...first, size: first.size + 1 }), undefined)
  })
})
