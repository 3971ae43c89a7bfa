import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { contents, createDatabase, sql, useFolder } from '../helpers/databases.js'
import { walrust, WalrustProcess } from '../helpers/processes.js'
import { restoreFrom } from '../helpers/storage.js'

describe('SIGHUP', function () {
  this.timeout(120_000)
  const folder = useFolder()
  const backups = () => folder.file('backups')
  let watch: WalrustProcess

  function configure(config: object): void {
    writeFileSync(
      folder.file('walrust.config.json'),
      JSON.stringify({ storage: 'file:backups', metrics: false, ...config }),
    )
  }

  /** Has the configuration read again. Resolves when that is done, or refused. */
  async function reload(message = 'configuration read again'): Promise<void> {
    watch.lines.splice(0)
    watch.child.kill('SIGHUP')
    await watch.line(message)
  }

  const insert = (name: string) => sql(folder.file(`${name}.db`), `INSERT INTO rows(body) VALUES ('${name}')`)
  const shipped = (name: string) => watch.line(({ message, database }) => message === 'shipped' && database === name)

  async function assertStored(name: string): Promise<void> {
    const run = await walrust(['sync', name], { cwd: folder.path })
    assert.equal(run.code, 0, run.text)
    await restoreFrom(backups(), name, folder.file('restored'))
    assert.deepEqual(contents(folder.file('restored')), contents(folder.file(`${name}.db`)))
  }

  beforeEach(async () => {
    for (const name of ['a', 'b']) createDatabase(folder.file(`${name}.db`), { bytes: 20_000 })
    configure({ databases: ['a.db'] })
    watch = new WalrustProcess(['watch'], { cwd: folder.path })
    await shipped('a')
    await watch.line('watching')
  })
  afterEach(async () => {
    await watch.kill('SIGKILL')
  })

  it('takes up databases that were added, and leaves the others undisturbed', async () => {
    configure({ databases: ['a.db', 'b.db'] })
    await reload()
    await shipped('b')
    insert('a')
    insert('b')
    await assertStored('a')
    await assertStored('b')
    assert.ok(!watch.lines.some(({ message, database }) => message !== 'shipped' && database === 'a'), watch.tail())
    assert.equal(await watch.kill('SIGTERM'), 0)
  })

  it('lets databases go that were taken out, with everything in storage', async () => {
    configure({ databases: ['a.db'], sync: { interval: '1h' } })
    await reload()
    insert('a')
    insert('a')
    configure({ databases: ['b.db'] })
    await reload()
    await shipped('b')
    const gone = await walrust(['sync', 'a'], { cwd: folder.path })
    assert.equal(gone.code, 2, gone.text)
    await restoreFrom(backups(), 'a', folder.file('restored'))
    assert.deepEqual(contents(folder.file('restored')), contents(folder.file('a.db')))
    insert('b')
    await assertStored('b')
  })

  it('takes up another interval', async () => {
    configure({ databases: ['a.db'], sync: { interval: '1h' } })
    await reload()
    insert('a')
    await shipped('a')
    watch.lines.splice(0)
    insert('a')
    configure({ databases: ['a.db'], sync: { interval: '100ms' } })
    await reload()
    await shipped('a')
    await assertStored('a')
  })

  it('goes on as before if the configuration cannot be used', async () => {
    const refused = 'the configuration was not taken up: everything goes on as before'
    writeFileSync(folder.file('walrust.config.json'), '{ "databases": [')
    await reload(refused)
    configure({ databases: ['a.db', { path: 'b.db', name: 'a' }] })
    await reload(refused)
    insert('a')
    await shipped('a')
    await assertStored('a')
    assert.equal(await watch.kill('SIGTERM'), 0)
  })
})
