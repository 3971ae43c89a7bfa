import assert from 'node:assert/strict'
import { chmodSync, closeSync, mkdirSync, openSync, readFileSync, readSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { lockPage } from '../../core/ltx/index.js'
import {
  checksum,
  contents,
  createDatabase,
  type DatabaseOptions,
  integrity,
  sql,
  useFolder,
} from '../helpers/databases.js'
import { HelperProcess, walrust, WalrustProcess } from '../helpers/processes.js'
import { restoreFrom, stored, verifyFolder } from '../helpers/storage.js'
import type { WriterReport } from '../helpers/writer.js'

describe('databases of every kind', function () {
  this.timeout(120_000)
  const folder = useFolder()
  const db = () => folder.file('app.db')
  const backups = () => folder.file('backups')
  const url = () => `file://${backups()}`
  const running: WalrustProcess[] = []

  function watch(...args: string[]): WalrustProcess {
    const shipper = new WalrustProcess(['watch', db(), '-b', url(), '--sync-interval', '100ms', ...args])
    running.push(shipper)
    return shipper
  }
  afterEach(async () => {
    for (const shipper of running.splice(0)) await shipper.kill('SIGKILL')
  })

  async function assertBackupIsComplete(): Promise<void> {
    await restoreFrom(backups(), 'app', folder.file('restored.db'))
    assert.equal(integrity(folder.file('restored.db')), 'ok')
    assert.equal(checksum(folder.file('restored.db')), checksum(db()))
    assert.deepEqual(contents(folder.file('restored.db')), contents(db()))
    assert.deepEqual((await verifyFolder(backups(), 'app')).findings, [])
  }

  const kinds: Array<[string, DatabaseOptions]> = [
    ['pages of 512 bytes', { pageSize: 512 }],
    ['pages of 1024 bytes', { pageSize: 1024 }],
    ['pages of 4096 bytes', { pageSize: 4096 }],
    ['pages of 65536 bytes', { pageSize: 65536 }],
    ['full auto_vacuum', { autoVacuum: 'full' }],
    ['incremental auto_vacuum and pages of 512 bytes', { autoVacuum: 'incremental', pageSize: 512 }],
  ]
  for (const [name, options] of kinds) {
    it(`with ${name}: growth, shrink, VACUUM, a large blob, a schema change`, async () => {
      createDatabase(db(), { ...options, bytes: 50_000 })
      const shipper = watch()
      await shipper.line('shipped')
      const app = new Database(db())
      const steps = [
        () => app.exec('INSERT INTO rows(body) SELECT randomblob(800) FROM rows, (SELECT 1 UNION SELECT 2)'),
        () => app.exec('DELETE FROM rows WHERE id % 3 = 0'),
        () => app.exec('PRAGMA incremental_vacuum; CREATE INDEX lengths ON rows(length(body))'),
        () => app.exec('VACUUM'),
        () => app.exec('INSERT INTO rows(body) VALUES (randomblob(3000000))'),
        () => app.exec('ALTER TABLE rows ADD COLUMN note TEXT; UPDATE rows SET note = hex(id) WHERE id % 7 = 0'),
        () => app.exec('DELETE FROM rows WHERE length(body) > 1000000'),
        () => app.exec('VACUUM; DROP INDEX lengths'),
        () => app.exec('DELETE FROM rows'),
        () => app.exec('INSERT INTO rows(body) VALUES (1)'),
      ]
      for (const step of steps) {
        step()
        await sleep(150)
      }
      app.close()
      assert.equal(await shipper.kill('SIGTERM'), 0, shipper.tail())
      assert.ok(!shipper.lines.some(({ level }) => level === 'warn' || level === 'error'), shipper.tail())
      assert.ok(shipper.shipped.length >= 5, shipper.tail())
      await assertBackupIsComplete()
      for (const { txid, checksum: said } of shipper.shipped) {
        const { checksum: restored } = await restoreFrom(backups(), 'app', folder.file('point.db'), txid)
        assert.equal(restored.toString(16), said, `transaction ${txid}`)
      }
    })
  }

  it('with a transaction larger than the WAL threshold', async () => {
    createDatabase(db(), { bytes: 10_000 })
    const shipper = watch('--wal-truncate-threshold', '2000', '--min-checkpoint-pages', '100')
    await shipper.line('shipped')
    sql(db(), 'INSERT INTO rows(body) VALUES (randomblob(60000000))')
    sql(db(), "INSERT INTO rows(body) VALUES ('after it')")
    assert.equal(await shipper.kill('SIGTERM'), 0, shipper.tail())
    await assertBackupIsComplete()
  })

  it('larger than 1 GiB, past the page that is never stored', async () => {
    // Zeros take up room in the database and hardly any in storage.
    const db1 = new Database(db())
    db1.pragma('page_size = 65536')
    db1.pragma('journal_mode = OFF')
    db1.exec('CREATE TABLE rows(id INTEGER PRIMARY KEY, body BLOB); INSERT INTO rows(body) VALUES (zeroblob(400000000)), (zeroblob(400000000)), (zeroblob(300000000))') // prettier-ignore
    db1.pragma('journal_mode = WAL')
    db1.close()
    const first = await walrust(['watch', db(), '-b', url(), '--once'])
    assert.equal(first.code, 0, first.text)
    sql(db(), "INSERT INTO rows(body) VALUES ('behind the lock page'), (randomblob(200000))")
    const second = await walrust(['watch', db(), '-b', url(), '--once'])
    assert.equal(second.code, 0, second.text)
    const { size, txid } = await restoreFrom(backups(), 'app', folder.file('restored.db'))
    assert.equal(txid, 2)
    assert.ok(size > 2 ** 30 + 65536)
    // Compared in pieces: as a whole neither fits a buffer well.
    const [source, copy] = [openSync(db(), 'r'), openSync(folder.file('restored.db'), 'r')]
    const [a, b] = [Buffer.alloc(2 ** 24), Buffer.alloc(2 ** 24)]
    for (let at = 0; at < size; at += a.length) {
      assert.equal(readSync(source, a, 0, a.length, at), readSync(copy, b, 0, b.length, at))
      const page = lockPage(65536) - 1
      const lock = page * 65536 - at
      if (lock >= 0 && lock < a.length) for (const bytes of [a, b]) bytes.fill(0, lock, lock + 65536)
      assert.ok(a.equals(b), `at ${at}`)
    }
    closeSync(source)
    closeSync(copy)
    assert.deepEqual((await verifyFolder(backups(), 'app')).findings, [])
  })

  it('with nothing in it', async () => {
    createDatabase(db())
    const run = await walrust(['watch', db(), '-b', url(), '--once'])
    assert.equal(run.code, 0, run.text)
    await assertBackupIsComplete()
  })

  it('named by two paths: it is watched once', async () => {
    createDatabase(db())
    const { symlinkSync } = await import('node:fs')
    symlinkSync(db(), folder.file('alias.db'))
    const run = await walrust(['watch', db(), folder.file('alias.db'), '-b', url(), '--once'])
    assert.equal(run.code, 0, run.text)
    assert.equal(run.lines.filter(({ message }) => message === 'shipped').length, 1)
  })

  it('not in WAL mode: exit 3, the one command named, nothing changed', async () => {
    sql(db(), 'CREATE TABLE t(a); INSERT INTO t VALUES (1)')
    const before = readFileSync(db())
    const run = await walrust(['watch', db(), '-b', url(), '--once'])
    assert.equal(run.code, 3)
    assert.match(JSON.stringify(run.lines), /PRAGMA journal_mode=WAL/)
    assert.deepEqual(readFileSync(db()), before)
    assert.equal(stored(folder.path).files, 0)
  })

  it('that are empty files, other files, or not there: exit 3, and nothing made', async () => {
    writeFileSync(folder.file('empty.db'), '')
    writeFileSync(folder.file('text.db'), 'x'.repeat(5000))
    for (const [name, message] of [
      ['empty.db', /empty/],
      ['text.db', /not an SQLite database/],
      ['absent.db', /no file/],
    ] as const) {
      const run = await walrust(['watch', folder.file(name), '-b', url(), '--once'])
      assert.equal(run.code, 3, run.text)
      assert.match(run.text, message)
    }
    assert.deepEqual(readFileSync(folder.file('empty.db')).length, 0)
  })

  it('watched by two processes: the second ends with exit 3, the first goes on', async () => {
    createDatabase(db())
    const first = watch()
    await first.line('shipped')
    const second = await walrust(['watch', db(), '-b', url(), '--once'])
    assert.equal(second.code, 3, second.text)
    assert.match(second.text, /another walrust process/)
    sql(db(), 'INSERT INTO rows(body) VALUES (1)')
    await first.line(({ message, txid }) => message === 'shipped' && txid === 2)
    // The lock dies with its process, however that ends.
    await first.kill('SIGKILL')
    assert.equal((await walrust(['watch', db(), '-b', url(), '--once'])).code, 0)
    await assertBackupIsComplete()
  })

  it('two of one name: exit 2 before anything is shipped', async () => {
    mkdirSync(folder.file('a'))
    mkdirSync(folder.file('b'))
    createDatabase(folder.file('a/app.db'))
    createDatabase(folder.file('b/app.db'))
    const run = await walrust(['watch', folder.file('a/app.db'), folder.file('b/app.db'), '-b', url(), '--once'])
    assert.equal(run.code, 2)
    assert.match(run.text, /would both be stored as app/)
    const found = await walrust(['watch', folder.file('*/app.db'), '-b', url(), '--once'])
    assert.equal(found.code, 0, found.text)
    assert.equal(stored(folder.file('backups/a/app')).files, 1)
    assert.equal(stored(folder.file('backups/b/app')).files, 1)
  })

  it('many, from a pattern and a folder, and ones that appear later', async () => {
    mkdirSync(folder.file('tenants/1'), { recursive: true })
    createDatabase(folder.file('tenants/1/app.db'), { bytes: 2000 })
    const shipper = new WalrustProcess(['watch', folder.file('tenants/*/app.db'), '-b', url()])
    running.push(shipper)
    await shipper.line(({ message, database }) => message === 'shipped' && database === '1/app')
    mkdirSync(folder.file('tenants/2'))
    createDatabase(folder.file('tenants/2/app.db'), { bytes: 2000 })
    writeFileSync(folder.file('tenants/2/app.db-journal-not'), 'x')
    await shipper.line(({ message, database }) => message === 'shipped' && database === '2/app')
    assert.equal(await shipper.kill('SIGTERM'), 0, shipper.tail())
    for (const tenant of ['1', '2']) {
      await restoreFrom(backups(), `${tenant}/app`, folder.file('r.db'))
      assert.deepEqual(contents(folder.file('r.db')), contents(folder.file(`tenants/${tenant}/app.db`)))
    }
  })

  it('a pattern that matches nothing: exit 2', async () => {
    const run = await walrust(['watch', folder.file('*.db'), '-b', url()])
    assert.equal(run.code, 2)
  })

  it('in a folder that cannot be written: exit 3 or 1, naming it', async function () {
    mkdirSync(folder.file('ro'))
    createDatabase(folder.file('ro/app.db'))
    chmodSync(folder.file('ro'), 0o555)
    try {
      // Root may write everywhere; the same is tried as nobody where that is possible.
      const asNobody = process.getuid?.() === 0
      const path = folder.file('ro/app.db')
      const code = await runAs(asNobody, ['watch', path, '-b', url(), '--once'])
      assert.ok([1, 3].includes(code.status), code.text)
      assert.match(code.text, /ro/)
    } finally {
      chmodSync(folder.file('ro'), 0o755)
    }
  })

  it('with a writer at full speed and tiny checkpoints', async () => {
    createDatabase(db())
    const shipper = watch('--min-checkpoint-pages', '20')
    await shipper.line('shipped')
    const writer = new HelperProcess<WriterReport>('writer', { path: db(), rate: 0, seconds: 4 })
    await writer.report()
    assert.equal(await shipper.kill('SIGTERM'), 0, shipper.tail())
    assert.ok(!shipper.lines.some(({ level }) => level === 'warn' || level === 'error'), shipper.tail())
    await assertBackupIsComplete()
  })

  it('without the shadow WAL', async () => {
    createDatabase(db())
    const shipper = watch('--no-shadow-wal')
    await shipper.line('shipped')
    const writer = new HelperProcess<WriterReport>('writer', { path: db(), rate: 2000, seconds: 4 })
    await writer.report()
    assert.equal(await shipper.kill('SIGTERM'), 0, shipper.tail())
    assert.ok(!shipper.lines.some(({ level }) => level === 'warn' || level === 'error'), shipper.tail())
    await assertBackupIsComplete()
  })
})

/** Runs walrust, as the user nobody if asked. */
async function runAs(nobody: boolean, args: string[]): Promise<{ status: number; text: string }> {
  if (!nobody) {
    const run = await walrust(args)
    return { status: run.code, text: run.text }
  }
  const { spawnSync } = await import('node:child_process')
  const { fileURLToPath } = await import('node:url')
  const cli = fileURLToPath(new URL('../../cli/main.js', import.meta.url))
  const { status, stderr } = spawnSync(process.execPath, [cli, ...args], { uid: 65534, gid: 65534, encoding: 'utf8' })
  return { status: status ?? 128, text: stderr }
}
