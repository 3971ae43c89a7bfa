import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { copyFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { checksum, contents, createDatabase, integrity, sql, useFolder } from '../helpers/databases.js'
import { WalrustProcess } from '../helpers/processes.js'
import { restoreFrom, verifyFolder } from '../helpers/storage.js'

/** A line that says that what cannot be followed was found by comparing. */
const HEALED = 'commits that could not be followed were found by comparing'

describe('a database that is replaced while it is watched', function () {
  this.timeout(60_000)
  const folder = useFolder()
  const db = () => folder.file('app.db')
  const backups = () => folder.file('backups')
  let shipper: WalrustProcess

  async function watch(...args: string[]): Promise<void> {
    shipper = new WalrustProcess(['watch', db(), '-b', `file://${backups()}`, '--log-level', 'debug', ...args])
    await shipper.line('shipped')
  }
  afterEach(async () => {
    await shipper.kill('SIGKILL')
  })

  /** Runs SQL as another process does. */
  function app(text: string): void {
    const code = `const D = require('better-sqlite3'); const db = new D(process.argv[1]); db.exec(process.argv[2]); db.close()`
    const { status, stderr } = spawnSync(process.execPath, ['-e', code, db(), text], { encoding: 'utf8' })
    assert.equal(status, 0, stderr)
  }

  async function assertShippedWhatIsThere(): Promise<void> {
    assert.equal(await shipper.kill('SIGTERM'), 0, shipper.tail())
    assert.equal(integrity(db()), 'ok')
    await restoreFrom(backups(), 'app', folder.file('restored.db'))
    assert.deepEqual(contents(folder.file('restored.db')), contents(db()))
    assert.equal(checksum(folder.file('restored.db')), checksum(db()))
    assert.deepEqual((await verifyFolder(backups(), 'app')).findings, [])
  }

  for (const how of ['cp', 'mv'] as const) {
    for (const first of ['written', 'only read'] as const) {
      it(`by an older backup with ${how}, application stopped and started, and then ${first}`, async () => {
        createDatabase(db(), { bytes: 100_000 })
        sql(db(), `VACUUM INTO '${folder.file('older.db')}'`)
        sql(folder.file('older.db'), 'PRAGMA journal_mode = WAL')
        await watch()
        app("INSERT INTO rows(body) SELECT randomblob(500) FROM rows; UPDATE rows SET body = 'newer' WHERE id % 4 = 0")
        await shipper.line(({ message, txid }) => message === 'shipped' && Number(txid) >= 2)
        const newer = contents(db())
        // A user needs longer than this to stop an application and find a backup.
        await sleep(2500)
        const last = shipper.shipped.at(-1)?.txid
        if (how === 'cp') copyFileSync(folder.file('older.db'), db())
        else {
          copyFileSync(folder.file('older.db'), folder.file('next.db'))
          renameSync(folder.file('next.db'), db())
        }
        if (first === 'written') app("INSERT INTO rows(body) VALUES ('after the restore')")
        else app('SELECT count(*) FROM rows')
        await shipper.line(HEALED)
        app("INSERT INTO rows(body) VALUES ('and after that')")
        await assertShippedWhatIsThere()
        await restoreFrom(backups(), 'app', folder.file('earlier.db'), last)
        assert.deepEqual(contents(folder.file('earlier.db')), newer)
      })
    }
  }

  for (const size of ['larger', 'smaller'] as const) {
    it(`by an older backup that is ${size}, with cp: the application finds a sound database a moment later`, async () => {
      createDatabase(db(), { bytes: size === 'larger' ? 300_000 : 20_000 })
      copyFileSync(db(), folder.file('older.db'))
      await watch()
      if (size === 'larger') app('DELETE FROM rows WHERE id > 5; VACUUM')
      else app('INSERT INTO rows(body) SELECT randomblob(3000) FROM rows, (SELECT 1 UNION SELECT 2)')
      await shipper.line(({ message, txid }) => message === 'shipped' && Number(txid) >= 2)
      await sleep(3000)
      copyFileSync(folder.file('older.db'), db())
      await sleep(1000)
      app('DELETE FROM rows WHERE id % 3 = 0')
      app("INSERT INTO rows(body) VALUES ('after the restore')")
      await shipper.line(HEALED)
      await assertShippedWhatIsThere()
    })
  }

  it('by another database with another page size', async () => {
    createDatabase(db(), { bytes: 100_000, pageSize: 4096 })
    await watch()
    createDatabase(folder.file('other.db'), { bytes: 50_000, pageSize: 512 })
    renameSync(folder.file('other.db'), db())
    app("INSERT INTO rows(body) VALUES ('x')")
    await shipper.line(HEALED)
    await assertShippedWhatIsThere()
  })

  it('by a file that is no database, and back', async () => {
    createDatabase(db(), { bytes: 20_000 })
    await watch()
    await sleep(1200)
    renameSync(db(), folder.file('away.db'))
    writeFileSync(db(), 'this is not a database')
    await shipper.line('the database was replaced')
    await sleep(300)
    rmSync(db())
    renameSync(folder.file('away.db'), db())
    app("INSERT INTO rows(body) VALUES ('back again')")
    // The difference, or what was committed once there was none.
    await shipper.line(({ message, txid }) => message === 'shipped' && Number(txid) >= 2)
    await assertShippedWhatIsThere()
  })

  it('keeps the backup of a database that is deleted, and follows a new one of that name', async () => {
    createDatabase(db(), { bytes: 20_000 })
    await watch()
    app("INSERT INTO rows(body) VALUES ('the last')")
    await shipper.line(({ message, txid }) => message === 'shipped' && txid === 2)
    const last = contents(db())
    for (const suffix of ['', '-wal', '-shm']) rmSync(db() + suffix, { force: true })
    await shipper.line('the database was replaced')
    createDatabase(db(), { bytes: 3000 })
    app("INSERT INTO rows(body) VALUES ('new')")
    await shipper.line(HEALED)
    await assertShippedWhatIsThere()
    await restoreFrom(backups(), 'app', folder.file('earlier.db'), 2)
    assert.deepEqual(contents(folder.file('earlier.db')), last)
  })

  it('ships what was committed right before the file was deleted', async () => {
    createDatabase(db(), { bytes: 20_000 })
    // After the first file nothing would be shipped by itself while the test runs.
    await watch('--sync-interval', '1h')
    app("INSERT INTO rows(body) VALUES ('the first')")
    await shipper.line(({ message, txid }) => message === 'shipped' && txid === 2)
    app("INSERT INTO rows(body) VALUES ('the last')")
    const last = contents(db())
    for (const suffix of ['', '-wal', '-shm']) rmSync(db() + suffix, { force: true })
    await shipper.line(({ message, txid }) => message === 'shipped' && txid === 3)
    await shipper.line('the database was replaced')
    await shipper.kill('SIGKILL')
    await restoreFrom(backups(), 'app', folder.file('restored.db'))
    assert.deepEqual(contents(folder.file('restored.db')), last)
  })

  it('survives that its -wal file is deleted under it', async () => {
    createDatabase(db(), { bytes: 20_000 })
    await watch()
    app("INSERT INTO rows(body) VALUES ('x')")
    await shipper.line(({ message, txid }) => message === 'shipped' && txid === 2)
    await sleep(1500)
    rmSync(`${db()}-wal`)
    await shipper.line('the database has to be opened anew')
    app("INSERT INTO rows(body) VALUES ('y')")
    await sleep(1500)
    await assertShippedWhatIsThere()
  })

  it('refuses to leave WAL mode while it is watched, and is shipped on', async () => {
    createDatabase(db(), { bytes: 20_000 })
    await watch()
    const code = `const D = require('better-sqlite3'); const db = new D(process.argv[1], { timeout: 0 }); db.pragma('journal_mode = DELETE')`
    const { status, stderr } = spawnSync(process.execPath, ['-e', code, db()], { encoding: 'utf8' })
    assert.notEqual(status, 0)
    assert.match(stderr, /SQLITE_BUSY/)
    app("INSERT INTO rows(body) VALUES ('x')")
    await assertShippedWhatIsThere()
  })
})
