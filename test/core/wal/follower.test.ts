import assert from 'node:assert/strict'
import { copyFileSync, renameSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import Database from 'better-sqlite3'
import { DatabaseFile } from '../../../core/database/database-file.js'
import { ContinuityLost, Follower } from '../../../core/wal/follower.js'
import { comparePositions } from '../../../core/wal/position.js'
import { WalBatch } from '../../../core/wal/wal-batch.js'
import { createDatabase, useFolder } from '../../helpers/databases.js'

/** The application and walrust share one SQLite here, which keeps their locks apart as it does between processes. */
describe('following a WAL', () => {
  const folder = useFolder()
  const path = () => folder.file('app.db')
  let app: Database.Database
  let file: DatabaseFile
  let follower: Follower

  beforeEach(() => {
    createDatabase(path(), { bytes: 50_000 })
    // First of all: closing a descriptor later would drop the locks of every connection.
    file = DatabaseFile.open(path())
    app = new Database(path())
    app.pragma('wal_autocheckpoint = 0')
    follower = new Follower(file)
  })
  afterEach(async () => {
    await follower.close(new Error('the test is over'))
    app.close()
    file.close()
  })

  const commit = (text = 'x') => app.prepare('INSERT INTO rows(body) VALUES (?)').run(text)
  const state = () => app.pragma('wal_checkpoint(NOOP)') as Array<{ log: number; checkpointed: number }>

  it('has nothing new to say of an empty WAL, however often it looks', async () => {
    await follower.attach([])
    for (let i = 0; i < 3; i++) assert.equal(await follower.collect(), false)
    commit()
    assert.equal(await follower.collect(), true)
    assert.equal(await follower.collect(), false)
  })

  it('reads every commit once, and of each page the newest version', async () => {
    await follower.attach([])
    for (let i = 0; i < 50; i++) commit(`row ${i}`)
    assert.ok(await follower.collect())
    assert.equal(follower.position.frame, state()[0].log)
    assert.equal(follower.commits, 50)
    const all = follower.pagesSince(0)
    assert.ok(all && all.pages.length < follower.position.frame)
    const before = follower.position.frame
    commit('one more')
    await follower.collect()
    const last = follower.pagesSince(before)
    assert.ok(last && last.pages.length <= 2)
    assert.equal(last.commit, app.pragma('page_count', { simple: true }))
  })

  it('never ends in the middle of a transaction, though it reads a large one in slices', async () => {
    commit()
    await follower.attach([])
    const before = follower.position
    app.transaction(() => {
      for (let i = 0; i < 12; i++) app.exec('INSERT INTO rows(body) VALUES (randomblob(1000000))')
    })()
    const look = follower.collect()
    assert.ok(follower.position.frame < state()[0].log, 'the look is under way')
    // Somebody else's turn: what is shipped now is a state that was committed.
    const batch = new WalBatch(follower, before)
    assert.equal(batch.to.frame, state()[0].log)
    assert.equal(batch.pages().commit, app.pragma('page_count', { simple: true }))
    assert.equal(await look, true)
  })

  it('keeps the WAL from being restarted under it', async () => {
    commit()
    await follower.attach([])
    for (let i = 0; i < 200; i++) {
      commit()
      app.pragma('wal_checkpoint(PASSIVE)')
      if (i % 7 === 0) follower.advance()
      await follower.collect()
    }
    assert.equal(follower.commits, 201)
    assert.equal(follower.generation?.frames, state()[0].log)
  })

  it('lets it be restarted once everything is kept, and then misses nothing of the new generation', async () => {
    commit()
    await follower.attach([])
    let [restarts, generation] = [0, follower.position.generation]
    for (let i = 0; i < 300; i++) {
      commit()
      await follower.collect()
      if (follower.position.generation !== generation) restarts++
      generation = follower.position.generation
      if (i % 5 !== 0) continue
      follower.advance()
      app.pragma('wal_checkpoint(PASSIVE)')
      await follower.collect()
      assert.ok(follower.settle(follower.position.frame))
      assert.ok(follower.restartAllowed)
      // Commits between two looks land in the new generation, and are seen from its first frame.
      for (let j = 0; j < 3; j++) commit()
    }
    assert.ok(restarts > 20, `${restarts}`)
    await follower.collect()
    assert.equal(follower.commits, app.prepare('SELECT count(*) FROM rows').pluck().get() as number - 50) // prettier-ignore
    assert.ok(follower.continues && comparePositions(follower.continues, follower.position) < 0)
  })

  it('does not let it be restarted while frames are not kept', async () => {
    commit()
    await follower.attach([])
    follower.advance()
    app.pragma('wal_checkpoint(PASSIVE)')
    await follower.collect()
    assert.equal(follower.settle(follower.position.frame - 1), false)
    assert.equal(follower.restartAllowed, false)
  })

  it('proves a position only by the identical frame', async () => {
    commit()
    await follower.attach([])
    commit()
    await follower.collect()
    const { position: at, proof } = follower
    assert.ok(proof)
    commit()
    await follower.close(new Error('stopped'))

    const prove = async (other: Partial<typeof proof>) => {
      follower = new Follower(file)
      const proved = await follower.attach([{ at, proof: { ...proof, ...other } }])
      await follower.close(new Error('stopped'))
      return proved.length > 0
    }
    assert.equal(await prove({}), true)
    assert.equal(await prove({ s1: proof.s1 ^ 1 }), false)
    assert.equal(await prove({ salt2: proof.salt2 ^ 1 }), false)
    assert.equal(await prove({ frame: proof.frame - 1 }), false)
    assert.equal(await prove({ frame: 1_000_000 }), false)
    assert.equal(await prove({ frame: 0 }), true)
    follower = new Follower(file)
    const continued = await follower.attach([{ at, proof }])
    assert.equal(continued.length, 1)
    assert.equal(follower.position.generation, at.generation)
    assert.ok(follower.position.frame > at.frame)
  })

  it('proves nothing under the lower of two numbers for one generation: what follows would seem to lie before it', async () => {
    commit()
    await follower.attach([])
    const [older, generation] = [{ at: follower.position, proof: follower.proof }, follower.position.generation]
    commit()
    await follower.collect()
    // Lost sight of and given a new number, while one storage was away: that one still knows the old number.
    const newer = { at: { ...follower.position, generation: generation + 1 }, proof: follower.proof }
    await follower.close(new Error('stopped'))
    follower = new Follower(file)
    assert.deepEqual(await follower.attach([older, newer]), [newer.at])
    assert.equal(follower.position.generation, generation + 1)
    commit()
    await follower.collect()
    assert.ok(comparePositions(follower.position, newer.at) > 0, 'a new commit is not behind what is known')
  })

  it('stops when frames it has read are not there any more', async () => {
    for (let i = 0; i < 20; i++) commit()
    await follower.attach([])
    truncateSync(`${path()}-wal`, statSync(`${path()}-wal`).size - 5000)
    commit('written behind a hole')
    await assert.rejects(follower.collect(), ContinuityLost)
  })

  it('sees that the WAL or the database is another file, or was overwritten', async () => {
    commit()
    await follower.attach([])
    assert.equal(follower.isWalReplaced(), false)
    copyFileSync(`${path()}-wal`, folder.file('copy'))
    renameSync(folder.file('copy'), `${path()}-wal`)
    assert.equal(follower.isWalReplaced(), true)
    assert.equal(file.isInPlace(), true)
    copyFileSync(path(), folder.file('other'))
    renameSync(folder.file('other'), path())
    assert.equal(file.isInPlace(), false)
  })

  it('notices that somebody wrote the database file at a time when no checkpoint could', async () => {
    commit()
    await follower.attach([])
    follower.advance()
    app.pragma('wal_checkpoint(PASSIVE)')
    await follower.collect()
    assert.ok(follower.settle(follower.position.frame))
    assert.equal(follower.isOverwritten(), false)
    const later = new Date(Date.now() + 5000)
    const { utimesSync } = await import('node:fs')
    utimesSync(path(), later, later)
    assert.equal(follower.isOverwritten(), true)
  })

  it('notices the same when it has come upon an empty WAL, and not what the application does', async () => {
    await follower.attach([])
    assert.equal(follower.isOverwritten(), false)
    commit()
    await follower.collect()
    follower.advance()
    app.pragma('wal_checkpoint(TRUNCATE)')
    assert.equal(follower.isOverwritten(), false)
    await follower.close(new Error('stopped'))
    app.pragma('wal_checkpoint(TRUNCATE)')
    follower = new Follower(file)
    await follower.attach([])
    const later = new Date(Date.now() + 5000)
    const { utimesSync } = await import('node:fs')
    utimesSync(path(), later, later)
    assert.equal(follower.isOverwritten(), true)
  })

  it('shows one state page by page while commits and checkpoints go on', async () => {
    commit()
    await follower.attach([])
    for (const mode of ['mark', 'lock 0']) {
      for (let i = 0; i < 10; i++) commit(`before ${mode} ${i}`)
      if (mode === 'lock 0') {
        follower.advance()
        app.pragma('wal_checkpoint(PASSIVE)')
        await follower.collect()
        assert.ok(follower.settle(follower.position.frame))
      }
      const view = follower.openView()
      const expected = app.serialize()
      const image = Buffer.alloc(view.commit * view.pageSize)
      for (let page = 1; page <= view.commit; page++) {
        commit(`meanwhile ${page}`)
        if (page % 3 === 0) app.pragma('wal_checkpoint(PASSIVE)')
        await view.read(page, image.subarray((page - 1) * view.pageSize, page * view.pageSize))
      }
      view.close()
      assert.ok(image.equals(expected), mode)
      await follower.collect()
    }
  })

  it('refuses to show a state whose frames were overwritten', async () => {
    for (let i = 0; i < 5; i++) commit()
    await follower.attach([])
    const view = follower.openView()
    const { openSync, writeSync, closeSync } = await import('node:fs')
    const fd = openSync(`${path()}-wal`, 'r+')
    writeSync(fd, Buffer.alloc(100, 7), 0, 100, 32 + 24 + 200)
    closeSync(fd)
    const bytes = Buffer.alloc(view.pageSize)
    const readAll = async () => {
      for (let page = 1; page <= view.commit; page++) await view.read(page, bytes)
    }
    // The first frame may not be the newest of its page: every frame is damaged.
    const size = statSync(`${path()}-wal`).size
    for (let frame = 0; 32 + frame * 4120 < size; frame++) {
      const again = openSync(`${path()}-wal`, 'r+')
      writeSync(again, Buffer.alloc(8, 7), 0, 8, 32 + frame * 4120 + 24 + 300)
      closeSync(again)
    }
    await assert.rejects(readAll(), { code: 'E_CHECKSUM' })
    view.close()
  })

  it('takes nothing that lies behind the end of what SQLite counts', async () => {
    commit()
    await follower.attach([])
    await follower.collect()
    const { frame } = follower.position
    // A commit of an application that died before it told the others: a valid frame that never happened.
    const bytes = (await import('node:fs')).readFileSync(`${path()}-wal`)
    commit('the phantom')
    const withPhantom = (await import('node:fs')).readFileSync(`${path()}-wal`)
    assert.ok(withPhantom.length > bytes.length)
    await follower.close(new Error('stopped'))
    const copy = folder.file('copy.db')
    copyFileSync(path(), copy)
    writeFileSync(`${copy}-wal`, bytes)
    const other = DatabaseFile.open(copy)
    const reader = new Database(copy)
    reader.prepare('SELECT count(*) FROM rows').get()
    writeFileSync(`${copy}-wal`, withPhantom)
    const second = new Follower(other)
    await second.attach([])
    await second.collect()
    assert.equal(second.position.frame, frame)
    await second.close(new Error('stopped'))
    reader.close()
    other.close()
    follower = new Follower(file)
  })

  it('opens nothing any more once it is closed, whoever was in the middle of something', async () => {
    commit()
    await follower.attach([])
    await follower.collect()
    await follower.syncWal()
    commit()
    await follower.close(new Error('stopped'))
    assert.throws(() => follower.advance(), { code: 'E_ABORTED' })
    await assert.rejects(follower.collect(), { code: 'E_ABORTED' })
    await follower.syncWal()
  })
})
