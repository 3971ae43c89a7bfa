import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { createDatabase, useFolder } from '../helpers/databases.js'
import { walrust } from '../helpers/processes.js'

/** Each with what is said of it. */
const STORAGES: ReadonlyArray<readonly [string, RegExp]> = [
  ['file://var/backups', /names a computer, var, not a folder[^]*file:\/\/\/var\/backups/],
  ['file://localhost/var/backups', /names a computer, localhost/],
  ['file:', /names no folder/],
  ['file://', /names no folder/],
  ['file:~/backups', /only a shell understands/],
  ['~/backups', /only a shell understands/],
  ['file:///backups/100%', /is no URL/],
  ['file:///back%2Fups', /is no URL/],
  ['fil:///backups', /no plugin stores to fil: URLs/],
]

describe('what was mistyped', function () {
  this.timeout(120_000)
  const folder = useFolder()
  const everything = () => (readdirSync(folder.path, { recursive: true }) as string[]).sort()

  /** Runs a command that has to fail and to make nothing. */
  async function refused(code: number, text: RegExp, ...args: string[]): Promise<void> {
    const before = everything()
    const done = await walrust(args, { cwd: folder.path })
    const said = `${args.join(' ')}: ${done.text}`
    assert.equal(done.code, code, said)
    assert.match(done.text, text, said)
    assert.deepEqual(everything(), before, said)
  }

  it('a storage: watch and restore say what is wrong with it, and make nothing anywhere', async () => {
    createDatabase(folder.file('app.db'))
    for (const [url, text] of STORAGES) {
      await refused(2, text, 'watch', 'app.db', '--once', '--no-metrics', '-b', url)
      await refused(2, text, 'restore', 'app', '-o', 'new.db', '-b', url)
    }
    writeFileSync(folder.file('walrust.config.json'), JSON.stringify({ databases: ['app.db'], storage: '~/backups' }))
    await refused(2, /only a shell understands/, 'watch', '--once', '--no-metrics')
  })

  it('a storage that is a file is no place for backups, which does not change by trying again', async () => {
    createDatabase(folder.file('app.db'))
    createDatabase(folder.file('other.db'))
    const url = `file://${folder.file('other.db')}`
    await refused(4, /other\.db is a file, not a folder/, 'watch', 'app.db', '--no-metrics', '-b', url)
  })

  it('a folder of backups that is not there: nothing is restored from it, nor made', async () => {
    await refused(6, /no backup of app/, 'restore', 'app', '-o', 'new.db', '-b', `file://${folder.file('nowhere')}`)
  })

  it('a database: it is named, and nothing is made beside it', async () => {
    mkdirSync(folder.file('backups'))
    const url = `file://${folder.file('backups')}`
    const missing = folder.file('no/such/app.db')
    for (const more of [[], ['--restore-if-db-not-exists']]) {
      const args = ['--once', '--no-metrics', '-b', url, ...more]
      await refused(3, /there is no file .*app\.bd/, 'watch', 'app.bd', ...args)
      await refused(3, /there is no file .*app\.db/, 'watch', missing, ...args)
      await refused(3, /there is no file .*file:app\.db/, 'watch', 'file:app.db', ...args)
    }
    assert.ok(!existsSync(folder.file('no')))
  })

  it('the scheme of a URL is the same in capitals', async () => {
    createDatabase(folder.file('app.db'))
    const url = `FILE://${folder.file('backups')}`
    const done = await walrust(['watch', 'app.db', '--once', '--no-metrics', '-b', url], { cwd: folder.path })
    assert.equal(done.code, 0, done.text)
    assert.deepEqual(readdirSync(folder.file('backups/app')), ['ltx', 'walrust'])
  })
})
