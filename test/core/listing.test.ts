import assert from 'node:assert/strict'
import { Host } from '../../core/host.js'
import { SILENT } from '../../core/log.js'
import { Remote } from '../../core/remote.js'
import { fileKey, sidecarKey } from '../../core/object-keys.js'
import type { ListOptions } from '../../core/object-store.js'
import { MemoryStore } from '../../plugins/storage-memory/index.js'
import { S3Server } from '../helpers/s3-server/index.js'
import { storeOn } from '../helpers/s3-server/store.js'

const OBJECTS = 95

it('a listing asks for nothing of what lies beside the files, unless somebody wants to hear of it', async () => {
  const file = { level: 0, minTxid: 1, maxTxid: 1 }
  const keys = [fileKey('flat', 'app', file), 'app/walrust/claims/1', 'app/stray']
  let skip: ListOptions['skip']
  const store = new (class extends MemoryStore {
    override list(options: ListOptions) {
      skip = options.skip
      return super.list(options)
    }
  })()
  const remote = new Remote(store, 'app', new Host(SILENT).hooks)
  await remote.inventory()
  assert.equal(skip?.(sidecarKey('app', file)), true)
  for (const key of keys) assert.equal(skip(key), false, key)
  await remote.inventory(undefined, undefined, () => undefined)
  assert.equal(skip, undefined)
})

describe('a listing of many pages', () => {
  const server = new S3Server({ pageSize: 10 })
  before(async () => {
    await server.start()
    for (let txid = 1; txid <= OBJECTS; txid++) {
      const id = txid.toString(16).padStart(16, '0')
      const made = { bytes: Buffer.from('x'), size: 1, etag: '"0"', sha256: '', metadata: {} }
      server.bucket.store(`some/prefix/app/0000/${id}-${id}.ltx`, made)
    }
  })
  after(() => server.stop())
  beforeEach(() => {
    server.faults.clear()
    server.log.length = 0
  })
  const list = () => new Remote(storeOn(server), 'app', new Host(SILENT).hooks).inventory()

  it('goes on where it broke off, and brings everything once', async () => {
    server.faults.next('error', /continuation-token/)
    server.faults.next('cut-response', /start-after/)
    const inventory = await list()
    assert.deepEqual([inventory.size, inventory.newest], [OBJECTS, OBJECTS])
    assert.ok(server.log.length <= Math.ceil(OBJECTS / 10) + 2, `${server.log.length} requests`)
  })

  it('is an error if it does not come any further: a part is never taken for the whole', async () => {
    server.faults.next('error', /continuation-token|start-after/, 100)
    await assert.rejects(list(), { code: 'E_STORAGE' })
  })

  it('is an error at once if it cannot begin, or is refused on the way', async () => {
    server.faults.next('error')
    await assert.rejects(list(), { code: 'E_STORAGE' })
    assert.equal(server.log.length, 1)
    server.faults.next('expired', /continuation-token/)
    await assert.rejects(list(), { code: 'E_STORAGE_AUTH' })
    assert.equal(server.log.length, 3)
  })
})
