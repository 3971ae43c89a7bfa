import assert from 'node:assert/strict'
import Database from 'better-sqlite3'
import { isBusy } from '../../../core/database/connection.js'
import { DatabaseFile } from '../../../core/database/database-file.js'
import { CheckpointPool } from '../../../core/wal/checkpoint-pool.js'
import { Checkpointer, type CheckpointOwner, type CheckpointReport } from '../../../core/wal/checkpointer.js'
import { Follower } from '../../../core/wal/follower.js'
import { createDatabase, useFolder } from '../../helpers/databases.js'

/** A WAL of more than 32 frames, sixteen times this, is started over under the write lock. */
const MIN_PAGES = 2

describe('checkpoints beside a writer that leaves no gap', () => {
  const folder = useFolder()
  const pool = new CheckpointPool()
  let app: Database.Database
  let file: DatabaseFile
  let follower: Follower
  let reports: CheckpointReport[]
  /** What happens whenever frames are made safe: just then something else is committed, or somebody begins to read. */
  let meanwhile: () => void

  beforeEach(async () => {
    const path = folder.file('app.db')
    createDatabase(path, { bytes: 50_000 })
    file = DatabaseFile.open(path)
    app = new Database(path, { timeout: 0 })
    app.pragma('wal_autocheckpoint = 0')
    follower = new Follower(file)
    await follower.attach([])
    reports = []
    meanwhile = () => undefined
  })
  afterEach(async () => {
    await follower.close(new Error('the test is over'))
    app.close()
    file.close()
  })
  after(() => pool.close())

  const commit = () => app.prepare('INSERT INTO rows(body) VALUES (?)').run('x')
  const locked = () => reports.filter(({ kind }) => kind === 'locked')

  function checkpointer(): Checkpointer {
    const owner: CheckpointOwner = {
      keep: () => {
        const { frame } = follower.position
        meanwhile()
        return Promise.resolve(frame)
      },
      walInUse: () => false,
      report: (report) => reports.push(report),
      damaged: (pages) => assert.fail(`pages ${pages.join(', ')} are damaged`),
    }
    const settings = { interval: 60_000, minPages: MIN_PAGES, truncateThreshold: 100_000, maxLock: 50 }
    return new Checkpointer(follower, file, settings, owner, pool)
  }

  /** Looks and tends until the next writer may start the WAL over, for as long as that is not too often. */
  async function tendUntilSettled(checkpoints: Checkpointer): Promise<void> {
    for (let i = 0; i < 100 && !follower.restartAllowed; i++) {
      commit()
      await checkpoints.tend(await follower.collect())
    }
    assert.ok(follower.restartAllowed, JSON.stringify(reports))
  }

  it('start the WAL over under the write lock, and every commit is read', async () => {
    let refused = 0
    let commits = 0
    meanwhile = () => {
      try {
        commit()
      } catch (error) {
        assert.ok(isBusy(error))
        refused++
      }
    }
    await tendUntilSettled(checkpointer())
    assert.equal(locked().length, 1, JSON.stringify(reports))
    assert.equal(refused, 1, 'only the last of them met the lock')
    // The lock is not held any more, and the writer begins anew at the first frame.
    commits = follower.commits
    const { generation } = follower.position
    commit()
    assert.ok(await follower.collect())
    assert.deepEqual([follower.position.generation, follower.commits], [generation + 1, commits + 1])
    const [{ log }] = app.pragma('wal_checkpoint(NOOP)') as Array<{ log: number }>
    assert.ok(log < 5, `${log} frames`)
    assert.equal(app.prepare('SELECT count(*) FROM rows WHERE body = ?').pluck().get('x'), follower.commits)
  })

  it('wait with the lock in hand for a reader who has only just begun', async () => {
    const reader = new Database(folder.file('app.db'))
    let reads = 0
    meanwhile = () => {
      if (follower.state.log < MIN_PAGES * 16 || reader.inTransaction || !free()) {
        if (free()) commit()
        return
      }
      reader.exec('BEGIN')
      reader.prepare('SELECT count(*) FROM rows').get()
      reads++
      commit()
      setImmediate(() => reader.exec('COMMIT'))
    }
    const free = () => {
      try {
        app.exec('BEGIN IMMEDIATE; ROLLBACK')
        return true
      } catch {
        return false
      }
    }
    await tendUntilSettled(checkpointer())
    reader.close()
    assert.ok(reads > 0)
    assert.equal(locked().length, 1, JSON.stringify(reports))
  })

  it('give the lock back to a reader who stays, and go on when it has gone', async () => {
    const reader = new Database(folder.file('app.db'))
    reader.exec('BEGIN')
    reader.prepare('SELECT count(*) FROM rows').get()
    const checkpoints = checkpointer()
    for (let i = 0; i < 100; i++) {
      commit()
      await checkpoints.tend(await follower.collect())
    }
    assert.ok(!follower.restartAllowed)
    reader.close()
    await tendUntilSettled(checkpoints)
  })
})
