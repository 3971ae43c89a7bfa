import assert from 'node:assert/strict'
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, truncateSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { checksum, contents, createDatabase, sql, useFolder } from '../helpers/databases.js'
import { walrust, WalrustProcess } from '../helpers/processes.js'
import { restoreFrom, stored, verifyFolder } from '../helpers/storage.js'

describe('what happens while nobody watches', function () {
  this.timeout(60_000)
  const folder = useFolder()
  const db = () => folder.file('app.db')
  const backups = () => folder.file('backups')
  const once = (...args: string[]) => walrust(['watch', db(), '-b', `file://${backups()}`, '--once', ...args])

  async function assertBackupIs(path: string): Promise<void> {
    await restoreFrom(backups(), 'app', folder.file('restored.db'))
    assert.deepEqual(contents(folder.file('restored.db')), contents(path))
    assert.equal(checksum(folder.file('restored.db')), checksum(path))
    const { findings } = await verifyFolder(backups(), 'app')
    assert.deepEqual(findings, [])
  }

  it('ships about the changed pages after commits and a TRUNCATE checkpoint', async () => {
    createDatabase(db(), { bytes: 20_000_000 })
    assert.equal((await once()).code, 0)
    const before = stored(backups())
    const app = new Database(db())
    for (let i = 0; i < 1000; i++) app.prepare('UPDATE rows SET body = randomblob(1000) WHERE id = ?').run(1 + (i % 40))
    app.pragma('wal_checkpoint(TRUNCATE)')
    app.close()
    const run = await once()
    assert.equal(run.code, 0, run.text)
    const after = stored(backups())
    assert.equal(after.files, before.files + 1)
    assert.equal(after.snapshots, 1)
    // 40 rows of 1000 bytes lie in about 14 pages.
    assert.ok(after.bytes - before.bytes < 30 * 4096, `${after.bytes - before.bytes} bytes`)
    await assertBackupIs(db())
  })

  it('ships the difference after a VACUUM, and after commits without any checkpoint', async () => {
    createDatabase(db(), { bytes: 2_000_000 })
    assert.equal((await once()).code, 0)
    sql(db(), 'DELETE FROM rows WHERE id % 3 = 0; VACUUM;')
    assert.equal((await once()).code, 0)
    await assertBackupIs(db())
    // A connection stays open, so that the WAL is still there and its frames not in the database.
    const app = new Database(db())
    app.pragma('wal_autocheckpoint = 0')
    app.exec("INSERT INTO rows(body) VALUES ('one'), ('two')")
    const run = await once()
    app.close()
    assert.equal(run.code, 0)
    await assertBackupIs(db())
  })

  it('ships nothing when nothing has happened', async () => {
    createDatabase(db(), { bytes: 100_000 })
    await once()
    const before = stored(backups())
    const run = await once()
    assert.equal(run.code, 0)
    assert.deepEqual(stored(backups()), before)
    assert.ok(!run.lines.some(({ level }) => level === 'warn'), run.text)
  })

  it('goes on where it was, without comparing, if the WAL proves it', async () => {
    createDatabase(db(), { bytes: 100_000 })
    const app = new Database(db())
    app.pragma('wal_autocheckpoint = 0')
    const insert = app.prepare("INSERT INTO rows(body) VALUES ('x')")
    insert.run()
    const first = new WalrustProcess(['watch', db(), '-b', `file://${backups()}`, '--checkpoint-interval', '1h'])
    await first.line('shipped')
    insert.run()
    await first.line(({ message, txid }) => message === 'shipped' && txid === 2)
    await first.kill('SIGKILL')
    insert.run()
    const run = await once()
    app.close()
    assert.ok(!run.lines.some(({ message }) => message.startsWith('commits that could not be followed')), run.text)
    assert.ok(
      run.lines.some(({ message, txid }) => message === 'shipped' && txid === 3),
      run.text,
    )
    await assertBackupIs(db())
  })

  it('heals forward when an older copy was put in place: earlier points stay', async () => {
    createDatabase(db(), { bytes: 50_000 })
    copyFileSync(db(), folder.file('older.db'))
    await once()
    sql(db(), "INSERT INTO rows(body) VALUES ('newer')")
    await once()
    const newer = contents(db())
    copyFileSync(folder.file('older.db'), db())
    assert.ok(!existsSync(`${db()}-wal`))
    const run = await once()
    assert.equal(run.code, 0, run.text)
    assert.ok(
      run.lines.some(({ message }) => message.startsWith('commits that could not be followed')),
      run.text,
    )
    await assertBackupIs(db())
    await restoreFrom(backups(), 'app', folder.file('earlier.db'), 2)
    assert.deepEqual(contents(folder.file('earlier.db')), newer)
    const result = await restoreFrom(backups(), 'app', folder.file('last.db'))
    assert.equal(result.txid, 3)
  })

  it('heals forward when a power failure took commits that were shipped', async () => {
    createDatabase(db())
    const app = new Database(db())
    app.pragma('wal_autocheckpoint = 0')
    const insert = app.prepare('INSERT INTO rows(body) VALUES (?)')
    for (let i = 0; i < 300; i++) insert.run(`before ${i}`)
    const watch = new WalrustProcess([
      'watch',
      db(),
      '-b',
      `file://${backups()}`,
      '--min-checkpoint-pages',
      '100000',
      '--checkpoint-interval',
      '1h',
    ])
    await watch.line('shipped')
    // A reader that stays keeps these commits out of the database file, however long shipping them takes.
    const reader = new Database(db())
    reader.exec('BEGIN')
    reader.prepare('SELECT count(*) FROM rows').get()
    for (let i = 0; i < 200; i++) insert.run(`lost ${i}`)
    const shipped = contents(db())
    // How many files they become is a matter of timing; the last one holds them all.
    let newest = await restoreFrom(backups(), 'app', folder.file('newest.db'))
    while (contents(folder.file('newest.db')).rows.length < shipped.rows.length) {
      await sleep(50)
      newest = await restoreFrom(backups(), 'app', folder.file('newest.db'))
    }
    await watch.kill('SIGKILL')
    reader.close()
    // What the disk had when the power went: the database as it is, and the WAL without its last pages.
    const files = [db(), `${db()}-wal`].map((path) => readFileSync(path))
    // Behind the last frame there may be older ones, if the WAL was restarted on the way.
    const [{ log }] = app.pragma('wal_checkpoint(NOOP)') as Array<{ log: number }>
    app.close()
    writeFileSync(db(), files[0])
    writeFileSync(`${db()}-wal`, files[1])
    truncateSync(`${db()}-wal`, 32 + (log - 100) * 4120 - 1000)
    const again = new Database(db())
    again.pragma('wal_autocheckpoint = 0')
    assert.ok(contents(db()).rows.length < shipped.rows.length)
    const more = again.prepare('INSERT INTO rows(body) VALUES (?)')
    for (let i = 0; i < 150; i++) more.run(`after ${i}`)
    const run = await once()
    assert.equal(run.code, 0, run.text)
    assert.ok(
      run.lines.some(({ message }) => message.startsWith('commits that could not be followed')),
      run.text,
    )
    again.close()
    await assertBackupIs(db())
    await restoreFrom(backups(), 'app', folder.file('earlier.db'), newest.txid)
    assert.deepEqual(contents(folder.file('earlier.db')), shipped)
  })

  it('says aloud that a storage is empty where it had shipped to, and begins a new backup there', async () => {
    const run = () => once()
    createDatabase(db(), { bytes: 20_000 })
    assert.equal((await run()).code, 0)
    renameSync(backups(), folder.file('unmounted'))
    const after = await run()
    assert.equal(after.code, 0, after.text)
    const told = after.lines.find(({ message }) => message === 'the backup is gone')
    assert.deepEqual([told?.level, /up to 1 were shipped/.test(String(told?.error))], ['error', true])
    await restoreFrom(backups(), 'app', folder.file('restored.db'))
    const again = await run()
    assert.ok(!again.lines.some(({ message }) => message === 'the backup is gone'), again.text)
  })

  it('goes on without an upload when the state of the machine is gone and storage has it all', async () => {
    createDatabase(db(), { bytes: 100_000 })
    const state = folder.file('state')
    await once('--state-dir', state)
    sql(db(), "INSERT INTO rows(body) VALUES ('x')")
    await once('--state-dir', state)
    const before = stored(backups())
    const run = await once('--state-dir', folder.file('other-state'))
    assert.equal(run.code, 0, run.text)
    assert.deepEqual(stored(backups()), before)
    sql(db(), "INSERT INTO rows(body) VALUES ('y')")
    assert.equal((await once('--state-dir', folder.file('other-state'))).code, 0)
    assert.equal(stored(backups()).snapshots, 1)
    await assertBackupIs(db())
  })

  it('stops with exit 5 when storage holds what this machine does not know, unless told to adopt it', async () => {
    createDatabase(db(), { bytes: 50_000 })
    await once('--state-dir', folder.file('a'))
    copyFileSync(db(), folder.file('stale.db'))
    sql(db(), "INSERT INTO rows(body) VALUES ('newer')")
    await once('--state-dir', folder.file('a'))
    const newer = contents(db())
    copyFileSync(folder.file('stale.db'), db())
    const before = stored(backups())
    const refused = await once('--state-dir', folder.file('b'))
    assert.equal(refused.code, 5, refused.text)
    assert.match(JSON.stringify(refused.lines), /--adopt/)
    assert.deepEqual(stored(backups()), before)
    const adopted = await once('--state-dir', folder.file('b'), '--adopt')
    assert.equal(adopted.code, 0, adopted.text)
    await assertBackupIs(db())
    await restoreFrom(backups(), 'app', folder.file('earlier.db'), 2)
    assert.deepEqual(contents(folder.file('earlier.db')), newer)
  })

  it('stops with exit 5 for a machine that was left behind and starts by itself', async () => {
    createDatabase(db(), { bytes: 50_000 })
    await once('--state-dir', folder.file('a'))
    copyFileSync(db(), folder.file('other.db'))
    sql(folder.file('other.db'), "INSERT INTO rows(body) VALUES ('on the other machine')")
    // The second machine has a newer copy under the same name.
    mkdirSync(folder.file('m2'))
    copyFileSync(folder.file('other.db'), folder.file('m2/app.db'))
    const second = await walrust(['watch', folder.file('m2/app.db'), '-b', `file://${backups()}`, '--once', '--adopt'])
    assert.equal(second.code, 0, second.text)
    sql(db(), "INSERT INTO rows(body) VALUES ('on the one left behind')")
    const before = stored(backups())
    const run = await once('--state-dir', folder.file('a'))
    assert.equal(run.code, 5, run.text)
    assert.deepEqual(stored(backups()), before)
  })
})
