import assert from 'node:assert/strict'
import { planMerges } from '../../../core/compact/levels.js'
import { Inventory, type StoredFile } from '../../../core/inventory.js'
import { DEFAULT_SETTINGS } from '../../../core/settings.js'

const HOUR = 3_600_000
const NOW = Date.UTC(2026, 0, 5)

/** A file of so many hours ago. */
function file(level: number, minTxid: number, maxTxid: number, hours: number): StoredFile {
  return { level, minTxid, maxTxid, key: `${level}/${minTxid}-${maxTxid}`, size: 100, timestamp: NOW - hours * HOUR }
}

describe('planMerges', () => {
  const merged = (files: StoredFile[], post: number) => {
    const inventory = new Inventory()
    for (const one of files) inventory.add(one)
    inventory.fencePosts.add(post)
    return planMerges(inventory, DEFAULT_SETTINGS.compaction, NOW).flatMap(({ sources }) =>
      sources.map(({ minTxid }) => minTxid),
    )
  }
  const younger = [file(9, 1, 20, 1), file(0, 21, 21, 0.9), file(0, 22, 22, 0)]

  it('leaves a fence post alone that has outlived what it continued, however young it is', () => {
    assert.ok(!merged([file(0, 8, 8, 2), ...younger], 8).includes(8))
    // Nor what continues only that.
    assert.ok(!merged([file(0, 8, 8, 2), file(0, 9, 9, 2), ...younger], 8).includes(9))
  })

  for (const [what, before] of [
    ['a file of its level', file(0, 7, 7, 2)],
    ['a merged one', file(2, 3, 7, 2)],
    ['a snapshot', file(9, 1, 7, 2)],
  ] as const) {
    it(`merges one that still continues ${what}`, () => {
      assert.ok(merged([before, file(0, 8, 8, 2), ...younger], 8).includes(8))
    })
  }

  it('does not take a snapshot of more for what it continues', () => {
    assert.ok(!merged([file(9, 1, 12, 2), file(0, 8, 8, 2), ...younger], 8).includes(8))
  })
})
