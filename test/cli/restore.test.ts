import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { contents, createDatabase, sql, useFolder } from '../helpers/databases.js'
import { walrust } from '../helpers/processes.js'
import { S3Server } from '../helpers/s3-server/index.js'

interface Outcome {
  database: string
  action: string
  file: string
  reason?: string
  txid?: number
  timestamp?: string
  storage?: string
  refused?: boolean
  files?: unknown
  error?: { code: string }
}

describe('restore', function () {
  this.timeout(120_000)
  const folder = useFolder()
  const backups = () => `file://${folder.file('backups')}`
  const run = (...args: string[]) => walrust(args, { cwd: folder.path })
  const ship = async (name = 'app', ...args: string[]) => {
    const done = await run('watch', `${name}.db`, '--once', '--no-metrics', '-b', backups(), ...args)
    assert.equal(done.code, 0, done.text)
  }
  /** A database with one row, shipped. */
  const make = async (name = 'app', row = 1) => {
    createDatabase(folder.file(`${name}.db`))
    sql(folder.file(`${name}.db`), `INSERT INTO rows(body) VALUES (${row})`)
    await ship(name)
  }
  const restored = async (...args: string[]) => {
    const done = await run('restore', '--json', ...args)
    assert.equal(done.code, 0, done.text + done.stdout)
    return JSON.parse(done.stdout) as Outcome
  }
  const refused = async (code: number, text: RegExp, ...args: string[]) => {
    const before = readdirSync(folder.path)
    const done = await run('restore', ...args)
    assert.equal(done.code, code, done.text)
    assert.match(done.text, text)
    assert.deepEqual(readdirSync(folder.path), before, 'nothing is left behind')
  }
  const configure = (config: object) => writeFileSync(folder.file('walrust.config.json'), JSON.stringify(config))
  const same = (a: string, b: string) => assert.deepEqual(contents(folder.file(a)), contents(folder.file(b)))

  it('leaves a database that is there alone: exit 6, or 0 with --if-db-not-exists', async () => {
    await make()
    writeFileSync(folder.file('mine.db'), 'mine')
    await refused(6, /mine\.db exists/, 'app', '-o', 'mine.db', '-b', backups())
    const outcome = await restored('app', '-o', 'mine.db', '-b', backups(), '--if-db-not-exists')
    assert.deepEqual([outcome.action, outcome.reason], ['skipped', 'database-exists'])
    assert.equal(readFileSync(folder.file('mine.db'), 'utf8'), 'mine')
    assert.equal((await restored('app', '-o', 'new.db', '-b', backups(), '--if-db-not-exists')).action, 'restored')
    same('new.db', 'app.db')
    assert.equal(statSync(folder.file('new.db')).mode & 0o777, 0o600)
  })

  it('--if-replica-exists is content without a backup, and with nothing else', async () => {
    await make()
    await refused(6, /no backup of other/, 'other', '-o', 'new.db', '-b', backups())
    const outcome = await restored('other', '-o', 'new.db', '-b', backups(), '--if-replica-exists')
    assert.deepEqual([outcome.action, outcome.reason], ['skipped', 'no-backup'])
    assert.ok(!existsSync(folder.file('new.db')))
    // A listing that fails says nothing about what is there.
    const server = await new S3Server().start()
    server.faults.rates({ 'no-bucket': 1 })
    const args = ['restore', 'app', '-o', 'new.db', '-b', 's3://bucket/backups', '--if-replica-exists']
    const failed = await walrust(args, { cwd: folder.path, env: server.environment })
    await server.stop()
    assert.equal(failed.code, 4, failed.text)
    assert.equal((await restored('app', '-o', 'new.db', '-b', backups(), '--if-replica-exists')).action, 'restored')
  })

  it('--dry-run shows the plan and changes nothing', async () => {
    await make()
    sql(folder.file('app.db'), 'INSERT INTO rows(body) VALUES (2)')
    await ship()
    const before = readdirSync(folder.path)
    const plan = await restored('app', '-o', 'new.db', '-b', backups(), '--dry-run')
    assert.deepEqual([plan.action, plan.refused, plan.txid], ['planned', false, 2])
    assert.deepEqual(
      (plan.files as Array<{ level: number; maxTxid: number }>).map(({ level, maxTxid }) => [level, maxTxid]),
      [
        [9, 1],
        [0, 2],
      ],
    )
    const text = (await run('restore', 'app', '-o', 'app.db', '-b', backups(), '--dry-run')).stdout
    assert.match(text, /snapshot +1 .*level 0 +2 .*refused without --force.*Nothing was changed/s)
    assert.deepEqual(readdirSync(folder.path), before)
    await refused(6, /transaction 9 of app cannot be restored; the nearest that can: 2/, 'app', '--txid', '9', '-o', 'new.db', '-b', backups(), '--dry-run') // prettier-ignore
  })

  it('finds a database by the name, the place and the storage that the configuration gives it', async () => {
    configure({ databases: [{ path: 'app.db', name: 'shop/{name}', storage: backups() }], storage: 'file:./elsewhere' })
    createDatabase(folder.file('app.db'))
    sql(folder.file('app.db'), 'INSERT INTO rows(body) VALUES (1)')
    assert.equal((await run('watch', '--once', '--no-metrics')).code, 0)
    await refused(6, /app\.db exists/, 'shop/app')
    const outcome = await restored('shop/app', '--force')
    assert.deepEqual([outcome.file, outcome.storage], [folder.file('app.db'), backups()])
    await restored('shop/app', '-o', 'new.db')
    same('new.db', 'app.db')
    // What is typed wins over what is configured.
    await refused(6, /no backup of shop\/app/, 'shop/app', '-o', 'other.db', '-b', 'file:./elsewhere')
  })

  it('takes a URL that ends in the name', async () => {
    await make()
    await restored(`${backups()}/app`, '-o', 'new.db')
    same('new.db', 'app.db')
    await refused(2, /says where the backup is/, `${backups()}/app`, '-o', 'x.db', '-b', backups())
    await refused(2, /tell where app goes/, `${backups()}/app`)
  })

  it('--all brings back every configured database, and one that fails holds up none', async () => {
    await make('a', 1)
    await make('b', 2)
    configure({ databases: ['back/a.db', 'back/none.db', 'back/b.db'], storage: backups() })
    const done = await run('restore', '--all', '--json')
    assert.equal(done.code, 6, done.text)
    const { databases } = JSON.parse(done.stdout) as { databases: Outcome[] }
    assert.deepEqual(
      databases.map(({ database, action, error }) => [database, error?.code ?? action]),
      [
        ['a', 'restored'],
        ['none', 'E_NO_BACKUP'],
        ['b', 'restored'],
      ],
    )
    same('back/a.db', 'a.db')
    same('back/b.db', 'b.db')
    const again = await run('restore', '--all', '--if-db-not-exists', '--if-replica-exists', '--json')
    assert.equal(again.code, 0, again.text)
    const reasons = (JSON.parse(again.stdout) as { databases: Outcome[] }).databases.map(({ reason }) => reason)
    assert.deepEqual(reasons, ['database-exists', 'no-backup', 'database-exists'])
  })

  it('restores a transaction or a moment, as either flag or --point-in-time', async () => {
    await make()
    const to = async (...args: string[]) => {
      const outcome = await restored('app', '-b', backups(), '--force', '-o', 'new.db', ...args)
      if (outcome.txid === 2) same('new.db', 'app.db')
      return outcome.txid
    }
    const { timestamp: first } = await restored('app', '-b', backups(), '-o', 'first.db')
    const between = new Date().toISOString()
    sql(folder.file('app.db'), 'INSERT INTO rows(body) VALUES (2)')
    await ship()
    assert.equal(await to('--txid', '1'), 1)
    assert.equal(await to('--point-in-time', '1'), 1)
    assert.equal(await to('--point-in-time', '0000000000000002'), 2)
    assert.equal(await to('--timestamp', first ?? ''), 1)
    assert.equal(await to('--point-in-time', new Date().toISOString()), 2)
    assert.equal(await to('--parallelism', '1', '--integrity-check', 'quick'), 2)
    assert.equal(await to('--integrity-check', 'none'), 2)
    await refused(6, /not seen one by one; the nearest: transaction 1 at .* and transaction 2 at/, 'app', '-o', 'x.db', '-b', backups(), '--timestamp', between) // prettier-ignore
    await refused(6, /in the future; the nearest: transaction 2 at/, 'app', '-o', 'x.db', '-b', backups(), '--timestamp', '2999-01-01') // prettier-ignore
    await refused(6, /before the first point .*: transaction 1 at/, 'app', '-o', 'x.db', '-b', backups(), '--timestamp', '2001-01-01') // prettier-ignore
  })

  const nonsense: Array<[string, RegExp, string[]]> = [
    ['neither a name nor --all', /which database/, []],
    ['a name and --all', /either app or --all/, ['app', '--all']],
    ['--all and -o', /its own place/, ['--all', '-o', 'x.db']],
    ['--all and a transaction', /give a moment/, ['--all', '--txid', '3']],
    ['--all and a transaction as a point', /give a moment/, ['--all', '--point-in-time', '3']],
    ['--all without a configuration', /no database is configured/, ['--all']],
    ['standard output', /standard output/, ['app', '-o', '-']],
    ['no place', /tell where app goes/, ['app']],
    ['an empty place', /needs a file/, ['app', '-o', '']],
    ['--force and --if-db-not-exists', /choose one/, ['app', '-o', 'x.db', '--force', '--if-db-not-exists']],
    ['two points', /only one of/, ['app', '-o', 'x.db', '--txid', '1', '--timestamp', '2026-01-01']],
    ['no moment', /is not a moment/, ['app', '-o', 'x.db', '--timestamp', 'yesterday']],
    ['transaction 0', /transaction number/, ['app', '-o', 'x.db', '--point-in-time', '0']],
    ['no requests at a time', /whole number from 1 to 64/, ['app', '-o', 'x.db', '--parallelism', '0']],
    ['a strange check', /full, quick, none/, ['app', '-o', 'x.db', '--integrity-check', 'some']],
  ]
  for (const [what, message, args] of nonsense) {
    it(`refuses ${what} with exit 2`, () => refused(2, message, ...args))
  }

  it('--if-replica-exists takes a place that is not there for a mistake, and an empty one for no backup', async () => {
    const outcome = await restored('app', '-o', 'a.db', '-b', backups(), '--if-replica-exists')
    assert.deepEqual([outcome.action, outcome.reason], ['skipped', 'no-backup'])
    const mistyped = `file://${folder.file('mnt/bakups/db')}`
    await refused(4, /mnt\/bakups is not there/, 'app', '-o', 'a.db', '-b', mistyped, '--if-replica-exists')
  })
})
