import assert from 'node:assert/strict'
import { placeOf } from '../../../plugins/storage-s3/place.js'
import { S3Store } from '../../../plugins/storage-s3/s3-store.js'
import { storeCases } from '../../../testing/index.js'
import { runCases } from '../../helpers/conformance.js'
import { S3Server } from '../../helpers/s3-server/index.js'

/** A store on a test server, as it is made from a URL and the environment. */
export function storeOn(server: S3Server, prefix = 'some/prefix', options: Record<string, unknown> = {}): S3Store {
  const location = {
    scheme: 's3',
    url: `s3://${server.bucket.name}/${prefix}`,
    options: { ...server.credentials, ...options },
  }
  return new S3Store(placeOf(location, server.environment))
}

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
