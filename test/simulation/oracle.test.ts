import assert from 'node:assert/strict'
import { type Check, Oracle, Violation } from './oracle.js'

describe('the oracle of the simulation', () => {
  let oracle: Oracle
  beforeEach(() => {
    oracle = new Oracle()
    for (const state of ['a', 'b', 'c', 'd']) oracle.committed(state)
  })

  const violates = (check: Check, work: () => void) =>
    assert.throws(work, (error) => error instanceof Violation && error.check === check)

  it('takes a history as it was', () => {
    oracle.shipped(1, '1')
    oracle.promised(2)
    oracle.restored(1, 'a', '1')
    oracle.restored(2, 'c', '2')
    oracle.restored(3, 'd', '3')
    oracle.restoredNewest(3, 'd')
    oracle.checkOrder()
  })

  it('finds a state that never was', () => violates('genuine', () => oracle.restored(1, 'x', '1')))

  it('finds that a transaction has become another state', () => {
    oracle.restored(2, 'b', '2')
    violates('exact', () => oracle.restored(2, 'c', '2'))
  })

  it('finds that a transaction is not what was shipped, and that its number was given twice', () => {
    oracle.shipped(2, '2')
    violates('exact', () => oracle.restored(2, 'b', '3'))
    violates('exact', () => oracle.shipped(2, '4'))
  })

  it('finds an order that was not', () => {
    oracle.restored(1, 'c', '1')
    oracle.restored(2, 'b', '2')
    violates('genuine', () => oracle.checkOrder())
  })

  it('allows what was put back', () => {
    oracle.restored(1, 'c', '1')
    oracle.committed('b')
    oracle.restored(2, 'b', '2')
    oracle.checkOrder()
  })

  it('finds that what was durable is gone', () => {
    oracle.promised(3)
    violates('durable', () => oracle.restoredNewest(2, 'c'))
    oracle.shipped(4, '4')
    violates('durable', () => oracle.restoredNewest(3, 'd'))
  })
})
