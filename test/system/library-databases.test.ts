import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  createWalrust,
  isError,
  type Walrust,
  type WalrustConfig,
  type WalrustError,
  type WalrustEvent,
} from '../../core/index.js'
import { contents, createDatabase, sql, useFolder } from '../helpers/databases.js'
import { S3Server } from '../helpers/s3-server/index.js'
import { restoreFrom } from '../helpers/storage.js'

describe('databases of a program that come and go, and backups that it reads', function () {
  this.timeout(90_000)
  let walrust: Walrust | undefined
  let server: Server | undefined
  let s3: S3Server | undefined
  afterEach(async () => {
    await walrust?.stop().catch(() => undefined)
    server?.closeAllConnections()
    server?.close()
    await s3?.stop()
    s3 = undefined
    walrust = undefined
    server = undefined
  })
  const folder = useFolder()
  const backups = () => folder.file('backups')
  const config = (...databases: string[]): WalrustConfig => ({
    databases: databases.map((name) => folder.file(`${name}.db`)),
    storage: `file://${backups()}`,
    sync: { interval: '1h' },
  })
  const make = (...names: string[]) =>
    names.forEach((name) => createDatabase(folder.file(`${name}.db`), { bytes: 9000 }))
  // The engine is in another process: here the file may be opened and closed.
  const commit = (name: string, text = 'x') =>
    sql(folder.file(`${name}.db`), `INSERT INTO rows(body) VALUES ('${text}')`)
  const rows = (file: string) => contents(folder.file(file)).rows

  async function assertStored(name: string): Promise<void> {
    await restoreFrom(backups(), name, folder.file('check.db'))
    assert.deepEqual(rows('check.db'), rows(`${name}.db`))
  }

  it('starts with none, follows what is added, lets go what is removed, and does so again after a crash', async () => {
    make('one', 'two')
    walrust = createWalrust({ storage: `file://${backups()}`, sync: { interval: '1h' } })
    await walrust.start()
    assert.deepEqual(await walrust.add(folder.file('one.db')), ['one'])
    assert.deepEqual(await walrust.add({ path: folder.file('two.db'), name: 'second' }), ['second'])
    await walrust.sync('second')
    commit('one')
    // What is pending is shipped before it is let go.
    await walrust.remove('one')
    await assertStored('one')
    await assert.rejects(walrust.sync('one'), (error) => isError(error, 'E_NOT_WATCHED') && error.database === 'one')
    process.kill(walrust.enginePid ?? 0, 'SIGKILL')
    await walrust.sync('second')
    await assert.rejects(walrust.sync('one'), (error) => isError(error, 'E_NOT_WATCHED'))
    const status = await walrust.status()
    assert.deepEqual(
      status.databases.map(({ name }) => name),
      ['second'],
    )
    commit('one', 'while nobody looked')
    assert.deepEqual(await walrust.add(folder.file('one.db')), ['one'])
    await walrust.sync('one')
    await assertStored('one')
  })

  it('remove holds for a database that a pattern finds', async () => {
    make('one', 'two')
    walrust = createWalrust({ ...config(), databases: [folder.file('*.db')] })
    await walrust.start()
    await walrust.remove('two')
    process.kill(walrust.enginePid ?? 0, 'SIGKILL')
    await walrust.sync('one')
    await assert.rejects(walrust.sync('two'), (error) => isError(error, 'E_NOT_WATCHED'))
    assert.deepEqual(await walrust.add(folder.file('two.db')), ['two'])
    await walrust.sync('two')
  })

  it('add refuses what cannot be followed, and nothing has changed then', async () => {
    make('one')
    walrust = createWalrust(config('one'))
    await assert.rejects(walrust.add(folder.file('x.db')), (error) => isError(error, 'E_NOT_WATCHED'))
    await walrust.start()
    const refused = (code: string) => (error: unknown) => (error as WalrustError).code === code
    await assert.rejects(walrust.add(folder.file('none.db')), refused('E_DATABASE_MISSING'))
    await assert.rejects(walrust.add(folder.file('one.db')), refused('E_DUPLICATE_NAME'))
    await assert.rejects(walrust.add({ path: folder.file('one.db'), name: 'other' }), refused('E_DUPLICATE_NAME'))
    await assert.rejects(walrust.add(folder.file('nothing/*.db')), refused('E_NO_DATABASES'))
    const wrong = { path: folder.file('one.db'), intervall: 1 }
    await assert.rejects(walrust.add(wrong), (error) => isError(error, 'E_CONFIG') && /intervall/.test(error.message))
    assert.deepEqual(
      (await walrust.status()).databases.map(({ name }) => name),
      ['one'],
    )
    await walrust.sync('one')
  })

  it('relative paths start from the folder that is given, and several may start it at once', async () => {
    make('one')
    walrust = createWalrust({ databases: ['one.db'], storage: 'file:backups' }, { folder: folder.path })
    const impatient = new AbortController()
    const starting = [walrust.start(), walrust.start({ signal: impatient.signal }), walrust.start()]
    impatient.abort()
    await assert.rejects(starting[1], (error) => isError(error, 'E_ABORTED'))
    await starting[0]
    await starting[2]
    await walrust.sync('one')
    await assertStored('one')
    await walrust.restore('one', { output: 'back.db' })
    assert.deepEqual(rows('back.db'), rows('one.db'))
    const nowhere = createWalrust({ databases: ['one.db'] }, { folder: folder.file('missing') })
    await assert.rejects(nowhere.start(), (error) => isError(error, 'E_CONFIG') && error.exitCode === 2)
  })

  it('restores, verifies and lists, with nothing started and while it ships', async () => {
    make('one')
    const mine = (walrust = createWalrust(config('one')))
    const target = folder.file('new/restored.db')
    await assert.rejects(mine.restore('one', { output: target }), (error) => isError(error, 'E_NO_BACKUP'))
    await assert.rejects(mine.list('one'), (error) => isError(error, 'E_NO_BACKUP') && error.exitCode === 6)
    assert.deepEqual(
      (await mine.verify('one')).findings.map(({ code }) => code),
      ['nothing-found'],
    )
    await mine.start()
    await mine.sync('one')
    const first = rows('one.db')
    const [{ txid: then }] = await mine.list()
    commit('one')
    await mine.sync('one')
    const progress: number[] = []
    const result = await mine.restore('one', { output: target, onProgress: ({ done }) => progress.push(done) })
    assert.equal(result.checksumCompared, true)
    assert.equal(result.txid, then + 1)
    assert.ok(result.timestamp instanceof Date)
    assert.deepEqual(rows('new/restored.db'), rows('one.db'))
    assert.equal(progress.at(-1), result.files)
    await assert.rejects(mine.restore('one', { output: target }), (error) => isError(error, 'E_TARGET_EXISTS'))
    // By a URL, and by a moment.
    await mine.stop()
    const url = `file://${backups()}/one`
    const moment = new Date((await mine.list('one')).history.find(({ maxTxid }) => maxTxid === then)?.timestamp ?? '')
    const earlier = await mine.restore(url, { output: target, timestamp: moment, force: true })
    assert.equal(earlier.txid, then)
    assert.deepEqual(rows('new/restored.db'), first)
    await assert.rejects(mine.restore('one', { output: target, force: true, txid: 99 }), (error) =>
      isError(error, 'E_POINT_UNAVAILABLE'),
    )
    await assert.rejects(mine.restore('one', { txid: 1, timestamp: moment }), (error) => isError(error, 'E_USAGE'))
    assert.deepEqual((await mine.verify('one')).findings, [])
    assert.deepEqual(
      (await mine.list()).map(({ name }) => name),
      ['one'],
    )
  })

  it('a restore that is given up leaves nothing behind', async () => {
    // A storage that does not answer.
    let asked: () => void = () => undefined
    const request = new Promise<void>((resolve) => (asked = resolve))
    server = createServer(() => asked())
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const storage = { url: 's3://bucket/prefix', endpoint: `http://127.0.0.1:${port}`, region: 'x', ...KEYS }
    walrust = createWalrust({ databases: [], storage })
    const stop = new AbortController()
    const reason = new Error('enough')
    const restoring = walrust.restore('one', { output: folder.file('one.db'), signal: stop.signal })
    await request
    stop.abort(reason)
    await assert.rejects(restoring, (error) => isError(error, 'E_ABORTED') && error.cause === reason)
    assert.deepEqual(readdirSync(folder.path), [])
    const given = AbortSignal.abort(reason)
    for (const call of [
      walrust.start({ signal: given }),
      walrust.verify('one', { signal: given }),
      walrust.list(undefined, { signal: given }),
      walrust.ensureRestored('x', { signal: given }),
      walrust.replicate('one', { local: folder.file('copy.db'), signal: given }),
    ])
      await assert.rejects(call, (error) => isError(error, 'E_ABORTED') && error.cause === reason)
  })

  it('start and stop end at a signal; what was not shipped is there at the next start', async () => {
    make('one')
    walrust = createWalrust(config('one'))
    const stop = new AbortController()
    const starting = walrust.start({ signal: stop.signal })
    stop.abort()
    await assert.rejects(starting, (error) => isError(error, 'E_ABORTED'))
    await walrust.start()
    const { enginePid: pid = 0 } = walrust
    process.kill(pid, 'SIGSTOP')
    commit('one')
    await assert.rejects(walrust.stop({ signal: AbortSignal.timeout(50) }), (error) => isError(error, 'E_ABORTED'))
    assert.throws(() => process.kill(pid, 0))
    await walrust.start()
    await walrust.sync('one')
    await assertStored('one')
  })

  it('keeps a replica in a process of its own, which is started again when it crashes', async () => {
    make('one', 'two')
    walrust = createWalrust(config('one'))
    await walrust.start()
    await walrust.sync('one')
    const copy = folder.file('copy.db')
    const replica = await walrust.replicate('one', { local: copy, interval: 3_600_000 })
    try {
      assert.deepEqual(rows('copy.db'), rows('one.db'))
      commit('one')
      await walrust.sync('one')
      const { txid } = await replica.catchUp()
      assert.deepEqual(rows('copy.db'), rows('one.db'))
      process.kill(replica.pid ?? 0, 'SIGKILL')
      commit('one')
      await walrust.sync('one')
      assert.equal((await replica.catchUp()).txid, txid + 1)
      assert.deepEqual(rows('copy.db'), rows('one.db'))
    } finally {
      await replica.stop()
    }
    await assert.rejects(replica.status(), (error) => isError(error, 'E_ABORTED'))
    await assert.rejects(walrust.replicate('one', { local: folder.file('two.db') }), (error) =>
      isError(error, 'E_NOT_REPLICA'),
    )
    assert.ok(existsSync(copy))
  })

  it('sync with force asks a storage that is left alone', async () => {
    make('one')
    s3 = await new S3Server().start()
    const storage = { url: 's3://bucket/prefix', endpoint: s3.endpoint, region: s3.region, ...s3.credentials }
    const resilience = { baseDelay: '1h', maxDelay: '1h', circuitBreaker: { threshold: 1, cooldown: '32h' } } as const
    const events: string[] = []
    let left: () => void = () => undefined
    const alone = new Promise<void>((resolve) => (left = resolve))
    const onEvent = ({ event }: WalrustEvent) => {
      events.push(event)
      if (event === 'circuit_breaker_open') left()
    }
    walrust = createWalrust({ ...config('one'), storage, resilience }, { onEvent })
    await walrust.start()
    await walrust.sync('one')
    s3.faults.next('error', /^PUT/, 1)
    commit('one')
    const waiting = walrust.sync('one')
    await alone
    await assert.rejects(walrust.sync('one', { timeout: 300 }), (error) => isError(error, 'E_UNSHIPPED'))
    await walrust.sync('one', { force: true })
    await waiting
  })
})

const KEYS = { accessKeyId: 'id', secretAccessKey: 'secret' }
