import Database from 'better-sqlite3'
import assert from 'node:assert/strict'
import { readdirSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { createDatabase, useFolder } from '../helpers/databases.js'
import { walrust, WalrustProcess } from '../helpers/processes.js'
import { restoreFrom } from '../helpers/storage.js'

describe('what takes a snapshot', function () {
  this.timeout(60_000)
  const folder = useFolder()
  const db = () => folder.file('app.db')
  const backups = () => folder.file('backups')
  let watch: WalrustProcess | undefined
  let app: Database.Database | undefined

  afterEach(async () => {
    await watch?.kill('SIGKILL')
    app?.close()
    app = undefined
  })

  /** A watch that takes snapshots for no reason but the one that is given, and an application beside it. */
  async function start(...args: string[]): Promise<WalrustProcess> {
    const quiet = ['--snapshot-interval', 'off', '--sync-interval', '20ms']
    const started = new WalrustProcess(['watch', db(), '-b', `file://${backups()}`, ...quiet, ...args])
    watch = started
    await started.line('watching')
    app ??= new Database(db())
    return started
  }

  const commit = () => app?.prepare('INSERT INTO rows(body) VALUES (randomblob(50))').run()
  const snapshots = () => readdirSync(`${backups()}/app/ltx/9`).filter((name) => name.endsWith('.ltx'))
  const taken = (from: WalrustProcess) => from.line(({ message, txid }) => message === 'snapshot' && Number(txid) > 1)

  /** An earlier run has stored everything, as transaction 1. */
  async function stored(): Promise<void> {
    createDatabase(db())
    const run = await walrust(['watch', db(), '-b', `file://${backups()}`, '--once'])
    assert.equal(run.code, 0, run.text)
  }

  it('a start with --on-startup, if something was committed meanwhile; not one on an unchanged database', async () => {
    await stored()
    const unchanged = await start('--on-startup')
    await sleep(300)
    assert.equal(await unchanged.kill('SIGTERM'), 0)
    assert.equal(snapshots().length, 1)
    app?.close()
    app = new Database(db())
    commit()
    await taken(await start('--on-startup'))
    assert.equal(snapshots().length, 2)
  })

  it('a start without it takes none', async () => {
    await stored()
    app = new Database(db())
    commit()
    const started = await start()
    await started.line('shipped')
    await sleep(300)
    assert.equal(await started.kill('SIGTERM'), 0)
    assert.equal(snapshots().length, 1)
  })

  it('the interval, only if something was committed', async () => {
    await stored()
    const started = await start('--snapshot-interval', '300ms')
    await sleep(1000)
    assert.equal(snapshots().length, 1)
    commit()
    await taken(started)
  })

  it('so many transactions', async () => {
    await stored()
    const started = await start('--max-changes', '3')
    for (let txid = 2; txid <= 4; txid++) {
      assert.equal(snapshots().length, 1)
      commit()
      await started.line((line) => line.message === 'shipped' && line.txid === txid)
    }
    assert.equal((await taken(started)).txid, 4)
    await restoreFrom(backups(), 'app', folder.file('restored.db'), 4)
  })

  it('the longest time after a change, however busy it is', async () => {
    await stored()
    const started = await start('--max-interval', '500ms', '--on-idle', '1h')
    const busy = setInterval(commit, 20)
    try {
      await taken(started)
    } finally {
      clearInterval(busy)
    }
  })

  it('a time without a commit', async () => {
    await stored()
    const started = await start('--on-idle', '400ms')
    commit()
    await taken(started)
    assert.equal(snapshots().length, 2)
    await sleep(1000)
    assert.equal(snapshots().length, 2)
  })

  it('each database has its own', async () => {
    createDatabase(db())
    createDatabase(folder.file('other.db'))
    const config = {
      databases: [{ path: 'app.db', snapshot: { onIdle: '200ms' } }, 'other.db'],
      storage: `file://${backups()}`,
      snapshot: { interval: 'off' },
      sync: { interval: '20ms' },
      metrics: false,
    }
    writeFileSync(folder.file('walrust.config.json'), JSON.stringify(config))
    const started = new WalrustProcess(['watch'], { cwd: folder.path })
    watch = started
    for (const name of ['app', 'other']) {
      await started.line(({ message, database }) => message === 'shipped' && database === name)
    }
    app = new Database(db())
    const other = new Database(folder.file('other.db'))
    other.exec('INSERT INTO rows(body) VALUES (1)')
    commit()
    assert.equal((await taken(started)).database, 'app')
    await started.line(({ message, database, txid }) => message === 'shipped' && database === 'other' && txid === 2)
    other.close()
    assert.equal(await started.kill('SIGTERM'), 0)
    assert.equal(readdirSync(`${backups()}/other/ltx/9`).filter((name) => name.endsWith('.ltx')).length, 1)
  })
})
