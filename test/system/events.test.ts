import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import Database from 'better-sqlite3'
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import type { WalrustEvent } from '../../core/events.js'
import { healthOfAll } from '../../core/status.js'
import { createDatabase, sql, useFolder } from '../helpers/databases.js'
import { EngineProcess } from '../helpers/engine.js'
import type { EngineSetup } from '../helpers/engine-process.js'
import { isSigned, Receiver } from '../helpers/receiver.js'
import { HelperProcess } from '../helpers/processes.js'
import { restoreFrom } from '../helpers/storage.js'
import { SmallDisk } from '../kills/small-disk.js'

/** Each event is raised by the situation that it names, with a real engine in a process of its own. */
describe('events and status', function () {
  this.timeout(60_000)
  let engine: EngineProcess | undefined
  let receiver: Receiver
  // Before the folder is taken away: hooks run in this order.
  afterEach(async () => {
    await engine?.kill()
    await receiver.close()
  })
  beforeEach(async () => {
    receiver = await Receiver.listen()
  })
  const folder = useFolder()
  const db = () => folder.file('app.db')
  const backups = () => folder.file('backups')

  async function start(more: Partial<EngineSetup> = {}): Promise<EngineProcess> {
    mkdirSync(backups(), { recursive: true })
    const databases = [{ name: 'app', path: db() }]
    const webhook = { url: receiver.origin, secret: 'key' }
    engine = await EngineProcess.start({ databases, storages: [backups()], webhook, ...more })
    assert.equal(engine.failed, undefined)
    if (!more.webhook) alsoByWebhook(engine)
    return engine
  }

  /** Whoever waits for an event waits until a receiver of webhooks has it as well, under a signature that is right. */
  function alsoByWebhook(running: EngineProcess): void {
    const event = running.event.bind(running)
    running.event = async (name, skip) => {
      const raised = await event(name, skip)
      const isIt = (got: WalrustEvent) => got.event === name && got.timestamp === raised.timestamp
      while (!receiver.received.some((got) => isIt(got.event))) await receiver.requests(receiver.received.length + 1)
      const got = receiver.received.find((one) => isIt(one.event))
      assert.ok(got && isSigned(got, 'key') && got.method === 'POST')
      assert.deepEqual(got.event, raised)
      return raised
    }
  }

  /** Runs code with the database as `db`, in another process. */
  function app(code: string): void {
    const program = `const D = require('better-sqlite3'), fs = require('fs'), path = process.argv[1]; const db = new D(path); ${code}; db.close()`
    const { status, stderr } = spawnSync(process.execPath, ['-e', program, db()], { encoding: 'utf8' })
    assert.equal(status, 0, stderr)
  }
  const insert = 'db.exec("INSERT INTO rows(body) VALUES (\'x\')")'

  const quick = { resilience: { maxRetries: 2, baseDelay: 5, maxDelay: 20 } }

  it('snapshot_completed; and the status of a database that is well', async () => {
    createDatabase(db(), { bytes: 50_000 })
    // Nothing is merged: files are counted.
    const running = await start({ settings: { compaction: { levels: [] } } })
    const event = await running.event('snapshot_completed')
    assert.equal(event.database, 'app')
    assert.equal(event.context?.txid, 1)
    app(insert)
    await running.flush()
    const status = await running.statusWhen(({ databases: [{ storages }] }) => storages[0].confirmed === 2)
    const [database] = status.databases
    const [storage] = database.storages
    assert.equal(database.state, 'live')
    assert.equal(storage.state, 'shipping')
    assert.equal(storage.unshippedSince, undefined)
    assert.equal(storage.waitingBytes, 0)
    assert.equal(storage.storedFiles, 2)
    assert.ok(database.commits >= 1 && database.databaseBytes > 50_000 && Number(storage.lag) >= 0)
    assert.ok(Number(storage.nextSnapshot) > Date.now() + 3_000_000)
    assert.equal(healthOfAll(status, Date.now()), 'healthy')
  })

  it('sync_failed when storage fails for long, recovered when it is back, unhealthy beyond maxLag', async () => {
    createDatabase(db())
    const running = await start({ settings: quick, maxLag: 300 })
    await running.event('snapshot_completed')
    await running.fault('transient')
    const before = Date.now()
    app(insert)
    const event = await running.event('sync_failed')
    assert.match(String(event.error), /transient/)
    assert.ok(Number(event.attempts) > 2)
    const status = await running.statusWhen((now) => healthOfAll(now, Date.now()) === 'unhealthy')
    const [storage] = status.databases[0].storages
    assert.ok(Number(storage.unshippedSince) >= before - 1000 && storage.waitingBytes > 0)
    assert.match(String(storage.error), /transient/)
    await running.fault('ok')
    await running.event('recovered')
    await running.flush()
    assert.equal(healthOfAll(await running.status(), Date.now()), 'healthy')
    assert.equal(running.events.filter((other) => other.event === 'sync_failed').length, 1)
  })

  it('circuit_breaker_open while storage goes on failing, circuit_breaker_closed when one request went through', async () => {
    createDatabase(db())
    const circuitBreaker = { threshold: 4, cooldown: 640 }
    const running = await start({ settings: { resilience: { ...quick.resilience, circuitBreaker } } })
    await running.event('snapshot_completed')
    await running.fault('transient')
    app(insert)
    const { error, context } = await running.event('circuit_breaker_open')
    assert.match(String(error), /transient/)
    assert.match(String(context?.storage), /backups/)
    await running.fault('ok')
    await running.event('circuit_breaker_closed')
    await running.event('recovered')
    await running.flush()
    assert.equal(running.events.filter(({ event }) => event === 'circuit_breaker_open').length, 1)
    await running.close()
    await restoreFrom(backups(), 'app', folder.file('back.db'), 2)
  })

  it('auth_failure when the credentials are refused, and the database is halted', async () => {
    createDatabase(db())
    const running = await start({ settings: quick })
    await running.event('snapshot_completed')
    await running.fault('auth')
    app(insert)
    await running.event('auth_failure')
    const status = await running.statusWhen(({ databases: [{ state }] }) => state === 'halted')
    assert.equal(healthOfAll(status, Date.now()), 'unhealthy')
    assert.equal(running.events.filter(({ event }) => event === 'sync_failed').length, 0)
  })

  it('auth_failure also before anything was shipped', async () => {
    createDatabase(db())
    engine = new EngineProcess({ databases: [{ name: 'app', path: db() }], storages: [backups()] })
    await engine.fault('auth')
    await engine.event('auth_failure')
  })

  it('writer_fenced when somebody else has written the next transaction', async () => {
    createDatabase(db())
    const running = await start({ settings: quick })
    await running.event('snapshot_completed')
    mkdirSync(`${backups()}/app/ltx/0`, { recursive: true })
    writeFileSync(`${backups()}/app/ltx/0/0000000000000002-0000000000000002.ltx`, 'somebody else')
    app(insert)
    const event = await running.event('writer_fenced')
    assert.equal(event.database, 'app')
  })

  /** Another machine, with what storage has of the database. */
  async function elsewhere(leaseTtl: number): Promise<EngineProcess> {
    mkdirSync(folder.file('two'))
    await restoreFrom(backups(), 'app', folder.file('two/app.db'))
    const database = { name: 'app', path: folder.file('two/app.db') }
    sql(database.path, 'PRAGMA journal_mode=WAL')
    return await EngineProcess.start({ databases: [database], storages: [backups()], leaseTtl })
  }

  it('writer_fenced from a start that is refused, because somebody else is alive; not from who was there', async () => {
    createDatabase(db())
    const running = await start({ settings: quick, leaseTtl: 8000 })
    await running.event('snapshot_completed')
    const second = await elsewhere(1000)
    try {
      const event = await second.event('writer_fenced')
      assert.equal(event.database, 'app')
      assert.match(event.error ?? '', new RegExp(`process ${running.child.pid}`))
      const status = await second.statusWhen(({ databases: [{ state }] }) => state === 'halted')
      assert.equal(healthOfAll(status, Date.now()), 'unhealthy')
      assert.deepEqual(second.events.map(({ event }) => event), ['writer_fenced']) // prettier-ignore
    } finally {
      await second.kill()
    }
    app(insert)
    await running.flush()
    assert.ok(!running.events.some(({ event }) => event === 'writer_fenced'), running.tail())
  })

  it('writer_fenced from a writer that was given up while it slept; not from who has taken over', async () => {
    createDatabase(db())
    const running = await start({ settings: quick, leaseTtl: 1500 })
    await running.event('snapshot_completed')
    running.child.kill('SIGSTOP')
    const second = await elsewhere(1500)
    try {
      await second.line('taking the database over: no sign of life')
      await second.flush()
      running.child.kill('SIGCONT')
      const event = await running.event('writer_fenced')
      assert.equal(event.database, 'app')
      assert.match(event.error ?? '', new RegExp(`process ${second.child.pid}`))
      await running.statusWhen(({ databases: [{ state }] }) => state === 'halted')
      assert.equal(running.events.filter(({ event }) => event === 'writer_fenced').length, 1)
      assert.ok(!second.events.some(({ event }) => event === 'writer_fenced'), second.tail())
    } finally {
      await second.kill()
    }
  })

  it('gap_healed, database_replaced and recovered when another file is put in its place', async () => {
    createDatabase(db(), { bytes: 20_000 })
    createDatabase(folder.file('other.db'), { bytes: 30_000 })
    const running = await start()
    await running.event('snapshot_completed')
    await new Promise((resolve) => setTimeout(resolve, 1500))
    renameSync(folder.file('other.db'), db())
    app(insert)
    await running.event('database_replaced')
    const { context } = await running.event('gap_healed')
    assert.ok(Number(context?.pages) > 0)
    await running.event('recovered')
  })

  it('database_unavailable when it cannot be read as a database any more', async () => {
    createDatabase(db(), { bytes: 20_000 })
    const running = await start()
    await running.event('snapshot_completed')
    for (const suffix of ['', '-wal', '-shm']) rmSync(db() + suffix, { force: true })
    app('db.exec("CREATE TABLE x(y)")')
    await running.event('database_unavailable')
    const status = await running.statusWhen(({ databases: [{ state }] }) => state === 'unavailable')
    assert.notEqual(status.databases[0].error, undefined)
    assert.equal(healthOfAll(status, Date.now()), 'degraded')
  })

  it('database_unavailable when it is deleted, once, and recovered when there is one again', async () => {
    createDatabase(db(), { bytes: 20_000 })
    const running = await start()
    await running.event('snapshot_completed')
    for (const suffix of ['', '-wal', '-shm']) rmSync(db() + suffix, { force: true })
    const { error } = await running.event('database_unavailable')
    assert.match(String(error), /app\.db was deleted/)
    createDatabase(db(), { bytes: 10_000 })
    await running.event('recovered')
    const names = running.events.map(({ event }) => event).filter((name) => name.startsWith('database_'))
    assert.deepEqual(names, ['database_unavailable'])
  })

  it('retention_failed when storage lets nothing be removed, and everything is still there', async () => {
    createDatabase(db(), { bytes: 20_000 })
    const running = await start({
      settings: {
        compaction: { afterSnapshot: true },
        retention: { hourly: 1, daily: 0, weekly: 0, monthly: 0 },
      },
    })
    await running.event('snapshot_completed')
    await running.fault('no-delete')
    for (let i = 0; i < 3; i++) {
      app(insert)
      await running.snapshot('app')
    }
    const { error, database } = await running.event('retention_failed')
    assert.match(String(error), /permanent/)
    assert.equal(database, 'app')
    app(insert)
    await running.flush()
    const status = await running.status()
    assert.equal(healthOfAll(status, Date.now()), 'healthy')
    await running.close()
    await restoreFrom(backups(), 'app', folder.file('restored.db'))
    await restoreFrom(backups(), 'app', folder.file('first.db'), 1)
  })

  it('checkpoint_detected when somebody else empties the WAL', async () => {
    createDatabase(db(), { bytes: 20_000 })
    const running = await start({ settings: { checkpoint: { interval: 3_600_000, minPages: 100_000 } } })
    await running.event('snapshot_completed')
    for (let i = 0; i < 20 && !running.events.some(({ event }) => event === 'checkpoint_detected'); i++) {
      app(`db.pragma('busy_timeout = 5000'); ${insert}; db.pragma('wal_checkpoint(TRUNCATE)')`)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    await running.event('checkpoint_detected')
  })

  it('nothing of the kind beside a busy writer alone', async () => {
    createDatabase(db(), { bytes: 20_000 })
    const running = await start({ settings: { checkpoint: { minPages: 20 } } })
    await running.event('snapshot_completed')
    await new HelperProcess('writer', { path: db(), rate: 300, seconds: 3 }).report()
    await running.flush()
    assert.deepEqual([...new Set(running.events.map(({ event }) => event))], ['snapshot_completed'])
  })

  it('disk_full when there is no room for the spool, and recovered when there is', async function () {
    const disk = SmallDisk.mount(folder.file('small'), 4)
    if (!disk) return this.skip()
    try {
      createDatabase(db(), { bytes: 20_000 })
      const running = await start({ settings: { spool: { dir: disk.path } } })
      await running.event('snapshot_completed')
      disk.fill()
      app(`db.exec("INSERT INTO rows(body) VALUES (randomblob(300000))")`)
      await running.event('disk_full')
      assert.equal(healthOfAll(await running.status(), Date.now()), 'degraded')
      disk.empty()
      await running.event('recovered')
      await running.flush()
      assert.equal(running.events.filter(({ event }) => event === 'disk_full').length, 1)
      await running.kill()
    } finally {
      disk.unmount()
    }
    return undefined
  })

  it('corruption_detected when a checkpoint has noted more than it did, and the backup is right', async () => {
    createDatabase(db(), { bytes: 50_000 })
    const running = await start()
    await running.event('snapshot_completed')
    // What the WAL-reset bug of SQLite leaves behind: the index says that frames are backfilled that never were.
    for (let i = 0; i < 20 && !running.events.some(({ event }) => event === 'corruption_detected'); i++) {
      app(
        `db.pragma('wal_autocheckpoint = 0'); db.exec("UPDATE rows SET body = randomblob(1000)");
         const shm = fs.openSync(path + '-shm', 'r+'), word = Buffer.alloc(4);
         fs.readSync(shm, word, 0, 4, 16); fs.writeSync(shm, word, 0, 4, 96); fs.fsyncSync(shm)`,
      )
      await new Promise((resolve) => setTimeout(resolve, 300))
    }
    const event = await running.event('corruption_detected')
    assert.ok(Number(event.context?.count) > 0)
    const status = await running.status()
    assert.ok(status.databases[0].damagedPages > 0)
    assert.equal(healthOfAll(status, Date.now()), 'unhealthy')
    await running.flush()
    await restoreFrom(backups(), 'app', folder.file('restored.db'))
  })

  it('spool_high when more gathers than may', async () => {
    createDatabase(db())
    const running = await start({
      settings: { ...quick, spool: { maxSize: 50_000 }, checkpoint: { truncateThreshold: 50, minPages: 20 } },
    })
    await running.event('snapshot_completed')
    await running.fault('transient')
    app(`const wait = () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
         for (let i = 0; i < 60; i++) { db.exec("INSERT INTO rows(body) VALUES (randomblob(20000))"); wait() }`)
    await running.event('spool_high')
    await running.fault('ok')
    await running.flush()
  })

  it('wal_size_exceeded when a reader keeps the WAL from being restarted', async () => {
    createDatabase(db())
    const running = await start({ settings: { checkpoint: { truncateThreshold: 50, minPages: 20 } } })
    await running.event('snapshot_completed')
    const reader = new Database(db())
    try {
      reader.exec('BEGIN; SELECT count(*) FROM rows')
      app('for (let i = 0; i < 100; i++) db.exec("INSERT INTO rows(body) VALUES (randomblob(8000))")')
      await running.event('wal_size_exceeded')
    } finally {
      reader.close()
    }
  })

  it('delivers events before it ends, signed, and beats only while every commit is durable in time', async () => {
    const receiver = await Receiver.listen()
    createDatabase(db())
    const running = await start({
      settings: quick,
      maxLag: 200,
      webhook: { url: `${receiver.origin}/hook`, secret: 'key', events: ['snapshot_completed', 'sync_failed'] },
      heartbeat: { url: `${receiver.origin}/beat`, interval: '50ms' },
    })
    const beats = () => receiver.received.filter(({ path }) => path === '/beat').length
    await running.event('snapshot_completed')
    while (beats() < 3) await receiver.requests(receiver.received.length + 1)
    await running.fault('transient')
    app(insert)
    await running.statusWhen((status) => healthOfAll(status, Date.now()) === 'unhealthy')
    // One may still be under way, of ten that would come now.
    const before = beats()
    await new Promise((resolve) => setTimeout(resolve, 500))
    const silent = beats()
    assert.ok(silent <= before + 1, `${silent - before} beats`)
    await running.fault('ok')
    await running.flush()
    while (beats() === silent) await receiver.requests(receiver.received.length + 1)
    await running.close()
    const posted = receiver.received.filter(({ path }) => path === '/hook')
    assert.deepEqual([...new Set(posted.map(({ event }) => event.event))].sort(), ['snapshot_completed', 'sync_failed'])
    assert.ok(posted.every((got) => isSigned(got, 'key')))
    await receiver.close()
  })
})
