import assert from 'node:assert/strict'
import { StoreError } from '../../../core/index.js'
import { GcsStore } from '../../../plugins/storage-gcs/gcs-store.js'
import { placeOf } from '../../../plugins/storage-gcs/place.js'
import { storeCases } from '../../../testing/index.js'
import { runCases } from '../../helpers/conformance.js'
import { GcsServer } from '../../helpers/gcs-server/index.js'

describe('storage-gcs: conformance', () => {
  const server = new GcsServer({ pageSize: 100 })
  const open = (url = 'gs://bucket/some/prefix') =>
    new GcsStore(placeOf({ scheme: 'gs', url, options: {} }, server.environment))
  before(() => server.start())
  after(() => server.stop())
  afterEach(() => server.faults.clear())
  runCases(storeCases({ open: () => open(), manyObjects: 250 }))

  it('leaves nothing behind', () => {
    assert.equal(server.sessions.size, 0)
    assert.deepEqual(server.bucket.keys(), ['some/prefix/.walrust-probe'])
  })

  it('tells failures apart', async () => {
    const kinds = {
      error: 'transient',
      unavailable: 'throttled',
      throttle: 'throttled',
      expired: 'auth',
      reset: 'transient',
    }
    for (const [fault, kind] of Object.entries(kinds)) {
      server.faults.next(fault as keyof typeof kinds)
      await assert.rejects(open().head('x'), (error) => error instanceof StoreError && error.kind === kind, fault)
    }
    await assert.rejects(
      open('gs://other/prefix').head('x'),
      (error) =>
        error instanceof StoreError && error.kind === 'missing' && /bucket other/.test(error.advice.hint ?? ''),
      'a missing bucket is not a missing object',
    )
  })
})
