import assert from 'node:assert/strict'
import { SnapshotSchedule } from '../../../core/ship/snapshot-schedule.js'
import type { SnapshotSettings } from '../../../core/settings.js'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const OFF: SnapshotSettings = { interval: 0, maxChanges: 0, maxInterval: 0, onIdle: 0, onStartup: false }

describe('when a snapshot is due', () => {
  /** A start with a snapshot of transaction 5, taken half an hour before. */
  function begun(settings: Partial<SnapshotSettings>): SnapshotSchedule {
    const schedule = new SnapshotSchedule({ ...OFF, ...settings })
    schedule.begin(5, -30 * MINUTE, 0)
    return schedule
  }

  it('never without a change, whatever is set: a start on an unchanged database takes none', () => {
    const all = { interval: HOUR, maxChanges: 1, maxInterval: MINUTE, onIdle: MINUTE, onStartup: true }
    const schedule = begun(all)
    schedule.changed(5, 10)
    assert.equal(schedule.due, Infinity)
  })

  it('by interval: an interval after the newest one, also one of an earlier run', () => {
    const schedule = begun({ interval: HOUR })
    schedule.changed(6, MINUTE)
    assert.equal(schedule.due, 30 * MINUTE)
    schedule.started(30 * MINUTE)
    schedule.stored(6)
    assert.equal(schedule.due, Infinity)
    schedule.changed(7, 35 * MINUTE)
    assert.equal(schedule.due, 90 * MINUTE)
  })

  it('by interval: one that fell due while nothing was committed is taken at the next commit', () => {
    const schedule = begun({ interval: HOUR })
    schedule.changed(6, 5 * HOUR)
    assert.ok(schedule.due <= 5 * HOUR)
  })

  it('by changes: so many transactions after the newest one', () => {
    const schedule = begun({ maxChanges: 3 })
    schedule.changed(7, MINUTE)
    assert.equal(schedule.due, Infinity)
    schedule.changed(8, 2 * MINUTE)
    assert.ok(schedule.due <= 2 * MINUTE)
    schedule.started(2 * MINUTE)
    schedule.stored(8)
    schedule.changed(10, 3 * MINUTE)
    assert.equal(schedule.due, Infinity)
  })

  it('by the longest time: so long after the first change since the newest one, however busy it is', () => {
    const schedule = begun({ maxInterval: HOUR })
    schedule.changed(6, 10 * MINUTE)
    for (let i = 0; i < 50; i++) schedule.changed(7 + i, (11 + i) * MINUTE)
    assert.equal(schedule.due, 70 * MINUTE)
  })

  it('by idleness: so long after the last commit', () => {
    const schedule = begun({ onIdle: 5 * MINUTE })
    schedule.changed(6, 10 * MINUTE)
    schedule.changed(7, 14 * MINUTE)
    assert.equal(schedule.due, 19 * MINUTE)
  })

  it('at start: once, for what was committed before it', () => {
    const schedule = begun({ onStartup: true })
    schedule.changed(6, 10)
    assert.ok(schedule.due <= 10)
    schedule.started(10)
    schedule.stored(6)
    schedule.changed(7, MINUTE)
    assert.equal(schedule.due, Infinity)
    const caughtUp = begun({ onStartup: true })
    caughtUp.settled()
    caughtUp.changed(6, MINUTE)
    assert.equal(caughtUp.due, Infinity)
  })

  it('the earliest of several counts; after a failure not for a minute', () => {
    const schedule = begun({ interval: HOUR, onIdle: 5 * MINUTE })
    schedule.changed(6, 10 * MINUTE)
    assert.equal(schedule.due, 15 * MINUTE)
    schedule.changed(7, 29 * MINUTE)
    assert.equal(schedule.due, 30 * MINUTE)
    schedule.failed(30 * MINUTE)
    assert.equal(schedule.due, 31 * MINUTE)
  })
})
