import assert from 'node:assert/strict'
import { claimKey } from '../../core/fence/keys.js'
import { fileKey, sidecarKey } from '../../core/object-keys.js'
import { Violation } from './oracle.js'
import { type Effect, Rivals } from './rivals.js'

describe('what the simulation holds two machines against', () => {
  let rivals: Rivals
  const file = (level: number, minTxid: number, maxTxid = minTxid) =>
    fileKey('flat', 'app', { level, minTxid, maxTxid })
  const put = (key: string, before: Effect['before'] = 'none') => ({ operation: 'put', key, before }) as const
  const drop = (key: string, before: Effect['before'] = 'same') => ({ operation: 'delete', key, before }) as const
  const violates = (machine: number, effect: Effect) =>
    assert.throws(
      () => rivals.effect(machine, effect),
      (error) => error instanceof Violation && error.check === 'fenced',
    )

  /** Machine 0 has shipped two transactions, and machine 1 has taken over with the third. */
  beforeEach(() => {
    rivals = new Rivals('app')
    rivals.effect(0, put(claimKey('app', 1)))
    for (const key of [file(9, 1), file(0, 2), claimKey('app', 2), file(0, 3)]) {
      rivals.effect(key === file(0, 3) || key === claimKey('app', 2) ? 1 : 0, put(key))
    }
    assert.deepEqual([rivals.holder, rivals.since], [1, 3])
  })

  it('the new one ships, merges and removes', () => {
    for (const effect of [put(file(0, 4)), put(file(1, 2, 4)), drop(file(0, 2)), put(file(9, 1, 4))])
      rivals.effect(1, effect)
    rivals.shipped(1, 4)
  })

  it('the old one stores what both have in common, puts back what was its own, and takes that away again', () => {
    for (const effect of [put(file(1, 1, 2)), put(file(9, 1, 2)), put(file(0, 2), 'gone-same')])
      rivals.effect(0, effect)
    rivals.effect(0, drop(file(0, 2)))
    rivals.shipped(0, 2)
    rivals.effect(0, put('.walrust/heartbeats/00.json', 'other'))
  })

  it('what arrives before the new one has the next transaction is history', () => {
    rivals.effect(2, put(claimKey('app', 3)))
    rivals.effect(1, put(file(0, 4)))
    rivals.shipped(1, 4)
    rivals.effect(2, put(file(0, 5)))
    violates(1, put(file(0, 6)))
  })

  it('finds a transaction that was written over another one, by anybody', () => {
    for (const before of ['other', 'gone-other'] as const)
      for (const machine of [0, 1]) violates(machine, put(file(0, 2), before))
  })

  it('finds what the old one adds, replaces and deletes', () => {
    for (const key of [file(0, 3), file(0, 9), file(1, 2, 3), file(9, 1, 4)]) violates(0, put(key))
    violates(0, put(file(0, 1)))
    for (const key of [file(1, 1, 2), file(9, 1)]) violates(0, put(key, 'other'))
    violates(0, put(sidecarKey('app', { level: 1, minTxid: 1, maxTxid: 2 }), 'other'))
    violates(0, drop(file(0, 2)))
  })

  it('finds that the old one says it ships', () => {
    assert.throws(() => rivals.shipped(0, 3), Violation)
  })
})
