import assert from 'node:assert/strict'
import { Assumptions } from '../../../core/cost/assumptions.js'
import { heartbeatsOf, monthlyCost, restoreCost, snapshotsPerDay, usageOf } from '../../../core/cost/estimate.js'
import { keptSnapshots } from '../../../core/cost/kept-snapshots.js'
import { Host } from '../../../core/host.js'
import { SILENT } from '../../../core/log.js'
import { type DatabaseSettings, DEFAULT_SETTINGS } from '../../../core/settings.js'
import { retentionGfs } from '../../../plugins/retention-gfs/index.js'
import { storageGcs } from '../../../plugins/storage-gcs/index.js'
import { storageFile } from '../../../plugins/storage-file/index.js'
import { storageS3 } from '../../../plugins/storage-s3/index.js'
import keepSnapshots from '../../helpers/keep-snapshots.js'

const GB = 2 ** 30
const MONTH = 365.25 / 12
const PRESET: DatabaseSettings = {
  ...DEFAULT_SETTINGS,
  compaction: { ...DEFAULT_SETTINGS.compaction, afterSnapshot: true },
}
const PRICES = { name: 'x', asOf: '', currency: 'USD', stored: 0.02, write: 0.005, read: 0.0004, egress: 0.1 }
const close = (seen: number, wanted: number) =>
  assert.ok(Math.abs(seen - wanted) <= Math.abs(wanted) * 0.01, `${seen} instead of about ${wanted}`)

describe('the estimate of costs', () => {
  const { workload } = new Assumptions([])
  const estimated = { bytes: GB, settings: PRESET, keptSnapshots: 40 }

  it('is what can be worked out by hand: a database of 1 GiB with the defaults', () => {
    const usage = usageOf(estimated, workload)
    close(usage.snapshots, 40 * 0.6 * GB)
    assert.equal(usage.growth, 0)
    // 8 hours with an upload every second; 8 snapshots of 123 parts, with three requests more each.
    const shipped = 8 * 3600
    const merged = 8 * 120 + 8 * 12 + 8 + 1 + 1 / 28
    const snapshots = 8 * (Math.ceil((0.6 * GB) / (5 * 2 ** 20)) + 3)
    close(usage.writes, MONTH * (shipped + merged + snapshots + 8 * (Math.ceil(3800 / 1000) + 1)))
    close(usage.reads, MONTH * (shipped + 2 * merged - 1 / 28 + 8))
    const { stored, requests, egress, total } = monthlyCost(usage, PRICES)
    close(stored, ((usage.snapshots + usage.changes) / GB) * 0.02)
    close(requests, (usage.writes * 0.005 + usage.reads * 0.0004) / 1000)
    close(total, stored + requests + egress)
    assert.ok(restoreCost(usage, PRICES) > 0.06 && restoreCost(usage, PRICES) < 0.07)
  })

  it('has the heartbeats of a process that runs all month, one every half TTL', () => {
    close(heartbeatsOf(20_000, workload), MONTH * 24 * 3600 / 10) // prettier-ignore
    close(heartbeatsOf(60_000, new Assumptions(['runningHours=6']).workload), MONTH * 6 * 3600 / 30) // prettier-ignore
  })

  it('follows what is configured and what is assumed', () => {
    const base = usageOf(estimated, workload)
    const slower = { ...PRESET, sync: { interval: 10_000 } }
    assert.ok(usageOf({ ...estimated, settings: slower }, workload).writes < base.writes / 5)
    assert.ok(usageOf({ ...estimated, bytes: 2 * GB }, workload).snapshots === 2 * base.snapshots)
    const idle = usageOf(estimated, new Assumptions(['busyHours=0']).workload)
    assert.deepEqual([idle.writes, idle.reads, idle.changes, idle.merging], [0, 0, 0, 0])
    const more = usageOf(estimated, new Assumptions(['turnover=1']).workload)
    assert.ok(more.changes > base.changes * 5 && more.merging > base.merging * 5)
  })

  it('of what never expires is what it grows by', () => {
    const { growth } = usageOf({ ...estimated, settings: DEFAULT_SETTINGS, keptSnapshots: undefined }, workload)
    assert.ok(growth > MONTH * 8 * 0.6 * GB)
  })

  it('refuses what cannot be assumed, with the names that can', () => {
    for (const text of ['unknown=1', 'busyHours=25', 'busyHours=x', 'turnover', 'price.gold=1', 'compressed=2']) {
      assert.throws(() => new Assumptions([text]), { code: 'E_USAGE', hint: /busyHours.*price\.egress/ }, text)
    }
  })

  it('takes prices that are given, over a list and instead of one', () => {
    assert.equal(new Assumptions(['price.write=1']).prices(PRICES)?.write, 1)
    assert.equal(new Assumptions(['price.write=1']).prices(undefined), undefined)
    const all = ['stored', 'write', 'read', 'egress'].map((name) => `price.${name}=2`)
    assert.deepEqual(new Assumptions(all).prices(undefined)?.stored, 2)
  })
})

describe('how many snapshots stay', () => {
  const kept = async (settings: DatabaseSettings, ...plugins: Parameters<Host['use']>) => {
    const host = new Host(SILENT)
    for (const plugin of plugins) host.use(plugin)
    const { workload } = new Assumptions(['busyHours=24'])
    return await keptSnapshots(host.hooks, settings, snapshotsPerDay(settings, workload), Date.UTC(2026, 10, 24, 12))
  }

  it('is asked of the plugins that decide it', async () => {
    // 24 hours, 7 days, 12 weeks and 12 months overlap where they meet.
    const count = (await kept(PRESET, retentionGfs())) ?? 0
    assert.ok(count > 40 && count <= 55, String(count))
    assert.equal(await kept(PRESET, keepSnapshots({ count: 3 })), 3)
  })

  it('is not known where none ever goes', async () => {
    assert.equal(await kept(DEFAULT_SETTINGS, retentionGfs()), undefined)
    assert.equal(await kept({ ...PRESET, retention: false }, retentionGfs()), undefined)
  })
})

describe('prices', () => {
  const of = async (url: string, options: Record<string, unknown> = {}) => {
    const host = new Host(SILENT)
    for (const make of [storageS3, storageGcs, storageFile]) host.use(make())
    return (await host.prices(url, options))?.name
  }

  it('are stated by the plugin of the storage, by service', async () => {
    assert.match((await of('gs://b/p')) ?? '', /Google/)
    assert.match((await of('s3://b/p', { endpoint: 'https://t3.storage.dev' })) ?? '', /Tigris/)
    assert.match((await of('s3://b/p', { endpoint: 'https://abc.r2.cloudflarestorage.com' })) ?? '', /R2/)
    assert.match((await of('s3://b/p', { endpoint: 'https://s3.eu-central-1.amazonaws.com' })) ?? '', /Amazon/)
    assert.equal(await of('s3://b/p', { endpoint: 'https://s3.example' }), undefined)
    assert.equal(await of('file:///x'), undefined)
  })
})
