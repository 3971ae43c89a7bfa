import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { renameSync, rmSync, writeFileSync } from 'node:fs'
import { createDatabase, contents, useFolder } from '../helpers/databases.js'
import { WalrustProcess } from '../helpers/processes.js'
import { restoreFrom } from '../helpers/storage.js'

describe('how a watch ends', function () {
  this.timeout(60_000)
  const folder = useFolder()
  const db = () => folder.file('app.db')
  const backups = () => folder.file('backups')
  let shipper: WalrustProcess
  afterEach(() => shipper.kill())

  async function watch(...args: string[]): Promise<void> {
    createDatabase(db(), { bytes: 20_000 })
    shipper = new WalrustProcess(['watch', db(), '-b', `file://${backups()}`, '--no-metrics', ...args])
    await shipper.line('shipped')
  }
  function commit(): void {
    const code = `const D = require('better-sqlite3'); new D(process.argv[1]).exec("INSERT INTO rows(body) VALUES ('last')")`
    assert.equal(spawnSync(process.execPath, ['-e', code, db()]).status, 0)
  }

  it('a second signal ends it at once, with exit 4: commits are not shipped, and are there at the next start', async () => {
    await watch('--shutdown-timeout', '1h')
    // A disk that is not mounted any more.
    renameSync(backups(), folder.file('away'))
    commit()
    shipper.child.kill('SIGTERM')
    const early = await Promise.race([
      shipper.exit,
      new Promise((resolve) => setTimeout(() => resolve('drains'), 1000)),
    ])
    assert.equal(early, 'drains')
    assert.equal(await shipper.kill('SIGINT'), 4)
    rmSync(backups(), { recursive: true, force: true })
    renameSync(folder.file('away'), backups())
    shipper = new WalrustProcess(['watch', db(), '-b', `file://${backups()}`, '--no-metrics', '--once'])
    assert.equal(await shipper.exit, 0, shipper.tail())
    await restoreFrom(backups(), 'app', folder.file('restored.db'))
    assert.deepEqual(contents(folder.file('restored.db')), contents(db()))
  })

  it('with exit 4, too, when the shutdown timeout is over', async () => {
    await watch('--shutdown-timeout', '500ms')
    renameSync(backups(), folder.file('away'))
    commit()
    assert.equal(await shipper.kill('SIGTERM'), 4, shipper.tail())
  })

  it('well after its database was deleted: everything that it held is in storage', async () => {
    await watch('--sync-interval', '1h', '--shutdown-timeout', '1h')
    commit()
    await shipper.line(({ message, txid }) => message === 'shipped' && txid === 2)
    commit()
    const last = contents(db())
    for (const suffix of ['', '-wal', '-shm']) rmSync(db() + suffix, { force: true })
    await shipper.line('the database was replaced')
    assert.equal(await shipper.kill('SIGTERM'), 0, shipper.tail())
    await restoreFrom(backups(), 'app', folder.file('restored.db'))
    assert.deepEqual(contents(folder.file('restored.db')), last)
  })

  it('the same when it had been at rest for a while', async () => {
    await watch('--shutdown-timeout', '1h')
    // Until everything is moved into the file and connections that are not needed are closed.
    await new Promise((resolve) => setTimeout(resolve, 4000))
    for (const suffix of ['', '-wal', '-shm']) rmSync(db() + suffix, { force: true })
    await shipper.line('the database was replaced')
    assert.ok(!shipper.lines.some(({ message }) => message.includes('not drained')), shipper.tail())
    assert.equal(await shipper.kill('SIGTERM'), 0, shipper.tail())
    await restoreFrom(backups(), 'app', folder.file('restored.db'))
  })

  it('not well when what lies there instead is no database: nobody knows what it is to be', async () => {
    await watch('--shutdown-timeout', '500ms')
    for (const suffix of ['', '-wal', '-shm']) rmSync(db() + suffix, { force: true })
    await shipper.line('the database was replaced')
    writeFileSync(db(), 'not a database')
    assert.equal(await shipper.kill('SIGTERM'), 4, shipper.tail())
  })
})
