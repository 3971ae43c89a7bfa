import assert from 'node:assert/strict'
import { WalrustError } from '../../../core/errors.js'
import { SILENT } from '../../../core/log.js'
import { Refusals } from '../../../core/service/refusals.js'

const place = { path: '/data', name: undefined }
const named = { name: 'app', path: '/data/app.db', found: false, place }
const found = { name: 'other', path: '/data/other.db', found: true, place }

describe('databases that cannot be watched', () => {
  let said: string[]
  let told: string[]
  let refusals: Refusals

  beforeEach(() => {
    said = []
    told = []
    const log = { ...SILENT, error: (message: string) => said.push(message) }
    refusals = new Refusals(log, (_event, name) => told.push(name))
  })

  it('are told of once for each reason, however often it is tried', () => {
    for (let i = 0; i < 3; i++) refusals.add(named, new WalrustError('E_NOT_WAL', 'not in WAL mode'))
    assert.deepEqual([said.length, told], [1, ['app']])
    refusals.add(named, new WalrustError('E_DATABASE_MISSING', 'not there'))
    assert.deepEqual([said.length, told], [2, ['app', 'app']])
  })

  it('show in the status since they were first refused, if somebody has named them', () => {
    refusals.add(named, new WalrustError('E_NOT_WAL', 'not in WAL mode'))
    const [{ since }] = refusals.statuses
    refusals.add(named, new WalrustError('E_DATABASE_MISSING', 'not there'))
    assert.deepEqual(
      refusals.statuses.map((status) => [status.name, status.error, status.since]),
      [['app', 'not there', since]],
    )
  })

  it('are nobody’s business if a pattern has found them, unless it is their name that is wrong', () => {
    refusals.add(found, new WalrustError('E_NOT_WAL', 'not in WAL mode'))
    assert.deepEqual([refusals.statuses, told], [[], []])
    assert.equal(refusals.named('other')?.error.code, 'E_NOT_WAL')
    refusals.add(found, new WalrustError('E_DUPLICATE_NAME', 'both'))
    assert.deepEqual(told, ['other'])
  })

  it('are forgotten when nobody asks for them any more', () => {
    refusals.add(named, new WalrustError('E_NOT_WAL', 'not in WAL mode'))
    refusals.add(found, new WalrustError('E_NOT_WAL', 'not in WAL mode'))
    refusals.keepOnly(new Set([found.path]))
    assert.deepEqual(
      refusals.all.map(({ name }) => name),
      ['other'],
    )
  })
})
