import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { checksum, createDatabase, sql, useFolder } from '../helpers/databases.js'
import { HelperProcess, walrust, WalrustProcess } from '../helpers/processes.js'
import { S3Server } from '../helpers/s3-server/index.js'
import type { WriterReport } from '../helpers/writer.js'

const URL = 's3://bucket/backups'

describe('system: two storages', () => {
  const folder = useFolder()
  let server: S3Server
  beforeEach(async () => {
    server = await new S3Server().start()
  })
  afterEach(() => server.stop())

  const configure = (config: object) => {
    const file = folder.file('walrust.config.json')
    writeFileSync(file, JSON.stringify({ metrics: false, sync: { interval: '20ms' }, ...config }))
    return ['--config', file]
  }
  const restored = async (url: string) => {
    const target = folder.file('restored.db')
    const done = await walrust(['restore', 'app', '-o', target, '-b', url, '--force'], { env: server.environment })
    assert.equal(done.code, 0, done.text)
    return checksum(target)
  }

  it('one that is away delays neither the other nor its own catching up', async function () {
    this.timeout(120_000)
    const path = folder.file('app.db')
    createDatabase(path, { bytes: 100_000 })
    const local = `file://${folder.file('backups')}`
    const config = configure({
      databases: [path],
      storage: [local, URL],
      checkpoint: { minPages: 20 },
      spool: { maxSize: '512KiB' },
      resilience: { baseDelay: '5ms', maxDelay: '50ms' },
    })
    const watching = new WalrustProcess(['watch', ...config], { env: server.environment })
    try {
      for (const storage of [local, URL]) {
        await watching.line((line) => line.message === 'shipped' && line.storage === storage)
      }
      server.faults.rates({ reset: 1 })
      const writer = new HelperProcess<WriterReport>('writer', { path, rate: 200, seconds: 4, bytes: 2000 })
      await writer.report()
      // What waited for the one had grown beyond its bound; the other had it all and gave up nothing.
      await watching.line((line) => line.message === 'frames were given up' && line.storage === URL)
      while ((await restored(local)) !== checksum(path)) await sleep(200)
      server.faults.clear()
      assert.equal(await watching.kill('SIGTERM'), 0, watching.tail())
      const about = (message: string, storage: string) =>
        watching.lines.filter((line) => line.message === message && line.storage === storage).length
      const healed = 'commits that could not be followed were found by comparing'
      assert.equal(about('frames were given up', local), 0)
      assert.equal(about(healed, local), 0, 'the one that was there never lost sight of anything')
      assert.ok(about(healed, URL) > 0, 'the one that was away caught up by comparing')
      assert.ok(about('shipped', local) > about('shipped', URL), 'each has a position of its own')
      assert.equal(await restored(local), checksum(path))
      assert.equal(await restored(URL), checksum(path))
    } finally {
      await watching.kill()
    }
  })

  it('a restore takes the one that is named, or the most advanced that can give it', async function () {
    this.timeout(120_000)
    const path = folder.file('app.db')
    const local = `file://${folder.file('backups')}`
    const config = configure({ databases: [path], storage: [local, URL] })
    const states: string[] = []
    /** Commits, and ships to one storage only, or to both. */
    const ship = async (...only: string[]) => {
      sql(path, 'INSERT INTO rows(body) VALUES (randomblob(2000))')
      const done = await walrust(['watch', ...config, '--once', ...only], { env: server.environment })
      assert.equal(done.code, 0, done.text)
      states.push(checksum(path))
    }
    const restore = async (code: number, ...more: string[]) => {
      const args = ['restore', 'app', ...config, '-o', folder.file('restored.db'), '--force', '--json', ...more]
      const done = await walrust(args, { env: server.environment })
      assert.equal(done.code, code, done.text)
      if (code !== 0) return { ...done, storage: '' }
      assert.equal((JSON.parse(done.stdout) as { file: string }).file, folder.file('restored.db'))
      return { ...done, storage: (JSON.parse(done.stdout) as { storage: string }).storage }
    }
    const gives = async (storage: string, state: string, ...more: string[]) => {
      const done = await restore(0, ...more)
      assert.equal(done.storage, storage)
      assert.equal(checksum(folder.file('restored.db')), state)
      return done
    }
    createDatabase(path, { bytes: 20_000 })
    await ship()
    await ship('-b', local)
    await gives(local, states[1])
    await gives(URL, states[0], '-b', URL)
    await ship('-b', URL)
    await gives(URL, states[2])
    // The newest of the one is damaged: the other is taken, and that is said.
    const newest = server.bucket.keys('backups/app/0000/').at(-1) ?? ''
    const object = server.bucket.objects.get(newest)
    assert.ok(object?.bytes)
    object.bytes[object.bytes.length >> 1] ^= 1
    const other = await gives(local, states[1])
    const told = other.lines.find(({ level, storage }) => level === 'error' && storage === URL)
    assert.equal(told?.code, 'E_OBJECT_DAMAGED', other.text)
    await restore(5, '-b', URL)
    // One that cannot be asked might hold what is newer.
    server.faults.rates({ reset: 1 })
    const away = await restore(4)
    assert.ok(away.stdout.includes(`-b ${local}`), away.stdout)
    await gives(local, states[1], '-b', local)
  })

  it('one URL at two endpoints is two places, and one database cannot go to both', async () => {
    const other = await new S3Server().start()
    const paths = ['one.db', 'two.db'].map((name) => folder.file(name))
    for (const path of paths) createDatabase(path)
    const at = (endpoint: string) => ({ url: URL, endpoint })
    try {
      const config = configure({
        databases: [
          { path: paths[0], storage: at(server.endpoint) },
          { path: paths[1], storage: at(other.endpoint) },
        ],
      })
      const once = await walrust(['watch', '--once', ...config], { env: server.environment })
      assert.equal(once.code, 0, once.text)
      const databases = (from: S3Server) => new Set(from.bucket.keys('backups/').map((key) => key.split('/')[1]))
      assert.ok(databases(server).has('one') && !databases(server).has('two'))
      assert.ok(databases(other).has('two') && !databases(other).has('one'))
      const both = configure({ databases: [paths[0]], storage: [at(server.endpoint), at(other.endpoint)] })
      const refused = await walrust(['watch', '--once', ...both], { env: server.environment })
      assert.equal(refused.code, 2, refused.text)
      assert.match(refused.text, /twice/)
    } finally {
      await other.stop()
    }
  })
})
