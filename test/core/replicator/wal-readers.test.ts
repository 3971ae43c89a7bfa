import assert from 'node:assert/strict'
import { WalReaders } from '../../../core/replicator/wal-readers.js'

describe('readers of pages that may be in the WAL only', () => {
  /** Work that goes on until it is told to end. */
  function work() {
    let end = (_error?: Error): void => undefined
    const done = new Promise<void>((resolve, reject) => (end = (error) => (error ? reject(error) : resolve())))
    return { end, done }
  }

  it('count from the call itself until their work has ended, whatever came of it', async () => {
    const readers = new WalReaders()
    const [one, two] = [work(), work()]
    const first = readers.run(() => one.done)
    assert.equal(readers.any, true)
    const second = assert.rejects(
      readers.run(() => two.done),
      /broken/,
    )
    one.end()
    await first
    assert.equal(readers.any, true)
    two.end(new Error('broken'))
    await second
    assert.equal(readers.any, false)
  })

  it('are waited for to the last one, those included who come meanwhile', async () => {
    const readers = new WalReaders()
    await readers.none()
    const [one, two] = [work(), work()]
    const first = readers.run(() => one.done)
    let none = false
    const waiting = readers.none().then(() => (none = true))
    const second = readers.run(() => two.done)
    one.end()
    await first
    await new Promise(setImmediate)
    assert.equal(none, false)
    two.end()
    await second
    await waiting
  })
})
