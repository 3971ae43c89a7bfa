import assert from 'node:assert/strict'
import { Continuity } from '../../../core/ship/continuity.js'

const at = (frame: number) => ({ generation: 1, frame })

/** One that ships, from a position that was found in the WAL. */
function shipping(): Continuity {
  const continuity = new Continuity()
  continuity.placed()
  continuity.restored(true)
  return continuity
}

describe('whether frames can be shipped one after the other', () => {
  it('not before this machine and storage were compared; frames from the position on are kept for it meanwhile', () => {
    const continuity = new Continuity()
    assert.equal(continuity.state, 'starting')
    assert.equal(continuity.needs(at(5)), undefined)
    continuity.placed()
    assert.deepEqual(continuity.needs(at(5)), at(5))
    assert.equal(continuity.unbroken, false)
    continuity.restored(true)
    assert.equal(continuity.unbroken, true)
    assert.deepEqual(continuity.needs(at(5)), at(5))
  })

  it('not when the position was not found, or the page checksums are not whole: what differs is found first', () => {
    const unplaced = new Continuity()
    unplaced.restored(true)
    assert.deepEqual(unplaced.need, { kind: 'heal', reason: 'the database has not been read yet' })
    const torn = new Continuity()
    torn.placed()
    torn.restored(false)
    assert.equal(torn.need.kind, 'heal')
  })

  it('frames are of no use while everything will be compared, and from the state that is looked at on they are', () => {
    const continuity = shipping()
    continuity.lost('the WAL was replaced')
    assert.deepEqual(continuity.need, { kind: 'heal', reason: 'the WAL was replaced' })
    assert.equal(continuity.needs(at(5)), undefined)
    continuity.viewing(at(9))
    assert.deepEqual(continuity.needs(at(5)), at(9))
    continuity.restored(true)
    assert.equal(continuity.unbroken, true)
    assert.deepEqual(continuity.needs(at(9)), at(9))
  })

  it('frames that are lost while a state is looked at are found by the next comparison', () => {
    const continuity = shipping()
    continuity.lost('once')
    continuity.viewing(at(9))
    continuity.lost('twice')
    assert.equal(continuity.needs(at(5)), undefined)
    continuity.restored(true)
    assert.deepEqual(continuity.need, { kind: 'heal', reason: 'twice' })
  })

  it('what has to be compared with storage first is not put off by anything that is lost', () => {
    const continuity = shipping()
    continuity.start({ kind: 'snapshot' })
    continuity.lost('the WAL was replaced')
    continuity.doubt('a checksum')
    assert.equal(continuity.need.kind, 'snapshot')
  })

  it('what was found to differ still has to be shipped when storage is looked at anew', () => {
    const continuity = shipping()
    continuity.heal('the page size has changed')
    continuity.prepareAgain()
    assert.equal(continuity.state, 'starting')
    assert.equal(continuity.needs(at(5)), undefined)
    continuity.restored(true)
    assert.deepEqual(continuity.need, { kind: 'heal', reason: 'the page size has changed' })
  })

  it('a look that came to nothing needs no frames', () => {
    const continuity = shipping()
    continuity.lost('the WAL was replaced')
    continuity.viewing(at(9))
    continuity.viewEnded()
    assert.equal(continuity.needs(at(5)), undefined)
  })
})
