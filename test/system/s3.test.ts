import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
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

  const watch = (...args: string[]) =>
    new WalrustProcess(['watch', folder.file('app.db'), '-b', URL, '--sync-interval', '20ms', ...args], {
      env: server.environment,
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
    this.timeout(180_000)
    createDatabase(folder.file('app.db'), { bytes: 100_000 })
    const shipping = watch('--base-delay', '5ms', '--max-delay', '50ms')
    await shipping.line('shipped')
    server.faults.rates(Object.fromEntries(PASSING_FAULTS.map((fault) => [fault, 0.05])))
    const writer = new HelperProcess<WriterReport>('writer', { path: folder.file('app.db'), rate: 100, seconds: 8 })
    await writer.report()
    server.faults.clear()
    assert.equal(await shipping.kill('SIGTERM'), 0, shipping.tail())
    const restored = await run(['restore', 'app', '-o', folder.file('back.db'), '-b', URL])
    assert.equal(restored.code, 0, restored.text)
    assert.equal(checksum(folder.file('back.db')), checksum(folder.file('app.db')))
    const txids = server.bucket.keys('backups/app/0000/').map((key) => Number.parseInt(key.slice(-37, -21), 16))
    assert.deepEqual(
      txids,
      txids.map((_, i) => txids[0] + i),
      'every transaction once',
    )
    const struck = Object.values(server.faults.counts).reduce((sum, count) => sum + count, 0)
    assert.ok(struck > 10, JSON.stringify(server.faults.counts))
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

  it('spools while the storage cannot be reached, and catches up', async () => {
    createDatabase(folder.file('app.db'), { bytes: 50_000 })
    server.faults.rates({ reset: 1 })
    const shipping = watch('--base-delay', '5ms', '--max-delay', '50ms')
    await shipping.line('the storage cannot be used now; commits wait on this machine')
    await shipping.line('watching')
    sql(folder.file('app.db'), 'INSERT INTO rows(body) VALUES (1)')
    server.faults.clear()
    await shipping.line('shipped')
    assert.equal(await shipping.kill('SIGTERM'), 0, shipping.tail())
    const restored = await run(['restore', 'app', '-o', folder.file('back.db'), '-b', URL])
    assert.equal(restored.code, 0, restored.text)
    assert.equal(checksum(folder.file('back.db')), checksum(folder.file('app.db')))
  })
})
