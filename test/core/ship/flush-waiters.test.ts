import assert from 'node:assert/strict'
import { FlushWaiters } from '../../../core/ship/flush-waiters.js'

const at = (frame: number) => ({ generation: 1, frame })

describe('those who wait for a flush', () => {
  it('are told when their own position is durable, and not before', async () => {
    const waiters = new FlushWaiters()
    const told: number[] = []
    const first = waiters.wait(at(3), undefined).then(() => told.push(3))
    const second = waiters.wait(at(7), undefined).then(() => told.push(7))
    waiters.settle(undefined, undefined)
    waiters.settle(at(2), undefined)
    await new Promise(setImmediate)
    assert.deepEqual(told, [])
    waiters.settle(at(3), undefined)
    await first
    assert.equal(waiters.any, true)
    waiters.settle({ generation: 2, frame: 0 }, undefined)
    await second
    assert.deepEqual(told, [3, 7])
    assert.equal(waiters.any, false)
  })

  it('are told why nothing more comes, except those who have what they wanted', async () => {
    const waiters = new FlushWaiters()
    const had = waiters.wait(at(3), undefined)
    const wanted = assert.rejects(waiters.wait(at(7), undefined), /halted/)
    waiters.settle(at(3), new Error('halted'))
    await had
    await wanted
  })

  it('may be many with one signal: Node sees no leak in that', async () => {
    const warnings: Error[] = []
    const warned = (warning: Error) => warnings.push(warning)
    process.on('warning', warned)
    try {
      const abort = new AbortController()
      const all = Array.from({ length: 20 }, () => assert.rejects(new FlushWaiters().wait(at(3), abort.signal), /late/))
      abort.abort(new Error('late'))
      await Promise.all(all)
      await new Promise(setImmediate)
    } finally {
      process.off('warning', warned)
    }
    assert.deepEqual(warnings, [])
  })

  it('can give up, each for itself', async () => {
    const waiters = new FlushWaiters()
    const abort = new AbortController()
    const impatient = assert.rejects(waiters.wait(at(3), abort.signal), /late/)
    const patient = waiters.wait(at(3), undefined)
    abort.abort(new Error('late'))
    await impatient
    assert.equal(waiters.any, true)
    waiters.settle(at(3), undefined)
    await patient
  })
})
