import assert from 'node:assert/strict'
import Database from 'better-sqlite3'
import { DatabaseFile } from '../../../core/database/database-file.js'
import { Host } from '../../../core/host.js'
import { SILENT } from '../../../core/log.js'
import { FrameSupply, type FrameUser } from '../../../core/replicator/frame-supply.js'
import { Follower } from '../../../core/wal/follower.js'
import { comparePositions, LOG_START, type LogPosition } from '../../../core/wal/position.js'
import { createDatabase, useFolder } from '../../helpers/databases.js'
import memoryFrames from '../../helpers/memory-frames.js'

/** A shipper, as far as frames are concerned. */
class User implements FrameUser {
  readonly url = 'memory:test'
  readonly waitingBytes = 0
  caughtUp = false
  readonly reasons: string[] = []
  constructor(public needs: LogPosition | undefined) {}

  lost(reason: string): void {
    this.reasons.push(reason)
    this.needs = undefined
  }
}

describe('where shippers get their frames from', () => {
  const folder = useFolder()
  let app: Database.Database
  let file: DatabaseFile
  let follower: Follower
  let host: Host
  let users: User[]
  let told: string[]

  beforeEach(async () => {
    const path = folder.file('app.db')
    createDatabase(path, { bytes: 50_000 })
    file = DatabaseFile.open(path)
    app = new Database(path)
    app.pragma('wal_autocheckpoint = 0')
    follower = new Follower(file)
    await follower.attach([])
    host = new Host(SILENT)
    users = []
    told = []
  })
  afterEach(async () => {
    await follower.close(new Error('the test is over'))
    app.close()
    file.close()
  })

  /** Commits, and reads that. Returns up to where. */
  async function commit(): Promise<LogPosition> {
    app.exec('INSERT INTO rows(body) VALUES (randomblob(5000))')
    await follower.collect()
    return follower.position
  }

  function supply({ maxWaiting = 1e9, maxWal = 1e9 } = {}): FrameSupply {
    return new FrameSupply({
      hooks: host.hooks,
      database: { name: 'app', path: file.path, stateDir: folder.file('state') },
      users,
      following: () => follower,
      notify: (event) => told.push(event),
      ...{ maxWaiting, maxWal, log: SILENT },
    })
  }

  /** Whether a batch goes from one position to another. */
  async function reads(frames: FrameSupply, since: LogPosition, to: LogPosition): Promise<boolean> {
    const batch = await frames.read(since)
    try {
      return comparePositions(batch.from, since) <= 0 && comparePositions(batch.to, to) === 0
    } finally {
      batch.close()
    }
  }

  it('the WAL, and what the tap has kept of it with the rest of the WAL behind', async () => {
    host.use(memoryFrames())
    const start = await commit()
    users.push(new User(start))
    const frames = supply()
    const kept = await commit()
    assert.ok(await reads(frames, start, kept))
    assert.equal(await frames.keep(), kept.frame)
    assert.ok(frames.bytes > 0)
    assert.deepEqual([frames.holds(start), frames.holds(kept), frames.holds(LOG_START)], [true, true, false])
    assert.ok(await reads(frames, start, await commit()))
  })

  it('nothing is kept that nobody needs, and what was needed goes when all have moved on', async () => {
    host.use(memoryFrames())
    const start = await commit()
    const end = await commit()
    const user = new User(end)
    users.push(user, new User(undefined))
    const frames = supply()
    assert.equal(await frames.keep(), end.frame)
    assert.equal(frames.bytes, 0)
    user.needs = start
    await frames.keep()
    assert.equal(frames.holds(start), true)
    user.needs = end
    frames.trim()
    const recovered = await host.hooks.frameRead.promise({
      ...{ reason: 'ship', pageSize: 4096, since: start, wal: undefined },
      database: { name: 'app', path: file.path, stateDir: folder.file('state') },
    })
    assert.equal(recovered, undefined)
  })

  it('twice at once hands frames over once', async () => {
    let handed = 0
    host.use(memoryFrames())
    host.hooks.frameRead.tap({ name: 'count', stage: -1 }, () => {
      handed++
      return undefined
    })
    users.push(new User(await commit()))
    const frames = supply()
    const end = await commit()
    assert.deepEqual(await Promise.all([frames.keep(), frames.keep()]), [end.frame, end.frame])
    assert.equal(handed, 1)
  })

  it('beyond what may wait, whoever is furthest behind loses its frames, and nobody else', async () => {
    host.use(memoryFrames())
    const slow = new User(await commit())
    const quick = new User(await commit())
    users.push(slow, quick)
    await commit()
    const frames = supply({ maxWaiting: 1 })
    await frames.keep()
    assert.deepEqual(told, ['spool_high'])
    assert.deepEqual(slow.reasons, ['more was waiting than may be kept'])
    assert.deepEqual(quick.reasons, [])
    assert.ok(frames.bytes > 0)
  })

  it('without room frames are given up, and the WAL is held for nobody', async () => {
    host.hooks.frameRead.tap('full', () => {
      throw Object.assign(new Error('no space left'), { code: 'ENOSPC' })
    })
    const behind = new User(await commit())
    const durable = new User(behind.needs)
    durable.caughtUp = true
    users.push(behind, durable)
    const end = await commit()
    assert.equal(await supply().keep(), end.frame)
    assert.deepEqual(told, ['disk_full'])
    assert.equal(behind.reasons.length, 1)
    assert.deepEqual(durable.reasons, [])
  })

  it('what else a tap throws is not taken for a full disk', async () => {
    host.hooks.frameRead.tap('broken', () => {
      throw new TypeError('broken')
    })
    const user = new User(await commit())
    users.push(user)
    await commit()
    await assert.rejects(supply().keep(), /broken/)
    assert.deepEqual(user.reasons, [])
  })

  it('a WAL that is too long is told of once, and held only for what cannot be kept', async () => {
    const user = new User(await commit())
    users.push(user)
    await commit()
    const without = supply({ maxWal: 1 })
    await without.checkWalSize(follower)
    await without.checkWalSize(follower)
    assert.deepEqual(told, ['wal_size_exceeded'])
    assert.deepEqual(user.reasons, ['the WAL has grown too long to be held'])

    host.use(memoryFrames())
    const lucky = new User(await commit())
    users.splice(0, 1, lucky)
    await commit()
    await supply({ maxWal: 1 }).checkWalSize(follower)
    assert.deepEqual(lucky.reasons, [])
  })
})
