import Database from 'better-sqlite3'
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { placeOf } from '../../plugins/storage-s3/place.js'
import { S3Store } from '../../plugins/storage-s3/s3-store.js'
import { storeCases } from '../../testing/index.js'
import { checksum, createDatabase, useFolder } from '../helpers/databases.js'
import { runCases } from '../helpers/conformance.js'
import { HelperProcess, walrust, WalrustProcess } from '../helpers/processes.js'
import type { WriterReport } from '../helpers/writer.js'
import { S3Service } from './s3-service.js'
import { runWith } from './tools.js'

describe('S3 served by versitygw', () => {
  const folder = useFolder()
  let service: S3Service

  before(async () => (service = await S3Service.start()))
  after(() => service.stop())

  runCases(
    storeCases({
      open: () => new S3Store(placeOf({ scheme: 's3', url: 's3://bucket/suite', options: {} }, service.env)),
    }),
  )
  before(() => Object.assign(process.env, service.env))

  it('holds a backup that both walrust and Litestream bring back', async () => {
    const { env } = service
    const file = join(folder.path, 'app.db')
    createDatabase(file, { bytes: 8_000_000 })
    const watching = new WalrustProcess(['watch', file, '-b', 's3://bucket/backups', '--sync-interval', '100ms'], {
      env,
    })
    await watching.line('shipped')
    await new HelperProcess<WriterReport>('writer', { path: file, rate: 100, seconds: 3 }).report()
    assert.equal(await watching.kill('SIGTERM'), 0, watching.tail())
    const expected = checksum(file)
    const ours = folder.file('ours.db')
    const restored = await walrust(['restore', 'app', '-o', ours, '-b', 's3://bucket/backups'], { env })
    assert.equal(restored.code, 0, restored.text)
    assert.equal(checksum(ours), expected)
    const theirs = folder.file('theirs.db')
    runWith(env, 'litestream', 'restore', '-o', theirs, service.litestreamUrl('backups/app'))
    assert.equal(checksum(theirs), expected)
    const db = new Database(theirs, { readonly: true })
    assert.equal(db.pragma('integrity_check', { simple: true }), 'ok')
    db.close()
  })
})
