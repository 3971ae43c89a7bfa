import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, statSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import type { CompactReport } from '../../core/compact/report.js'
import { contents, createDatabase, useFolder } from '../helpers/databases.js'
import { walrust, WalrustProcess } from '../helpers/processes.js'
import { restoreFrom, stored } from '../helpers/storage.js'

describe('asking a running watch', function () {
  this.timeout(60_000)
  const folder = useFolder()
  const db = () => folder.file('app.db')
  const backups = () => folder.file('backups')
  const socket = () => folder.file('.app.db-walrust/control.sock')
  let watch: WalrustProcess
  let app: Database.Database | undefined

  /** So rarely that nothing would be shipped by itself while a test runs, once the first file is there. */
  async function start(...args: string[]): Promise<void> {
    watch = new WalrustProcess(['watch', db(), '-b', `file://${backups()}`, '--sync-interval', '1h', ...args], {
      // Nothing is merged meanwhile: files are counted, and half a minute may end at any moment.
      env: { WALRUST_COMPACTION_LEVELS: '["365d"]' },
    })
    await watch.line('shipped')
    await watch.line('watching')
  }
  const ask = (...args: string[]) => walrust(args, { cwd: folder.path })

  beforeEach(() => {
    createDatabase(db())
    app = new Database(db())
  })
  afterEach(async () => {
    await watch.kill('SIGKILL')
    app?.close()
  })

  /** Commits; the first one after the start ships by itself, later ones wait for the interval. */
  function commit(count = 3): void {
    for (let i = 0; i < count; i++) app?.prepare('INSERT INTO rows(body) VALUES (?)').run(`row ${i}`)
  }

  async function assertAllIsStored(name = 'app'): Promise<void> {
    await restoreFrom(backups(), name, folder.file('restored.db'))
    const wanted = app?.prepare('SELECT * FROM rows ORDER BY 1').raw().all()
    assert.deepEqual(contents(folder.file('restored.db')).rows, wanted)
  }

  it('sync waits until everything committed so far is in storage, by name and by file', async () => {
    await start()
    commit()
    await watch.line(({ message, txid }) => message === 'shipped' && txid === 2)
    commit()
    const byName = await ask('--json', 'sync', 'app')
    assert.equal(byName.code, 0, byName.text)
    await assertAllIsStored()
    assert.deepEqual(JSON.parse(byName.stdout), { database: 'app', storages: [`file://${backups()}`] })
    commit()
    const byFile = await ask('sync', 'app.db')
    assert.equal(byFile.code, 0, byFile.text)
    await assertAllIsStored()
    assert.match(byFile.stdout, /^app: everything is durable in file:/)
  })

  it('sync finds the process by a name alone with --state-dir, and however long the path is', async () => {
    const state = join(folder.path, 'a'.repeat(100), 'b'.repeat(100))
    mkdirSync(state, { recursive: true })
    await start('--state-dir', state)
    commit()
    const run = await ask('sync', 'app', '--state-dir', state)
    assert.equal(run.code, 0, run.text)
    await assertAllIsStored()
  })

  it('the socket is there for its user only, and for as long as the process', async () => {
    await start()
    assert.equal(statSync(socket()).mode & 0o777, 0o600)
    assert.equal(await watch.kill('SIGTERM'), 0)
    assert.ok(!readdirSync(folder.file('.app.db-walrust')).some((name) => name.endsWith('.sock')))
    const run = await ask('--json', 'sync', 'app')
    assert.equal(run.code, 2)
    assert.equal((JSON.parse(run.stdout) as { error: { code: string } }).error.code, 'E_NOT_WATCHED')
  })

  it('a socket that was left by a killed process is nobody, and the next process replaces it', async () => {
    await start()
    await watch.kill('SIGKILL')
    assert.ok(statSync(socket()).isSocket())
    assert.equal((await ask('sync', 'app')).code, 2)
    commit()
    await start()
    commit()
    assert.equal((await ask('sync', 'app')).code, 0)
    await assertAllIsStored()
  })

  it('sync gives up after --timeout with exit 4, and says what it was asked for in vain', async () => {
    await start()
    commit()
    watch.child.kill('SIGSTOP')
    const late = await ask('--json', 'sync', 'app', '--timeout', '300ms')
    watch.child.kill('SIGCONT')
    assert.equal(late.code, 4, late.text)
    assert.equal((JSON.parse(late.stdout) as { error: { code: string } }).error.code, 'E_UNSHIPPED')
    const unknown = await ask('sync', 'other')
    assert.equal(unknown.code, 2)
    assert.match(unknown.text, /no walrust process here watches other/)
  })

  it('snapshot reaches the process that has the database', async () => {
    await start()
    commit()
    const run = await ask('--json', 'snapshot', 'app.db')
    assert.equal(run.code, 0, run.text)
    const { database, storages, txid } = JSON.parse(run.stdout) as {
      database: string
      storages: string[]
      txid: number
    }
    assert.deepEqual({ database, storages }, { database: 'app', storages: [`file://${backups()}`] })
    assert.ok(readdirSync(join(backups(), 'app/ltx/9')).some((name) => name.endsWith(`${txid.toString(16)}.ltx`)))
    assert.equal(stored(backups()).snapshots, 2)
    await assertAllIsStored()
    const elsewhere = await ask('snapshot', 'app.db', '-b', `file://${folder.file('elsewhere')}`)
    assert.equal(elsewhere.code, 2, elsewhere.text)
    assert.match(elsewhere.text, /app is not shipped to file:.*elsewhere/)
  })

  it('compact reaches the process that has the database: it plans, and does it with --force', async () => {
    await start('--retain-hourly', '1', '--retain-daily', '0', '--retain-weekly', '0', '--retain-monthly', '0')
    const snapshots: number[] = []
    for (let i = 0; i < 3; i++) {
      // Three transactions: they may be one file or two, as the first one is shipped at once.
      commit()
      const run = await ask('--json', 'snapshot', 'app.db')
      assert.equal(run.code, 0, run.text)
      snapshots.push((JSON.parse(run.stdout) as { txid: number }).txid)
    }
    const before = stored(backups())
    assert.equal(before.snapshots, 4)
    const compact = async (...more: string[]) => {
      const run = await ask('--json', 'compact', 'app', '-b', `file://${backups()}`, ...more)
      return { ...run, report: JSON.parse(run.stdout) as CompactReport }
    }
    const other = await ask('compact', 'app', '-b', `file://${backups()}`, '--force', '--retain-hourly', '5')
    assert.equal(other.code, 2, other.text)
    const { report: plan } = await compact()
    assert.deepEqual(
      plan.remove.map(({ level, maxTxid }) => [level, maxTxid]),
      // Not the first of all: it alone holds its transaction, which is promised for an hour.
      [[9, snapshots[0]]],
    )
    assert.deepEqual([plan.done, plan.after, plan.before.files], [false, null, before.files])
    assert.deepEqual(stored(backups()), before)
    const { report: done } = await compact('--force')
    assert.deepEqual([done.done, done.remove, done.freed], [true, plan.remove, plan.freed])
    assert.deepEqual(done.after, { files: before.files - 1, bytes: before.bytes - done.freed })
    assert.equal(done.earliest?.txid, 1)
    assert.equal((await watch.line('removed')).files, 1)
    assert.deepEqual((await compact()).report.remove, [])
    commit()
    assert.equal((await ask('sync', 'app')).code, 0)
    await assertAllIsStored()
    // Of what is not its own, it knows nothing.
    const elsewhere = await ask('compact', 'app', '-b', `file://${folder.file('elsewhere')}`)
    assert.equal(elsewhere.code, 6, elsewhere.text)
  })

  it('what is no request is answered with an error, and harms nothing', async () => {
    await start()
    for (const text of ['\n', '{"command":"toString","database":"app"}\n', 'x'.repeat(70_000)]) {
      const connection = connect(socket())
      connection.write(text)
      let answer = ''
      for await (const piece of connection) answer += String(piece)
      assert.match(answer, /"code":"E_USAGE"/)
    }
    const gone = connect(socket())
    gone.write('{"command":"sync","database":"app"}\n')
    gone.destroy()
    commit()
    assert.equal((await ask('sync', 'app')).code, 0)
    await assertAllIsStored()
  })
})
