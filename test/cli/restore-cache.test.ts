import assert from 'node:assert/strict'
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { checksum, createDatabase, sql, useFolder } from '../helpers/databases.js'
import { GcsServer } from '../helpers/gcs-server/index.js'
import { walrust, WalrustProcess } from '../helpers/processes.js'
import { S3Server } from '../helpers/s3-server/index.js'

/** Files of level 0 in the spool. */
const FILES = 8

describe('restore --cache-dir', function () {
  this.timeout(120_000)
  const folder = useFolder()
  let s3: S3Server
  let gcs: GcsServer
  beforeEach(async () => {
    s3 = await new S3Server().start()
    gcs = await new GcsServer().start()
  })
  afterEach(async () => {
    await s3.stop()
    await gcs.stop()
  })

  const environment = () => ({ ...s3.environment, ...gcs.environment })
  /** A database that was followed for a while; what was confirmed is in its spool. */
  const ship = async (url: string, name = 'app') => {
    const path = folder.file(`${name}.db`)
    createDatabase(path, { bytes: 20_000 })
    const args = ['watch', path, '-b', url, '--no-metrics', '--sync-interval', '1ms']
    const watching = new WalrustProcess(args, { env: environment() })
    await watching.line('shipped')
    for (let txid = 2; txid <= FILES + 1; txid++) {
      sql(path, `INSERT INTO rows(body) VALUES (randomblob(${3000 + txid}))`)
      await watching.line((line) => line.message === 'shipped' && line.txid === txid)
    }
    assert.equal(await watching.kill('SIGTERM'), 0, watching.tail())
    return { path, state: folder.file(`.${name}.db-walrust`) }
  }
  const restore = async (url: string, ...more: string[]) => {
    const target = folder.file('restored.db')
    const args = ['restore', 'app', '-o', target, '-b', url, '--force', '--json', ...more]
    const done = await walrust(args, { env: environment() })
    assert.equal(done.code, 0, done.text)
    const { cachedFiles } = JSON.parse(done.stdout) as { cachedFiles: number }
    return { cachedFiles, checksum: checksum(target) }
  }
  const spooled = (state: string) =>
    (readdirSync(state, { recursive: true }) as string[]).filter((name) => name.endsWith('.ltx')).sort()
  /** Requests for files of level 0 while something is done. */
  const askedFor = async (work: () => Promise<void>) => {
    const before = s3.log.length
    await work()
    return s3.log.slice(before).flatMap(({ operation, key }) => (key.includes('/0000/') ? operation : []))
  }

  it('asks S3 for nothing that is here, and for everything that is not what lies there', async () => {
    const url = 's3://bucket/backups'
    const { path, state } = await ship(url)
    const expected = checksum(path)
    const without = await askedFor(async () =>
      assert.deepEqual(await restore(url), { cachedFiles: 0, checksum: expected }),
    )
    assert.equal(without.length, FILES)
    const all = await askedFor(async () =>
      assert.deepEqual(await restore(url, '--cache-dir', state), { cachedFiles: FILES, checksum: expected }),
    )
    assert.deepEqual(all, [])
    // One is gone, one was cut short, one has another byte, and one is another file of the same name and size.
    const files = spooled(state).map((name) => join(state, name))
    rmSync(files[0])
    writeFileSync(files[1], readFileSync(files[1]).subarray(0, -1))
    const bytes = readFileSync(files[2])
    bytes[bytes.length >> 1] ^= 1
    writeFileSync(files[2], bytes)
    writeFileSync(files[3], Buffer.alloc(statSync(files[3]).size, 'x'))
    const rest = await askedFor(async () =>
      assert.deepEqual(await restore(url, '--cache-dir', state), { cachedFiles: FILES - 4, checksum: expected }),
    )
    assert.deepEqual(rest.sort(), [...Array<string>(4).fill('GetObject'), 'HeadObject', 'HeadObject'])
  })

  it('takes nothing of another database, though its files have the same names', async () => {
    const url = 's3://bucket/backups'
    const { path } = await ship(url)
    const other = await ship(url, 'other')
    assert.deepEqual(await restore(url, '--cache-dir', other.state), { cachedFiles: 0, checksum: checksum(path) })
    // Where both are, the right ones are found.
    assert.deepEqual(await restore(url, '--cache-dir', folder.path), { cachedFiles: FILES, checksum: checksum(path) })
  })

  it('goes by what a listing of GCS and a sidecar of a folder record, too', async () => {
    for (const url of ['gs://bucket/backups', `file://${folder.file('backups')}`]) {
      const { path, state } = await ship(url)
      const expected = { cachedFiles: FILES, checksum: checksum(path) }
      assert.deepEqual(await restore(url, '--cache-dir', state), expected, url)
      for (const name of [path, `${path}-wal`, `${path}-shm`, state]) rmSync(name, { recursive: true, force: true })
    }
  })

  it('is refused, before anything is done, where there is no folder', async () => {
    const target = folder.file('restored.db')
    const url = `file://${folder.file('backups')}`
    await ship(url)
    const done = await walrust(['restore', 'app', '-o', target, '-b', url, '--cache-dir', folder.file('nothing')])
    assert.equal(done.code, 2, done.text)
    assert.match(done.text, /nothing can be taken from .*nothing/)
    assert.deepEqual(
      readdirSync(folder.path).filter((name) => name.includes('restored')),
      [],
    )
  })
})
