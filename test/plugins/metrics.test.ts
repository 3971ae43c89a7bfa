import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders, request as httpRequest, type RequestOptions } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { PageReport } from '../../plugins/metrics/report.js'
import { createDatabase, useFolder } from '../helpers/databases.js'
import { EngineProcess } from '../helpers/engine.js'
import type { EngineSetup } from '../helpers/engine-process.js'
import { parsePrometheus } from '../helpers/prometheus.js'

/** Names and types that the contract gives. */
const CONTRACT: Readonly<Record<string, string>> = {
  walrust_last_sync_timestamp: 'gauge',
  walrust_wal_size_bytes: 'gauge',
  walrust_next_snapshot_timestamp: 'gauge',
  walrust_error_count_total: 'counter',
  walrust_snapshot_count_total: 'counter',
  walrust_current_txid: 'gauge',
  walrust_validation_success_total: 'counter',
  walrust_validation_failure_total: 'counter',
  walrust_last_validation_timestamp: 'gauge',
  walrust_checkpoint_total: 'counter',
  walrust_checkpoint_duration_seconds: 'histogram',
  walrust_retry_total: 'counter',
  walrust_sync_latency_seconds: 'histogram',
  walrust_databases_total: 'gauge',
  walrust_uptime_seconds: 'gauge',
  walrust_unshipped_seconds: 'gauge',
  walrust_lag_seconds: 'gauge',
  walrust_spool_bytes: 'gauge',
  walrust_shipped_bytes_total: 'counter',
  walrust_heal_count_total: 'counter',
  walrust_write_lock_seconds: 'histogram',
}

describe('walrust:metrics', function () {
  this.timeout(60_000)
  let engine: EngineProcess | undefined
  // Before the folder is taken away: hooks run in this order.
  afterEach(() => engine?.kill())
  const folder = useFolder()
  let origin = ''

  async function start(names: readonly string[], more: Partial<EngineSetup> = {}): Promise<EngineProcess> {
    const databases = names.map((name, i) => ({ name, path: folder.file(`${i}.db`) }))
    for (const { path } of databases) createDatabase(path, { bytes: 10_000 })
    mkdirSync(folder.file('backups'))
    engine = await EngineProcess.start({ databases, storages: [folder.file('backups')], metrics: { port: 0 }, ...more })
    assert.equal(engine.failed, undefined)
    origin = String((await engine.line('metrics')).url)
    await engine.flush()
    return engine
  }

  /** A request as `fetch` does not make it. No status: the connection was ended instead. */
  const ask = (path: string, options: RequestOptions) =>
    new Promise<{ status: number | undefined; headers: IncomingHttpHeaders; body: string }>((resolve) => {
      const asked = httpRequest(new URL(path, origin), options, (response) => {
        let body = ''
        response.on('data', (piece: Buffer) => (body += piece.toString()))
        response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body }))
      })
      asked.on('error', () => resolve({ status: undefined, headers: {}, body: '' }))
      asked.end()
    })
  const get = async (path: string) => await fetch(new URL(path, origin))
  const scrape = async () => parsePrometheus(await (await get('/metrics')).text())
  const value = async (name: string, labels: Record<string, string> = {}) =>
    (await scrape())
      .get(name)
      ?.samples.find((sample) => Object.entries(labels).every(([key, wanted]) => sample.labels[key] === wanted))?.value

  function commit(count: number): void {
    const code = `const D = require('better-sqlite3'); const db = new D(process.argv[1]); for (let i = 0; i < ${count}; i++) db.exec("INSERT INTO rows(body) VALUES (randomblob(500))")`
    assert.equal(spawnSync(process.execPath, ['-e', code, folder.file('0.db')]).status, 0)
  }

  it('gives every metric of the contract in a form that a strict reader takes, whatever databases are called', async () => {
    const odd = 'a"b/ü'
    await start(['app', odd])
    const families = await scrape()
    for (const [name, type] of Object.entries(CONTRACT)) {
      assert.equal(families.get(name)?.type, type, name)
    }
    assert.equal((await get('/metrics')).headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8')
    assert.equal(await value('walrust_databases_total'), 2)
    assert.equal(await value('walrust_snapshot_count_total', { database: odd }), 1)
    assert.equal(await value('walrust_current_txid', { database: odd }), 1)
  })

  it('counts what is shipped, tried again, in error and in recovery', async () => {
    const running = await start(['app'], { settings: { resilience: { maxRetries: 1, baseDelay: 5, maxDelay: 20 } } })
    const storage = `faulty://${folder.file('backups')}`
    const before = Number(await value('walrust_shipped_bytes_total', { database: 'app' }))
    commit(5)
    await running.flush()
    assert.ok(Number(await value('walrust_shipped_bytes_total')) > before)
    assert.ok(Number(await value('walrust_current_txid')) >= 2)
    assert.equal(await value('walrust_unshipped_seconds'), 0)
    assert.equal((await get('/health')).status, 200)
    await running.fault('transient')
    commit(5)
    await running.event('sync_failed')
    assert.ok(Number(await value('walrust_unshipped_seconds')) > 0)
    assert.ok(Number(await value('walrust_spool_bytes')) > 0)
    const health = (await (await get('/health')).json()) as { status: string; databases: Array<{ error?: string }> }
    assert.equal(health.status, 'degraded')
    assert.match(String(health.databases[0].error), /transient/)
    const failed = Number(await value('walrust_request_failure_total', { storage, kind: 'transient' }))
    assert.ok(failed >= 2, `${failed} requests failed`)
    await running.fault('ok')
    await running.flush()
    const puts = Number(await value('walrust_request_total', { storage, request: 'put' }))
    commit(1)
    await running.flush()
    assert.equal(
      await value('walrust_request_total', { storage, request: 'put' }),
      puts + 2,
      'a sync is one request, and one for what a folder cannot keep with it',
    )
    assert.ok(Number(await value('walrust_transfer_bytes_total', { storage, direction: 'sent' })) > 0)
    assert.equal(await value('walrust_error_count_total', { database: 'app' }), 1)
    assert.ok(Number(await value('walrust_retry_total', { operation: 'upload' })) >= 1)
    assert.equal(await value('walrust_spool_bytes'), 0)
  })

  it('answers 503 when a database is halted or waits for too long', async () => {
    const running = await start(['app'], { maxLag: 100 })
    await running.fault('transient')
    commit(1)
    for (;;) if ((await get('/health')).status === 503) break
    await running.fault('auth')
    await running.event('auth_failure')
    await running.statusWhen(({ databases: [{ state }] }) => state === 'halted')
    assert.equal((await get('/health')).status, 503)
    assert.equal(await value('walrust_halted'), 1)
  })

  it('shows on the page what it says in the metrics', async () => {
    const running = await start(['app'])
    commit(3)
    await running.flush()
    const report = (await (await get('/status.json')).json()) as PageReport
    const [database] = report.databases
    assert.equal(database.storages[0].txid, await value('walrust_current_txid'))
    assert.equal(database.storages[0].storedBytes, await value('walrust_stored_bytes'))
    assert.equal(database.databaseBytes, await value('walrust_database_size_bytes'))
    assert.deepEqual(
      database.events.map(({ event }) => event),
      ['snapshot_completed'],
    )
    assert.match(await (await get('/')).text(), /<script src="page.js" defer>/)
    for (const path of ['/page.css', '/page.js']) assert.equal((await get(path)).status, 200)
  })

  it('changes nothing, answers only for its own host, and lets nothing else run in its page', async () => {
    await start(['app'])
    const status = async () => (await (await get('/status.json')).json()) as PageReport
    const before = await status()
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'PROPFIND', 'MKCOL', 'PURGE']) {
      for (const path of ['/', '/metrics', '/health', '/status.json']) {
        const answer = await ask(path, { method })
        assert.deepEqual([answer.status, answer.headers.allow], [405, 'GET, HEAD'], `${method} ${path}`)
      }
    }
    assert.equal((await ask('/', { method: 'CONNECT' })).status, undefined)
    const head = await ask('/metrics', { method: 'HEAD' })
    assert.deepEqual([head.status, head.body], [200, ''])
    assert.ok(Number(head.headers['content-length']) > 0)
    const { databases } = await status()
    assert.deepEqual(
      databases.map(({ name, state }) => [name, state]),
      before.databases.map(({ name, state }) => [name, state]),
    )
    assert.equal((await get('/nothing')).status, 404)
    assert.equal((await get('/__proto__')).status, 404)
    const { headers } = await get('/')
    assert.match(String(headers.get('content-security-policy')), /default-src 'none'.*frame-ancestors 'none'/)
    const named = async (host: string) => (await ask('/metrics', { headers: { host } })).status
    assert.equal(await named('evil.example:16767'), 421)
    assert.equal(await named('127.0.0.1.evil.example'), 421)
    assert.equal(await named('localhost:1'), 200)
  })

  it('ships on without when its port is taken, and says so', async () => {
    const other = createServer()
    other.listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = other.address() as AddressInfo
    createDatabase(folder.file('0.db'))
    mkdirSync(folder.file('backups'))
    const databases = [{ name: 'app', path: folder.file('0.db') }]
    engine = await EngineProcess.start({ databases, storages: [folder.file('backups')], metrics: { port } })
    const line = await engine.line('no metrics: shipping goes on without')
    assert.equal(line.level, 'error')
    await engine.flush()
    await engine.event('snapshot_completed')
    other.close()
  })
})
