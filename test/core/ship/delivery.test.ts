import assert from 'node:assert/strict'
import { Delivery } from '../../../core/ship/delivery.js'

describe('how far a database has come in one storage', () => {
  const open = new AbortController().signal

  it('says how long the commits of a confirmed file had waited', () => {
    const delivery = new Delivery()
    delivery.unshipped.saw({ generation: 1, frame: 1 }, Date.now() - 5000)
    delivery.unshipped.take()
    delivery.confirm(1)
    assert.equal(delivery.confirmed, 1)
    assert.ok((delivery.lag ?? 0) >= 5000)
    assert.ok(Math.abs((delivery.lastSync ?? 0) - Date.now()) < 5000)
    // Nothing was waiting: how long the last one took is what is known.
    const { lag } = delivery
    delivery.confirm(2)
    assert.equal(delivery.lag, lag)
  })

  it('is waited for until the transaction itself is confirmed, and not after that', async () => {
    const delivery = new Delivery()
    let reached = false
    const waiting = delivery.until(2, open).then(() => (reached = true))
    delivery.confirm(1)
    await new Promise(setImmediate)
    assert.equal(reached, false)
    delivery.confirm(2)
    await waiting
    await delivery.until(2, open)
  })

  it('is waited for no longer than the signal says', async () => {
    const delivery = new Delivery()
    const abort = new AbortController()
    const waiting = delivery.until(1, abort.signal)
    abort.abort(new Error('stopped'))
    await assert.rejects(waiting, /stopped/)
    // Nor begun afterwards: whoever had to queue for it would never be told.
    await assert.rejects(delivery.until(1, abort.signal), /stopped/)
  })
})
