import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import Database from 'better-sqlite3'
import { useFolder } from '../helpers/databases.js'
import { walrust } from '../helpers/processes.js'

describe('walrust pragma', () => {
  const folder = useFolder()

  it('prints SQL that SQLite runs, with a busy timeout and with automatic checkpoints', async () => {
    const { code, stdout } = await walrust(['pragma'])
    assert.equal(code, 0)
    const db = new Database(folder.file('app.db'))
    db.exec(stdout)
    assert.equal(db.pragma('journal_mode', { simple: true }), 'wal')
    assert.ok(Number(db.pragma('busy_timeout', { simple: true })) > 0)
    assert.ok(Number(db.pragma('wal_autocheckpoint', { simple: true })) > 0)
    db.close()
  })

  it('writes to a file, without comments, and never over one', async () => {
    const args = ['pragma', '-o', folder.file('pragmas.sql'), '--no-comments']
    assert.equal((await walrust(args)).code, 0)
    assert.doesNotMatch(readFileSync(folder.file('pragmas.sql'), 'utf8'), /--/)
    assert.equal((await walrust(args)).code, 2)
  })
})
