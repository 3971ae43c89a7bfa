import assert from 'node:assert/strict'
import { appendFileSync } from 'node:fs'
import { mock } from 'node:test'
import { DatabaseFile } from '../../../core/database/database-file.js'
import { Pace } from '../../../core/replicator/pace.js'
import { createDatabase, useFolder } from '../../helpers/databases.js'

describe('how closely a database is looked at', () => {
  const folder = useFolder()
  let file: DatabaseFile
  let now: number

  beforeEach(() => {
    createDatabase(folder.file('app.db'))
    file = DatabaseFile.open(folder.file('app.db'))
    now = 1e6
    mock.method(performance, 'now', () => now)
  })
  afterEach(() => {
    mock.restoreAll()
    file.close()
  })

  /** Times after the last commit, in milliseconds, at which it still counts as busy. */
  function busyAt(pace: Pace, settled: boolean, calm: boolean): number[] {
    const last = now
    const busy = [0, 7, 8, 1999, 2000].filter((after) => {
      now = last + after
      return pace.isBusy(file, settled, calm)
    })
    now = last
    return busy
  }

  it('one look in eight is a thorough one, and the next one if somebody says so', () => {
    const pace = new Pace()
    const thorough = () => {
      const is = pace.tick()
      if (is) pace.looked()
      return is
    }
    assert.deepEqual(Array.from({ length: 8 }, thorough), [...Array<boolean>(7).fill(false), true])
    assert.equal(thorough(), false)
    pace.lookNext()
    assert.deepEqual([thorough(), thorough()], [true, false])
  })

  it('for two seconds after a commit while there is something to do about its WAL, for moments otherwise', () => {
    const pace = new Pace()
    pace.isBusy(file, false, false)
    now += 10_000
    pace.fresh()
    assert.deepEqual(busyAt(pace, false, false), [0, 7, 8, 1999])
    assert.deepEqual(busyAt(pace, true, true), [0, 7])
  })

  it('after that it is asked for what no event tells of, ever less often, and not at rest', () => {
    const pace = new Pace()
    pace.fresh()
    const asked: number[] = []
    const start = now
    for (let wait = pace.nextPeek; wait !== Infinity; wait = pace.nextPeek) {
      now += wait
      asked.push(now - start)
      assert.equal(pace.isRecent, now - start < 500)
    }
    assert.deepEqual(asked.slice(0, 4), [2, 4, 6, 9])
    assert.ok(asked.length < 30, String(asked.length))
    assert.ok(asked.every((at, i) => i === 0 || at <= 2 * asked[i - 1]))
    assert.ok(asked[asked.length - 1] >= 10_000)
  })

  it('for a while after the database file was written, whoever moved pages there, until nothing is left to do', () => {
    const pace = new Pace()
    assert.equal(pace.isBusy(file, false, true), true)
    now += 300
    assert.equal(pace.isBusy(file, false, true), false)
    appendFileSync(folder.file('app.db'), Buffer.alloc(4096))
    assert.equal(pace.isBusy(file, true, true), false)
    assert.equal(pace.isBusy(file, false, true), true)
    now += 299
    assert.equal(pace.isBusy(file, false, true), true)
    now += 1
    assert.equal(pace.isBusy(file, false, true), false)
  })
})
