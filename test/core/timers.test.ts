import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { parseDuration } from '../../core/config/units.js'
import { Engine } from '../../core/engine.js'
import { Host } from '../../core/host.js'
import { SILENT } from '../../core/log.js'
import { WakeUp } from '../../core/ship/signal.js'
import { StorageHealth } from '../../core/storage/health.js'
import { LONGEST_TIMER } from '../../core/timers.js'
import { milliseconds } from '../../plugins/options.js'

/** Longer than a timer takes: Node would let it fire at once, again and again. */
const LONG = '30d'
const MILLISECONDS = parseDuration(LONG) ?? 0

describe('times that are longer than a timer takes', () => {
  let warnings: Error[]
  const listen = (warning: Error) => void warnings.push(warning)
  beforeEach(() => {
    warnings = []
    process.on('warning', listen)
  })
  afterEach(async () => {
    await turn()
    process.off('warning', listen)
    assert.deepEqual(warnings, [])
  })

  it('a sleeper sleeps until he is woken', async () => {
    const wake = new WakeUp()
    const woken = wake.wait(MILLISECONDS)
    for (let i = 0; i < 20; i++) await turn()
    wake.notify()
    assert.equal(await woken, true)
  })

  it('a storage that is to be left alone is, until the signal', async () => {
    const stop = new AbortController()
    const pause = new StorageHealth('memory:', false).pause(MILLISECONDS, stop.signal)
    for (let i = 0; i < 20; i++) await turn()
    stop.abort(new Error('enough'))
    await assert.rejects(pause, /enough/)
  })

  it('an engine that may take that long to end ends when it is done', async () => {
    assert.deepEqual(
      await new Engine({ host: new Host(SILENT), log: SILENT, uploadConcurrency: 1 }).close(MILLISECONDS),
      [],
    )
  })

  it('what a plugin is told is cut to that', () => {
    assert.equal(milliseconds('a plugin', 'interval', LONG), LONGEST_TIMER)
    assert.equal(milliseconds('a plugin', 'interval', '7d'), 7 * 86_400_000)
  })
})
