import assert from 'node:assert/strict'
import { Unshipped } from '../../core/ship/unshipped.js'
import {
  type DatabaseStatus,
  healthOf,
  healthOfAll,
  refusedStatus,
  type StorageStatus,
  unshippedSince,
} from '../../core/status.js'

const NOW = 1_000_000
const MAX_LAG = 1000

const STORAGE: StorageStatus = {
  ...{ url: 'file:///b', state: 'shipping', txid: 1, confirmed: 1, lag: 1, lastSync: NOW, nextSnapshot: undefined },
  ...{ unshippedSince: undefined, spoolBytes: 0, waitingBytes: 0, storedBytes: 1, storedFiles: 1 },
  ...{ failingSince: undefined, error: undefined },
}

function database(more: Partial<DatabaseStatus>, ...storages: Array<Partial<StorageStatus>>): DatabaseStatus {
  return {
    ...{ name: 'app', path: 'app.db', state: 'live', since: 0, error: undefined, databaseBytes: 1, walBytes: 0 },
    ...{ commits: 0, heldBytes: 0, damagedPages: 0, ...more },
    storages: (storages.length > 0 ? storages : [{}]).map((storage) => ({ ...STORAGE, ...storage })),
  }
}

describe('health', () => {
  const cases: ReadonlyArray<[string, DatabaseStatus, string]> = [
    ['all durable', database({}), 'healthy'],
    ['a commit waits, not for too long', database({}, { unshippedSince: NOW - MAX_LAG }), 'healthy'],
    ['a commit waits for too long', database({}, { unshippedSince: NOW - MAX_LAG - 1 }), 'unhealthy'],
    ['in one storage of two', database({}, {}, { unshippedSince: NOW - MAX_LAG - 1 }), 'unhealthy'],
    ['requests fail', database({}, { failingSince: NOW - 1 }), 'degraded'],
    ['one storage of two is halted', database({}, {}, { state: 'halted' }), 'unhealthy'],
    ['halted', database({ state: 'halted' }), 'unhealthy'],
    ['away for a moment', database({ state: 'unavailable', since: NOW - MAX_LAG }), 'degraded'],
    ['away for long', database({ state: 'unavailable', since: NOW - MAX_LAG - 1 }), 'unhealthy'],
    ['its file is damaged', database({ damagedPages: 1 }), 'unhealthy'],
    ['never opened', refusedStatus('app', 'app.db', 'not in WAL mode', NOW), 'degraded'],
  ]
  for (const [what, status, expected] of cases) {
    it(`${what}: ${expected}`, () => assert.equal(healthOf(status, MAX_LAG, NOW), expected))
  }

  it('of a process is that of its worst database', () => {
    const all = (...databases: DatabaseStatus[]) => healthOfAll({ startedAt: 0, maxLag: MAX_LAG, databases }, NOW)
    const [well, shaky, bad] = [database({}), database({}, { failingSince: NOW }), database({ state: 'halted' })]
    assert.equal(all(well, well), 'healthy')
    assert.equal(all(well, shaky), 'degraded')
    assert.equal(all(shaky, bad, well), 'unhealthy')
    assert.equal(all(), 'degraded')
  })

  it('the oldest commit is that of the storage that is furthest behind', () => {
    assert.equal(unshippedSince(database({}, { unshippedSince: 7 }, { unshippedSince: 5 }, {})), 5)
    assert.equal(unshippedSince(database({})), undefined)
  })
})

describe('since when commits wait', () => {
  const at = (frame: number) => ({ generation: 1, frame })

  it('is the oldest in the file under way, then the oldest gathered meanwhile', () => {
    const waiting = new Unshipped()
    waiting.saw(at(1), 10)
    waiting.saw(at(2), 20)
    assert.equal(waiting.since, 10)
    waiting.take()
    waiting.saw(at(3), 30)
    waiting.saw(at(4), 40)
    assert.equal(waiting.since, 10)
    assert.equal(waiting.confirm(), 10)
    assert.equal(waiting.since, 30)
    waiting.take()
    assert.equal(waiting.confirm(), 30)
    assert.equal(waiting.since, undefined)
  })

  it('keeps its age when a file fails and is taken again', () => {
    const waiting = new Unshipped()
    waiting.saw(at(1), 10)
    waiting.take()
    waiting.saw(at(2), 20)
    waiting.take()
    assert.equal(waiting.since, 10)
    assert.equal(waiting.confirm(), 10)
    assert.equal(waiting.since, undefined)
  })

  it('does not begin with a look that finds nothing new', () => {
    const waiting = new Unshipped()
    waiting.saw(at(1), 10)
    waiting.clear()
    waiting.saw(at(1), 20)
    assert.equal(waiting.since, undefined)
    waiting.doubt(30)
    assert.equal(waiting.since, 30)
  })
})
