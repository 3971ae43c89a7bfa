import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { placeOf } from '../../../plugins/storage-s3/place.js'
import tigris from '../../../presets/tigris.js'
import { S3Server } from '../../helpers/s3-server/index.js'
import { storeOn } from '../../helpers/s3-server/store.js'

const place = (options: Record<string, unknown>, env: NodeJS.ProcessEnv = {}) =>
  placeOf({ scheme: 's3', url: 's3://bucket/prefix', options }, env)

describe('storage-s3: Tigris', () => {
  it('is known by its endpoints, wherever they are set, and by nothing that only looks like them', () => {
    const header = { 'X-Tigris-Consistent': 'true' }
    const preset = place({ ...(tigris.storage as Record<string, unknown>) })
    assert.deepEqual([preset.headers, preset.region, preset.forcePathStyle], [header, 'auto', false])
    for (const endpoint of ['https://fly.storage.tigris.dev', 'https://t3.storage.dev', 'https://x.t3.storage.dev']) {
      assert.deepEqual(place({}, { AWS_ENDPOINT_URL_S3: endpoint }).headers, header, endpoint)
      assert.equal(place({ endpoint }).region, 'auto')
    }
    for (const endpoint of [
      'https://tigris.dev.example',
      'https://nottigris.dev',
      'http://127.0.0.1:9000',
      undefined,
    ]) {
      assert.deepEqual(place({ endpoint }).headers, {}, endpoint)
    }
  })

  it('has every request answered by the leader: conditions, reads, listings and parts alike', async () => {
    const server = await new S3Server().start()
    try {
      const store = storeOn(server, 'some/prefix', place({ endpoint: 'https://t3.storage.dev' }).headers)
      await store.check()
      const body = (bytes: Uint8Array) => () => [bytes] as unknown as AsyncIterable<Uint8Array>
      const small = { size: 5, ifAbsent: true }
      await store.put('a', body(Buffer.from('small')), small)
      await assert.rejects(store.put('a', body(Buffer.from('small')), small), /already/)
      await store.put('b', body(randomBytes(6 * 2 ** 20)), { ifAbsent: true })
      for await (const { key } of store.list({ prefix: '' })) assert.ok(await store.head(key))
      for await (const piece of (await store.get('a'))?.body ?? []) assert.equal(String(piece), 'small')
      await store.delete(['a'])
      await store.delete(['b', 'c'])
      const operations = new Set(server.log.map(({ operation }) => operation))
      assert.ok(operations.size >= 8, [...operations].join(' '))
      for (const { operation, headers } of server.log) assert.equal(headers['x-tigris-consistent'], 'true', operation)
    } finally {
      await server.stop()
    }
  })
})
