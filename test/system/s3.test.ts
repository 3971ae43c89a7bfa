import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { faultProgramme } from '../faults/programme.js'
import { checksum, contents, createDatabase, sql, useFolder } from '../helpers/databases.js'
import { HelperProcess, walrust, WalrustProcess } from '../helpers/processes.js'
import { PASSING_FAULTS } from '../helpers/s3-server/faults.js'
import { S3Server, type S3ServerOptions } from '../helpers/s3-server/index.js'
import type { WriterReport } from '../helpers/writer.js'

const URL = 's3://bucket/backups'

describe('system: S3 over HTTP', () => {
  const folder = useFolder()
  let server: S3Server
  beforeEach(async () => {
    server = await new S3Server().start()
  })
  afterEach(() => server.stop())

  const watch = (...args: string[]) => watchWith({}, ...args)
  const watchWith = (env: Record<string, string>, ...args: string[]) =>
    new WalrustProcess(['watch', folder.file('app.db'), '-b', URL, '--sync-interval', '20ms', ...args], {
      env: { ...server.environment, WALRUST_LEASE_TTL: '3s', ...env },
    })
  const run = (args: string[], env: Record<string, string> = {}) =>
    walrust(args, { env: { ...server.environment, ...env } })

  it('ships, survives a kill, goes on, and brings everything back', async () => {
    createDatabase(folder.file('app.db'), { bytes: 12_000_000 })
    const first = watch()
    await first.line('shipped')
    const writer = new HelperProcess<WriterReport>('writer', { path: folder.file('app.db'), rate: 200, seconds: 3 })
    await sleep(1500)
    await first.kill()
    await writer.report()
    const once = await run(['watch', folder.file('app.db'), '-b', URL, '--once'])
    assert.equal(once.code, 0, once.text)
    const restored = await run(['restore', 'app', '-o', folder.file('back.db'), '-b', URL])
    assert.equal(restored.code, 0, restored.text)
    assert.deepEqual(contents(folder.file('back.db')), contents(folder.file('app.db')))
    const verified = await run(['verify', 'app', '-b', URL])
    assert.equal(verified.code, 0, verified.text)
    const keys = server.bucket.keys()
    assert.ok(keys.some((key) => /^backups\/app\/0000\/[0-9a-f]{16}-[0-9a-f]{16}\.ltx$/.test(key)))
    assert.ok(keys.some((key) => /^backups\/app\/0009\/0{15}1-[0-9a-f]{16}\.ltx$/.test(key)))
    const shipped = server.log.filter(({ key }) => key.includes('/0000/'))
    assert.ok(shipped.every(({ headers }) => (headers['if-none-match'] === '*' || headers.range) ?? true))
    for (const [key, { sha256, metadata }] of server.bucket.objects) {
      if (!key.includes('/0000/')) continue
      assert.equal(metadata['walrust-sha256'], sha256, key)
      assert.ok(metadata['walrust-post'] && !Number.isNaN(Date.parse(metadata['litestream-timestamp'])), key)
    }
  })

  it('ships through every fault that passes, loses nothing and doubles nothing', async function () {
    this.timeout(240_000)
    const report = await faultProgramme({ folder: folder.path, syncs: 60, seed: 7, points: 2 })
    const struck = PASSING_FAULTS.filter((fault) => report.faults[fault])
    assert.ok(struck.length > 5, JSON.stringify(report))
  })

  it('merges what it has sent itself without fetching it again', async () => {
    createDatabase(folder.file('app.db'))
    const shipping = watchWith({ WALRUST_COMPACTION_LEVELS: '["1s"]' }, '--log-level', 'debug')
    await shipping.line('shipped')
    for (let i = 0; i < 20; i++) {
      sql(folder.file('app.db'), 'INSERT INTO rows(body) VALUES (1)')
      await sleep(50)
    }
    await shipping.line('merged')
    const read = server.log.filter(({ operation, key }) => operation === 'GetObject' && key.includes('/0000/'))
    assert.deepEqual(read, [])
    assert.equal(await shipping.kill('SIGTERM'), 0)
  })

  it('takes a lost answer for what it is: the file lies there', async () => {
    createDatabase(folder.file('app.db'))
    const shipping = watch('--base-delay', '5ms')
    await shipping.line('shipped')
    server.faults.next('lost-response', /^PUT .*0000/)
    sql(folder.file('app.db'), 'INSERT INTO rows(body) VALUES (1)')
    const { txid } = await shipping.line(({ message, txid }) => message === 'shipped' && Number(txid) > 1)
    assert.equal(server.faults.counts['lost-response'], 1)
    assert.ok(Number(txid) > 1)
    assert.equal(await shipping.kill('SIGTERM'), 0)
  })

  it('a download that breaks off, again and again, goes on from where it broke', async () => {
    createDatabase(folder.file('app.db'), { bytes: 3_000_000 })
    assert.equal((await run(['watch', folder.file('app.db'), '-b', URL, '--once'])).code, 0)
    const snapshot = server.bucket.keys().find((key) => key.includes('/0009/'))
    assert.ok(snapshot)
    const before = server.log.length
    server.faults.next('cut-response', /^GET .*\/0009\/.*\.ltx/, 3)
    const restored = await run(['restore', 'app', '-o', folder.file('back.db'), '-b', URL])
    assert.equal(restored.code, 0, restored.text)
    assert.equal(checksum(folder.file('back.db')), checksum(folder.file('app.db')))
    assert.equal(server.faults.counts['cut-response'], 3)
    const starts = server.log
      .slice(before)
      .filter(({ operation, key }) => operation === 'GetObject' && key === snapshot)
      .map(({ headers }) => Number(/^bytes=(\d+)-/.exec(headers.range ?? 'bytes=0-')?.[1]))
    // No byte that had come is asked for again: nothing begins where something else had begun.
    assert.ok(starts.length > 3, starts.join())
    assert.equal(new Set(starts).size, starts.length, starts.join())
  })

  for (const disk of ['the same', 'an empty'] as const) {
    it(`killed between a stored file and its answer, and started with ${disk} disk: goes on, and nothing is stored again`, async () => {
      const path = folder.file('app.db')
      const files = () => new Map([...server.bucket.objects].filter(([key]) => /\/000[09]\/.*ltx$/.test(key)))
      createDatabase(path, { bytes: 100_000 })
      const first = watch('--base-delay', '5s', '--max-delay', '5s', '--no-metrics')
      await first.line('shipped')
      server.faults.next('lost-response', /^PUT .*0000/)
      sql(path, 'INSERT INTO rows(body) VALUES (1)')
      while (!server.faults.counts['lost-response']) await sleep(5)
      server.faults.rates({ reset: 1 })
      await first.kill()
      assert.deepEqual(
        first.shipped.map(({ txid }) => txid),
        [1],
      )
      server.faults.clear()
      if (disk === 'an empty') rmSync(folder.file('.app.db-walrust'), { recursive: true })
      const before = files()
      assert.equal([...before.keys()].filter((key) => key.includes('/0000/')).length, 1, 'it lies there')
      const second = watch('--no-metrics')
      await second.line(disk === 'an empty' ? 'storage holds this state already' : 'watching')
      assert.deepEqual(files(), before, 'no byte was stored again')
      // Another machine first makes the next transaction its own: docs/fencing.md.
      const last = disk === 'an empty' ? 4 : 3
      if (last === 4) await second.line((line) => line.message === 'shipped' && line.txid === 3)
      sql(path, 'INSERT INTO rows(body) VALUES (2)')
      await second.line((line) => line.message === 'shipped' && line.txid === last)
      assert.equal(await second.kill('SIGTERM'), 0, second.tail())
      assert.equal(files().size, before.size + last - 2)
      for (const [key, object] of before) assert.equal(server.bucket.objects.get(key), object, key)
      const restored = await run(['restore', 'app', '-o', folder.file('back.db'), '-b', URL])
      assert.equal(restored.code, 0, restored.text)
      assert.equal(checksum(folder.file('back.db')), checksum(path))
    })
  }

  it('has no more uploads under way than it may, however many databases there are', async () => {
    const slow = await new S3Server({ delay: 200 }).start()
    const paths = Array.from({ length: 10 }, (_, i) => folder.file(`${i}.db`))
    for (const path of paths) createDatabase(path)
    const args = ['watch', ...paths, '-b', URL, '--no-metrics', '--upload-concurrency', '3']
    const watching = new WalrustProcess(args, { env: { ...server.environment, ...slow.environment } })
    try {
      const shipped = (txid: number) =>
        paths.map((_, i) =>
          watching.line((line) => line.message === 'shipped' && line.database === String(i) && line.txid === txid),
        )
      await Promise.all(shipped(1))
      slow.mostStoring = 0
      for (const path of paths) sql(path, 'INSERT INTO rows(body) VALUES (1)')
      await Promise.all(shipped(2))
      assert.equal(slow.mostStoring, 3)
    } finally {
      await watching.kill()
      await slow.stop()
    }
  })

  describe('says what is wrong and which setting to look at', () => {
    const cases: Array<{
      what: string
      env?: Record<string, string>
      url?: string
      server?: S3ServerOptions
      code: string
      says: RegExp
    }> = [
      {
        what: 'an unknown key',
        env: { AWS_ACCESS_KEY_ID: 'AKIAOTHER' },
        code: 'E_STORAGE_AUTH',
        says: /AWS_ACCESS_KEY_ID/,
      },
      {
        what: 'a wrong secret',
        env: { AWS_SECRET_ACCESS_KEY: 'x' },
        code: 'E_STORAGE_AUTH',
        says: /AWS_SECRET_ACCESS_KEY/,
      },
      { what: 'a wrong bucket', url: 's3://other/backups', code: 'E_STORAGE_MISSING', says: /bucket other/ },
      {
        what: 'a wrong region',
        env: { AWS_REGION: 'eu-west-1' },
        code: 'E_STORAGE_REGION',
        says: /AWS_REGION.* to us-east-1/,
      },
      { what: 'a wrong clock', server: { clockOffset: 3_600_000 }, code: 'E_STORAGE_CLOCK', says: /clock/ },
      {
        what: 'an endpoint that does not answer',
        env: { AWS_ENDPOINT_URL_S3: 'http://127.0.0.1:9' },
        code: 'E_STORAGE',
        says: /endpoint http:\/\/127\.0\.0\.1:9 \(AWS_ENDPOINT_URL_S3/,
      },
      {
        what: 'a service without conditions',
        server: { ignoreConditions: true },
        code: 'E_STORAGE',
        says: /conditional writes/,
      },
    ]
    for (const { what, env, url = URL, server: options, code, says } of cases) {
      it(what, async () => {
        createDatabase(folder.file('app.db'))
        const other = options && (await new S3Server(options).start())
        try {
          const args = [
            'watch',
            folder.file('app.db'),
            '-b',
            url,
            '--once',
            '--max-retries',
            '1',
            '--base-delay',
            '1ms',
          ]
          const result = await run([...args, '--json'], { ...other?.environment, ...env })
          assert.equal(result.code, 4, result.text)
          const told = result.lines.map((line) => JSON.stringify(line)).join('\n') + result.stdout
          assert.match(told, says)
          assert.match(told, new RegExp(`"${code}"`))
          assert.ok(!told.includes(server.credentials.secretAccessKey), 'no secret is shown')
        } finally {
          await other?.stop()
        }
      })
    }
  })

  it('a watch that is to stay ends at once, too, where no waiting would help', async () => {
    createDatabase(folder.file('app.db'))
    const refused = await run(['watch', folder.file('app.db'), '-b', URL], { AWS_SECRET_ACCESS_KEY: 'x' })
    assert.equal(refused.code, 4, refused.text)
    assert.deepEqual(server.bucket.keys(), [])
  })

  it('spools while the storage cannot be reached, says that it is degraded, and catches up', async () => {
    createDatabase(folder.file('app.db'), { bytes: 50_000 })
    server.faults.rates({ reset: 1 })
    const shipping = watch('--base-delay', '5ms', '--max-delay', '50ms', '--metrics-port', '0')
    await shipping.line('the storage cannot be used now; commits wait on this machine')
    await shipping.line('watching')
    const { url: page } = await shipping.line('metrics')
    const health = async () =>
      (await (await fetch(`${String(page)}health`)).json()) as {
        status: string
        databases: Array<{ error?: string }>
      }
    for (;;) {
      const { status, databases } = await health()
      assert.notEqual(status, 'unhealthy')
      if (status === 'degraded' && databases[0].error !== undefined) break
      await sleep(50)
    }
    sql(folder.file('app.db'), 'INSERT INTO rows(body) VALUES (1)')
    server.faults.clear()
    await shipping.line('shipped')
    for (;;) if ((await health()).status === 'healthy') break
    assert.equal(await shipping.kill('SIGTERM'), 0, shipping.tail())
    const restored = await run(['restore', 'app', '-o', folder.file('back.db'), '-b', URL])
    assert.equal(restored.code, 0, restored.text)
    assert.equal(checksum(folder.file('back.db')), checksum(folder.file('app.db')))
  })
})
