import assert from 'node:assert/strict'
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { contents, createDatabase, sql, useFolder } from '../helpers/databases.js'
import { walrust, WalrustProcess } from '../helpers/processes.js'
import { restoreFrom, verifyFolder } from '../helpers/storage.js'

/** Machines are folders here, each with a copy of the database and a state of its own. */
describe('a database that was restored, and written to before it is watched', function () {
  this.timeout(60_000)
  const folder = useFolder()
  const backups = () => folder.file('backups')
  const db = (machine = 'one') => folder.file(`${machine}/app.db`)
  const url = () => `file://${backups()}`
  let shipper: WalrustProcess | undefined
  afterEach(() => shipper?.kill())

  const on = (machine: string, ...args: string[]) =>
    walrust([...args, '-b', url()], { cwd: folder.file(machine), env: { WALRUST_METRICS: 'false' } })
  const ship = (machine: string) => on(machine, 'watch', 'app.db', '--once')
  const restore = (machine: string, ...args: string[]) => on(machine, 'restore', 'app', ...args)
  const insert = (machine: string, body: string) => sql(db(machine), `INSERT INTO rows(body) VALUES ('${body}')`)
  const notes = (machine: string) =>
    (readdirSync(folder.file(machine), { recursive: true }) as string[]).filter((name) => name.endsWith('/restored'))

  /** One machine that has shipped two transactions, and an empty one. */
  beforeEach(async () => {
    for (const machine of ['one', 'two']) mkdirSync(folder.file(machine))
    createDatabase(db(), { bytes: 20_000 })
    assert.equal((await ship('one')).code, 0)
    insert('one', 'first')
    assert.equal((await ship('one')).code, 0)
  })

  async function assertShips(machine: string, txid: number): Promise<void> {
    const run = await ship(machine)
    assert.equal(run.code, 0, run.text)
    await restoreFrom(backups(), 'app', folder.file('check.db'))
    assert.deepEqual(contents(folder.file('check.db')), contents(db(machine)))
    await restoreFrom(backups(), 'app', folder.file('check.db'), txid)
    assert.deepEqual((await verifyFolder(backups(), 'app')).findings, [])
  }

  async function assertIsStale(machine: string): Promise<void> {
    const run = await ship(machine)
    assert.equal(run.code, 5, run.text)
    assert.match(JSON.stringify(run.lines), /--adopt/)
  }

  it('goes on from there, on a machine that never had it, and the note is gone then', async () => {
    assert.equal((await restore('two', '-o', 'app.db')).code, 0)
    assert.equal(notes('two').length, 1)
    insert('two', 'before the watch')
    await assertShips('two', 3)
    assert.deepEqual(notes('two'), [])
    // The first machine is the one left behind now.
    insert('one', 'too late')
    await assertIsStale('one')
  })

  it('goes on from there, on the machine that was left behind, over its old file', async () => {
    assert.equal((await restore('two', '-o', 'app.db')).code, 0)
    insert('two', 'on the other machine')
    await assertShips('two', 3)
    insert('one', 'given up')
    assert.equal((await restore('one', '-o', 'app.db', '--force')).code, 0)
    insert('one', 'after the restore')
    await assertShips('one', 4)
    insert('two', 'too late')
    await assertIsStale('two')
  })

  it('goes on with what it was, where this machine is at the newest state or beyond it already', async () => {
    assert.equal((await restore('one', '-o', 'app.db', '--force')).code, 0)
    assert.deepEqual(notes('one'), [])
    insert('one', 'after the restore')
    await assertShips('one', 3)
  })

  it('an older point is not the newest state: it takes --adopt', async () => {
    assert.equal((await restore('two', '-o', 'app.db', '--txid', '1')).code, 0)
    assert.ok(!existsSync(folder.file('two/.app.db-walrust')))
    insert('two', 'before the watch')
    await assertIsStale('two')
    assert.equal((await on('two', 'watch', 'app.db', '--once', '--adopt')).code, 0)
  })

  it('nor is it any more when somebody has shipped since', async () => {
    assert.equal((await restore('two', '-o', 'app.db')).code, 0)
    insert('two', 'before the watch')
    insert('one', 'meanwhile')
    assert.equal((await ship('one')).code, 0)
    await assertIsStale('two')
    // Asked again it is not taken for restored either.
    await assertIsStale('two')
  })

  it('the state that it once was is no excuse either: somebody has shipped that again', async () => {
    copyFileSync(db(), folder.file('then.db'))
    assert.equal((await restore('two', '-o', 'app.db')).code, 0)
    insert('two', 'before the watch')
    insert('one', 'meanwhile')
    assert.equal((await ship('one')).code, 0)
    // Back to the very state that was restored, under a later transaction.
    copyFileSync(folder.file('then.db'), db())
    assert.equal((await ship('one')).code, 0)
    await assertIsStale('two')
  })

  it('a copy to look at leaves nothing beside it', async () => {
    assert.equal((await restore('two', '-o', 'look.db')).code, 0)
    assert.deepEqual(readdirSync(folder.file('two')), ['look.db'])
  })

  it('by the name and place that a configuration has', async () => {
    const config = { databases: [{ path: 'data.db', name: 'app' }], storage: url(), stateDir: 'state', metrics: false }
    writeFileSync(folder.file('two/walrust.config.json'), JSON.stringify(config))
    const run = (...args: string[]) => walrust(args, { cwd: folder.file('two') })
    assert.equal((await run('restore', 'app')).code, 0)
    sql(folder.file('two/data.db'), "INSERT INTO rows(body) VALUES ('before the watch')")
    const shipped = await run('watch', '--once')
    assert.equal(shipped.code, 0, shipped.text)
    await restoreFrom(backups(), 'app', folder.file('check.db'), 3)
  })

  it('while somebody watches its place, nothing is noted', async () => {
    shipper = new WalrustProcess(['watch', 'app.db', '-b', url(), '--no-metrics'], { cwd: folder.file('one') })
    await shipper.line('watching')
    for (const suffix of ['', '-wal', '-shm']) rmSync(db() + suffix, { force: true })
    await shipper.line('the database was replaced')
    assert.equal((await restore('one', '-o', 'app.db')).code, 0)
    assert.deepEqual(notes('one'), [])
    insert('one', 'after the restore')
    await shipper.line(({ message, txid }) => message === 'shipped' && Number(txid) >= 3)
    assert.equal(await shipper.kill('SIGTERM'), 0, shipper.tail())
    await restoreFrom(backups(), 'app', folder.file('check.db'))
    assert.deepEqual(contents(folder.file('check.db')), contents(db()))
  })
})
