import assert from 'node:assert/strict'
import { renameSync, utimesSync, writeFileSync } from 'node:fs'
import { Touched } from '../../../core/wal/touched.js'
import { useFolder } from '../../helpers/databases.js'

describe('whether a database was touched', () => {
  const folder = useFolder()
  const path = () => folder.file('app.db')
  /** Writes a file, seconds ago. */
  const write = (name: string, bytes: string, ago = 600) => {
    writeFileSync(name, bytes)
    const time = new Date(Date.now() - ago * 1000)
    utimesSync(name, time, time)
  }

  it('says so of a write to the file or its WAL, of a WAL that is gone, and of another file in its place', () => {
    write(path(), 'x')
    const touched = new Touched(path())
    assert.ok(touched.ask(), 'asked for the first time')
    assert.ok(!touched.ask())
    write(`${path()}-wal`, 'frames')
    assert.ok(touched.ask())
    assert.ok(!touched.ask())
    write(`${path()}-wal`, 'frames', 500)
    assert.ok(touched.ask(), 'as long as before')
    write(path(), 'xy', 600)
    assert.ok(touched.ask())
    assert.ok(!touched.ask())
    renameSync(`${path()}-wal`, folder.file('other'))
    assert.ok(touched.ask())
    write(folder.file('other.db'), 'xy', 600)
    renameSync(folder.file('other.db'), path())
    assert.ok(touched.ask())
    assert.ok(!touched.ask())
  })

  it('says so again of what was written lately: the next write may bear the same time, or show late', () => {
    write(path(), 'x', 30)
    const touched = new Touched(path())
    assert.ok(touched.ask())
    assert.ok(touched.ask())
    // A clock that was set back.
    write(path(), 'x', -3600)
    assert.ok(touched.ask())
    assert.ok(touched.ask())
  })
})
