import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { checksum, createDatabase, useFolder } from '../helpers/databases.js'
import { GcsServer } from '../helpers/gcs-server/index.js'
import { HelperProcess, walrust, WalrustProcess } from '../helpers/processes.js'
import type { Fault } from '../helpers/s3-server/faults.js'
import type { WriterReport } from '../helpers/writer.js'

const URL = 'gs://bucket/backups'

describe('system: Google Cloud Storage over HTTP', () => {
  const folder = useFolder()
  let server: GcsServer
  beforeEach(async () => {
    server = await new GcsServer().start()
  })
  afterEach(() => server.stop())
  const run = (args: readonly string[], env: Record<string, string> = {}) =>
    walrust(args, { env: { ...server.environment, ...env } })

  it('ships through failures, survives a kill, goes on, and brings everything back', async function () {
    this.timeout(60_000)
    const path = folder.file('app.db')
    createDatabase(path, { bytes: 12_000_000 })
    const args = ['watch', path, '-b', URL, '--no-metrics', '--sync-interval', '20ms', '--base-delay', '5ms']
    const first = new WalrustProcess(args, { env: server.environment })
    await first.line('shipped')
    const each: Fault[] = ['error', 'unavailable', 'reset', 'lost-response', 'cut-response']
    server.faults.rates(Object.fromEntries(each.map((fault) => [fault, 0.05])))
    const writer = new HelperProcess<WriterReport>('writer', { path, rate: 200, seconds: 3 })
    await sleep(1500)
    await first.kill()
    await writer.report()
    server.faults.clear()
    const once = await run([...args, '--once'])
    assert.equal(once.code, 0, once.text)
    const restored = await run(['restore', 'app', '-o', folder.file('back.db'), '-b', URL])
    assert.equal(restored.code, 0, restored.text)
    assert.equal(checksum(folder.file('back.db')), checksum(path))
    const verified = await run(['verify', 'app', '-b', URL])
    assert.equal(verified.code, 0, verified.text)
    const keys = server.bucket.keys('backups/app/ltx/')
    assert.ok(keys.some((key) => /^backups\/app\/ltx\/0\/[0-9a-f]{16}-[0-9a-f]{16}\.ltx$/.test(key)))
    assert.ok(keys.some((key) => /^backups\/app\/ltx\/9\/0{15}1-[0-9a-f]{16}\.ltx$/.test(key)))
    for (const key of keys.filter((key) => key.includes('/ltx/0/'))) {
      const object = server.bucket.objects.get(key)
      assert.equal(object?.metadata['walrust-sha256'], object?.sha256, key)
    }
    assert.equal(server.sessions.size, 0)
  })

  const cases: Array<{
    what: string
    url?: string
    faults?: Partial<Record<Fault, number>>
    env?: Record<string, string>
    keyFilename?: string
    code: string
    says: RegExp
  }> = [
    {
      what: 'refused credentials',
      faults: { expired: 1 },
      code: 'E_STORAGE_AUTH',
      says: /GOOGLE_APPLICATION_CREDENTIALS/,
    },
    {
      what: 'a key file that is not there',
      keyFilename: '/nowhere/key.json',
      code: 'E_STORAGE_AUTH',
      says: /GOOGLE_APPLICATION_CREDENTIALS/,
    },
    { what: 'a wrong bucket', url: 'gs://other/backups', code: 'E_STORAGE_MISSING', says: /bucket other/ },
    {
      what: 'an endpoint that does not answer',
      env: { STORAGE_EMULATOR_HOST: 'http://127.0.0.1:9' },
      code: 'E_STORAGE',
      says: /endpoint http:\/\/127\.0\.0\.1:9 \(STORAGE_EMULATOR_HOST/,
    },
  ]
  for (const { what, url = URL, faults, env, keyFilename, code, says } of cases) {
    it(`${what}: exit 4, and which setting to look at`, async function () {
      this.timeout(60_000)
      createDatabase(folder.file('app.db'))
      if (faults) server.faults.rates(faults)
      const config = folder.file('walrust.config.json')
      const resilience = { maxRetries: 1, baseDelay: '1ms' }
      const storage = { url, ...(keyFilename === undefined ? {} : { keyFilename }) }
      writeFileSync(config, JSON.stringify({ databases: [folder.file('app.db')], storage, resilience, metrics: false }))
      const result = await run(['watch', '--once', '--config', config, '--json'], env)
      assert.equal(result.code, 4, result.text)
      const told = result.lines.map((line) => JSON.stringify(line)).join('\n') + result.stdout
      assert.match(told, says)
      assert.match(told, new RegExp(`"${code}"`))
    })
  }
})
