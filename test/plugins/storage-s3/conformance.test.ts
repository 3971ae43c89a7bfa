import assert from 'node:assert/strict'
import { storeCases } from '../../../testing/index.js'
import { runCases } from '../../helpers/conformance.js'
import { S3Server } from '../../helpers/s3-server/index.js'
import { storeOn } from '../../helpers/s3-server/store.js'

describe('storage-s3: conformance', () => {
  const server = new S3Server({ pageSize: 100 })
  before(() => server.start())
  after(() => server.stop())
  runCases(storeCases({ open: () => storeOn(server), manyObjects: 250 }))

  it('leaves nothing behind', () => {
    assert.equal(server.multipart.uploads.size, 0)
    assert.deepEqual(server.bucket.keys(), ['some/prefix/.walrust-probe'])
  })
})
