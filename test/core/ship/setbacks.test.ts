import assert from 'node:assert/strict'
import { WalrustError } from '../../../core/errors.js'
import { StoreError } from '../../../core/object-store.js'
import { Setbacks } from '../../../core/ship/setbacks.js'
import { ContinuityLost } from '../../../core/wal/follower.js'

describe('what failures in a row mean', () => {
  let told: string[]
  const setbacks = ({ giveUp = false, maxRetries = 2 } = {}) =>
    new Setbacks({ giveUp, resilience: { maxRetries, baseDelay: 1, maxDelay: 2 } }, (event) => told.push(event))
  beforeEach(() => (told = []))

  const passing = () => new StoreError('transient', 'the network was away')

  it('frames that were lost, and pages that are not what they should be, are compared anew', () => {
    assert.equal(setbacks().judge(new ContinuityLost('the WAL was replaced')), 'compare')
    assert.equal(setbacks().judge(new WalrustError('E_CHECKSUM', 'not the database')), 'compare')
  })

  it('what may pass is tried again; what may not ends it', () => {
    for (const error of [
      passing(),
      new StoreError('throttled', 'slow down'),
      new WalrustError('E_HOOK', 'a plugin stumbled'),
      new WalrustError('E_STATE', 'the state folder'),
      new WalrustError('E_DATABASE_UNREADABLE', 'not there'),
      new WalrustError('E_DISK_FULL', 'no space'),
    ]) {
      assert.equal(setbacks().judge(error), 'retry', error.message)
    }
    for (const error of [
      new StoreError('auth', 'who are you'),
      new StoreError('permanent', 'never'),
      new WalrustError('E_FENCED', 'somebody else'),
      new WalrustError('E_STALE_MACHINE', 'not what lies there'),
      new TypeError('a defect of ours'),
    ]) {
      assert.equal(setbacks().judge(error), 'halt', error.message)
    }
  })

  it('where it is not to try on, the fourth in a row ends it; a full disk never does', () => {
    const impatient = setbacks({ giveUp: true })
    const full = new WalrustError('E_DISK_FULL', 'no space')
    assert.deepEqual(
      [1, 2, 3, 4].map(() => impatient.judge(passing())),
      ['retry', 'retry', 'retry', 'halt'],
    )
    assert.equal(impatient.judge(full), 'retry')
    impatient.over()
    assert.equal(impatient.judge(passing()), 'retry')
  })

  it('they are told of once, when they do not pass soon, and so is that they have', () => {
    const patient = setbacks({ maxRetries: 2 })
    for (let i = 0; i < 5; i++) {
      patient.judge(passing())
      patient.note(passing())
      assert.deepEqual(told, i < 2 ? [] : ['sync_failed'])
    }
    assert.equal(patient.failing?.error, 'the network was away')
    patient.over()
    assert.deepEqual(told, ['sync_failed', 'recovered'])
    assert.equal(patient.failing, undefined)
  })

  it('one that passed soon was never told of', () => {
    const patient = setbacks()
    patient.judge(passing())
    patient.note(passing())
    patient.over()
    assert.deepEqual(told, [])
  })

  it('a full disk is told of at once', () => {
    const patient = setbacks()
    const full = new WalrustError('E_DISK_FULL', 'no space')
    patient.judge(full)
    patient.note(full)
    assert.deepEqual(told, ['disk_full'])
  })

  it('however many there are, none is waited for longer than it may be', async () => {
    const { signal } = new AbortController()
    const patient = setbacks()
    // With bounds of its own, from a quarter of a second to half a minute, these would take a quarter of an hour.
    for (let i = 0; i < 40; i++) await patient.pause(passing(), signal)
  })
})
