import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { setTimeout as sleep } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { createWalrust, isError, type Walrust, type WalrustConfig, type WalrustError } from '../../core/index.js'
import { contents, createDatabase, sql, useFolder } from '../helpers/databases.js'
import { restoreFrom } from '../helpers/storage.js'

const INDEX = new URL('../../core/index.js', import.meta.url).href

describe('walrust inside a program', function () {
  this.timeout(90_000)
  let app: Database.Database | undefined
  let walrust: Walrust | undefined
  // Before the folder goes, which is why it stands first.
  afterEach(async () => {
    await walrust?.stop().catch(() => undefined)
    app?.close()
    walrust = undefined
  })

  const folder = useFolder()
  const db = () => folder.file('app.db')
  const backups = () => folder.file('backups')
  const config = (): WalrustConfig => ({
    databases: [db()],
    storage: `file://${backups()}`,
    sync: { interval: '1h' },
  })

  beforeEach(() => {
    createDatabase(db(), { bytes: 20_000 })
    app = new Database(db())
  })
  function commit(): void {
    app?.prepare('INSERT INTO rows(body) VALUES (randomblob(200))').run()
  }

  async function assertAllIsStored(): Promise<void> {
    await restoreFrom(backups(), 'app', folder.file('restored.db'))
    assert.deepEqual(
      contents(folder.file('restored.db')).rows,
      app?.prepare('SELECT * FROM rows ORDER BY 1').raw().all(),
    )
  }

  /** What another process gets that wants to write. */
  function otherWriter(): string {
    const code = `const D = require('better-sqlite3'); const db = new D(process.argv[1], { timeout: 0 })
      try { db.exec("INSERT INTO rows(body) VALUES ('other')"); console.log('wrote') } catch (e) { console.log(e.code) }`
    return spawnSync(process.execPath, ['-e', code, db()], { encoding: 'utf8' }).stdout.trim()
  }

  it('sync answers when every commit before the call is in storage; callers at once share a pass', async () => {
    walrust = createWalrust(config())
    await walrust.start()
    for (let round = 0; round < 3; round++) {
      commit()
      const running = walrust
      await Promise.all(Array.from({ length: 50 }, () => running.sync('app')))
      await assertAllIsStored()
    }
    const txid = await walrust.snapshot('app')
    // 150 calls in three rounds, and not a file for each.
    assert.ok(txid <= 10, String(txid))
    commit()
    await walrust.stop()
    await assertAllIsStored()
  })

  it('drops no lock of the application, where a second copy of SQLite in its process would', async () => {
    app?.exec("BEGIN IMMEDIATE; INSERT INTO rows(body) VALUES ('mine')")
    assert.equal(otherWriter(), 'SQLITE_BUSY')
    walrust = createWalrust(config())
    assert.equal(await walrust.ensureRestored(db()), 'present')
    await walrust.start()
    await walrust.sync('app')
    await walrust.stop()
    assert.equal(otherWriter(), 'SQLITE_BUSY')
    const native = createRequire(import.meta.url).resolve('better-sqlite3/build/Release/better_sqlite3.node')
    copyFileSync(native, folder.file('second-copy.node'))
    const second = new Database(db(), { nativeBinding: folder.file('second-copy.node') })
    second.prepare('SELECT count(*) FROM rows').get()
    second.close()
    assert.equal(otherWriter(), 'wrote')
    // What it has done to this connection is nothing to go on with.
    app?.close()
    app = undefined
  })

  it('an engine that is killed is started again, and told of; what was asked of it is answered by the next', async () => {
    const crashes: WalrustError[] = []
    walrust = createWalrust(config(), { onCrash: (error) => crashes.push(error) })
    await walrust.start()
    for (let round = 0; round < 2; round++) {
      const { enginePid } = walrust
      process.kill(enginePid ?? 0, 'SIGSTOP')
      commit()
      const durable = walrust.sync('app')
      process.kill(enginePid ?? 0, 'SIGKILL')
      await durable
      assert.notEqual(walrust.enginePid, enginePid)
      await assertAllIsStored()
    }
    assert.deepEqual(
      crashes.map(({ code }) => code),
      ['E_ABORTED', 'E_ABORTED'],
    )
  })

  it('the engine ends when the application is killed, after shipping its last commit; the next start waits for it', async () => {
    const code = `const { createWalrust } = await import(${JSON.stringify(INDEX)})
      const walrust = createWalrust(${JSON.stringify(config())})
      await walrust.start()
      console.log(walrust.enginePid)
      setInterval(() => undefined, 1000)`
    const program = spawn(process.execPath, ['--input-type=module', '-e', code], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [said] = (await once(program.stdout, 'data')) as [Buffer]
    const pid = Number(said.toString())
    commit()
    program.kill('SIGKILL')
    walrust = createWalrust(config())
    await walrust.start()
    while (isAlive(pid)) await sleep(50)
    await walrust.sync('app')
    await assertAllIsStored()
  })

  it('sync keeps to a timeout and to a signal, and goes on for others', async () => {
    walrust = createWalrust(config())
    await walrust.start()
    process.kill(walrust.enginePid ?? 0, 'SIGSTOP')
    commit()
    const others = walrust.sync('app')
    await assert.rejects(walrust.sync('app', { timeout: 50 }), (error) => isError(error, 'E_UNSHIPPED'))
    const reason = new Error('enough')
    const stop = new AbortController()
    const mine = walrust.sync('app', { signal: stop.signal })
    stop.abort(reason)
    await assert.rejects(mine, (error) => isError(error, 'E_ABORTED') && error.cause === reason)
    process.kill(walrust.enginePid ?? 0, 'SIGCONT')
    await others
    await assertAllIsStored()
  })

  it('errors are those of walrust, with all they say', async () => {
    const never = createWalrust({ ...config(), databases: [folder.file('none.db')] })
    await assert.rejects(never.start(), (error) => isError(error, 'E_DATABASE_MISSING') && error.exitCode === 3)
    const wrong = createWalrust({ ...config(), sync: { intervall: '1s' } } as object)
    await assert.rejects(wrong.start(), (error) => isError(error, 'E_CONFIG') && /intervall/.test(error.message))
    assert.throws(
      () => createWalrust({ ...config(), plugins: [{ name: 'mine', apply: () => undefined }] }),
      (error) => isError(error, 'E_CONFIG') && /another process/.test(error.message),
    )
    walrust = createWalrust(config())
    await assert.rejects(walrust.sync('app'), (error) => isError(error, 'E_NOT_WATCHED'))
    await walrust.start()
    await assert.rejects(
      walrust.sync('other'),
      (error) => isError(error, 'E_NOT_WATCHED') && error.database === 'other',
    )
  })

  it('ensureRestored brings back what an empty disk lacks, and does nothing otherwise', async () => {
    const mine = createWalrust(config())
    await mine.start()
    commit()
    await mine.stop()
    const rows = app?.prepare('SELECT * FROM rows ORDER BY 1').raw().all()
    app?.close()
    const elsewhere = { ...config(), databases: [{ path: folder.file('new/app.db') }] }
    walrust = createWalrust(elsewhere)
    assert.equal(await walrust.ensureRestored(folder.file('new/app.db')), 'restored')
    assert.deepEqual(contents(folder.file('new/app.db')).rows, rows)
    // A migration, before anything is followed: it goes on from what was restored.
    sql(folder.file('new/app.db'), "CREATE TABLE more(x); INSERT INTO rows(body) VALUES ('first')")
    await walrust.start()
    await walrust.sync('app')
    await restoreFrom(backups(), 'app', folder.file('restored.db'))
    assert.deepEqual(contents(folder.file('restored.db')), contents(folder.file('new/app.db')))
    await walrust.stop()
    const nothing = { ...elsewhere, storage: `file://${folder.file('empty')}`, databases: [folder.file('x/app.db')] }
    assert.equal(await createWalrust(nothing).ensureRestored(folder.file('x/app.db')), 'no-backup')
    assert.ok(!existsSync(folder.file('x/app.db')))
    app = undefined
  })
})

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
