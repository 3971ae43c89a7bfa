import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { S3Server } from '../../helpers/s3-server/index.js'
import { storeOn } from '../../helpers/s3-server/store.js'

const PART = 5 * 2 ** 20
const bytes = randomBytes(2 * PART + 1000)

// eslint-disable-next-line @typescript-eslint/require-await -- a body is asynchronous, these bytes are there
async function* body(): AsyncIterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 1 << 20) yield bytes.subarray(at, at + (1 << 20))
}

describe('storage-s3: uploads in parts', () => {
  let server: S3Server
  beforeEach(async () => {
    server = await new S3Server().start()
  })
  afterEach(() => server.stop())
  const stored = () => server.bucket.objects.get('some/prefix/large')?.bytes
  const count = (operation: string) => server.counts()[operation] ?? 0

  it('an answer that was lost, though the parts were put together, costs one look', async () => {
    server.faults.next('lost-response', /^POST .*uploadId=/)
    await storeOn(server).put('large', body, { ifAbsent: true })
    assert.deepEqual(stored(), bytes)
    assert.deepEqual([count('UploadPart'), count('CompleteMultipartUpload'), count('HeadObject')], [3, 1, 1])
    assert.equal(server.multipart.uploads.size, 0)
  })

  it('what somebody else has stored meanwhile is not taken for ours', async () => {
    const store = storeOn(server)
    await store.check()
    const other = { bytes: Buffer.from('other'), size: 5, etag: '"0"', sha256: '', metadata: {} }
    server.bucket.store('some/prefix/large', other)
    server.faults.next('error', /^POST .*uploadId=/)
    await assert.rejects(store.put('large', body, { ifAbsent: true }), /InternalError/)
    assert.equal(stored(), other.bytes)
    assert.equal(server.multipart.uploads.size, 0)
  })

  for (const [what, matches] of [
    ['a part', /^PUT .*partNumber=2/],
    ['the completion', /^POST .*uploadId=/],
  ] as const) {
    it(`gives up what was sent when ${what} fails: nobody pays for parts that nobody sees`, async () => {
      server.faults.next('error', matches, 10)
      await assert.rejects(storeOn(server).put('large', body, { ifAbsent: true }), /InternalError/)
      assert.equal(count('AbortMultipartUpload'), 1)
      assert.equal(server.multipart.uploads.size, 0)
      assert.equal(stored(), undefined)
    })
  }

  it('gives up at its start what a killed process left a day ago, and nothing younger or of others', async () => {
    const day = 24 * 3600_000
    const old = server.multipart.begin('some/prefix/old', {}, Date.now() - day - 1000)
    const young = server.multipart.begin('some/prefix/young', {}, Date.now() - day + 60_000)
    const others = server.multipart.begin('other/prefix/old', {}, Date.now() - day - 1000)
    await storeOn(server).check()
    assert.deepEqual([...server.multipart.uploads.keys()], [young, others])
    assert.ok(old)
  })
})
