import assert from 'node:assert/strict'
import { readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import { Upkeep } from '../../../core/compact/upkeep.js'
import { WalrustError } from '../../../core/errors.js'
import { gapsOf } from '../../../core/facts.js'
import { fencePostKey } from '../../../core/fence/keys.js'
import { Host } from '../../../core/host.js'
import type { RetainPlan } from '../../../core/hooks.js'
import { SILENT } from '../../../core/log.js'
import { Remote } from '../../../core/remote.js'
import { planRestore, restorablePoints } from '../../../core/restore/plan.js'
import { pointInTime } from '../../../core/restore/point-in-time.js'
import { verify } from '../../../core/verify/verify.js'
import { DEFAULT_SETTINGS } from '../../../core/settings.js'
import { retentionGfs } from '../../../plugins/retention-gfs/index.js'
import { storageFile } from '../../../plugins/storage-file/index.js'
import { storageMemory } from '../../../plugins/storage-memory/index.js'
import { useFolder } from '../../helpers/databases.js'
import { checkPoint, History, type KnownPoint } from '../../helpers/history.js'
import { generator } from '../../helpers/kill-programme.js'

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
/** A Monday, at midnight UTC. */
const START = Date.UTC(2026, 0, 5)

describe('compaction and retention', function () {
  this.timeout(120_000)
  const folder = useFolder()
  let now = START
  const signal = new AbortController().signal

  async function open(url = 'memory://compact'): Promise<Remote> {
    const host = new Host(SILENT)
    host.use(storageFile())
    host.use(storageMemory())
    host.use(retentionGfs())
    return new Remote(await host.store(url), 'app', host.hooks)
  }

  async function upkeepOf(remote: Remote, settings: Partial<ConstructorParameters<typeof Upkeep>[0]> = {}) {
    const parts = {
      ...{ remote, hooks: remote.hooks, log: SILENT, folder: folder.file('scratch'), now: () => now },
      database: { name: 'app', path: 'app', stateDir: folder.path },
      ...{ compaction: DEFAULT_SETTINGS.compaction, retention: DEFAULT_SETTINGS.retention, ...settings },
    }
    return new Upkeep(parts, await remote.inventory())
  }

  const ids = (files: Iterable<{ level: number; minTxid: number; maxTxid: number }>) =>
    [...files].map(({ level, minTxid, maxTxid }) => `${level}:${minTxid}-${maxTxid}`)

  it('merges what was seen in one window, behind the base, at the same boundaries whenever it runs', async () => {
    const remote = await open()
    const history = new History(remote, folder.file('a.db'))
    for (let i = 0; i < 100; i++) await history.commit(START + i * SECOND)
    now = START + 100 * SECOND
    const upkeep = await upkeepOf(remote)
    const { merged, removed } = await upkeep.run(false, signal)
    assert.deepEqual(ids(merged), ['1:2-30', '1:31-60', '1:61-90'])
    assert.deepEqual(removed, [])
    // The same again from what a new listing says: nothing.
    assert.deepEqual(await (await upkeepOf(remote)).run(false, signal), { merged: [], removed: [], freed: 0 })
    now = START + 5 * MINUTE + 5 * SECOND
    assert.deepEqual(ids((await upkeep.run(false, signal)).merged), ['1:91-100', '2:2-100'])
    now = START + HOUR + 5 * SECOND
    const hour = await upkeep.run(false, signal)
    assert.deepEqual(ids(hour.merged), ['3:2-100'])
    // TXIDs go after an hour, the newest file of level 0 never does.
    now = START + HOUR + 101 * SECOND
    assert.equal((await upkeep.run(false, signal)).removed.length, 98)
    assert.deepEqual(ids(upkeep.inventory.level(0)), ['0:100-100'])
    assert.deepEqual(restorablePoints(await remote.inventory()), [1, 30, 60, 90, 100])
    assert.deepEqual((await verify(remote)).findings, [])
    for (const txid of [1, 30, 60, 90, 100]) await checkPoint(remote, history.points[txid - 1], folder.file('r.db'))
    history.close()
  })

  it('a fence post is merged as any other file, and stays for ever', async () => {
    const remote = await open()
    const history = new History(remote, folder.file('a.db'))
    for (let i = 0; i < 60; i++) await history.commit(START + i * SECOND)
    const note = Buffer.from('{}')
    await remote.store.put(fencePostKey('app', 40), () => Readable.from([note]), { size: note.length })
    const later = START + 90 * DAY
    for (let i = 0; i < 5; i++) await history.commit(later + i * SECOND)
    await history.snapshot()
    for (now = later + HOUR; now < later + 100 * DAY; now += 20 * DAY) await (await upkeepOf(remote)).run(true, signal)
    const inventory = await remote.inventory()
    assert.deepEqual(ids(inventory.level(0)), ['0:40-40', '0:65-65'])
    assert.equal(inventory.level(9).length, 2)
    assert.ok(!restorablePoints(inventory).includes(40), 'nothing else is kept for it')
    assert.deepEqual((await verify(remote)).findings, [])
    history.close()
  })

  it('makes nothing once it is known that somebody else has taken over', async () => {
    const remote = await open()
    const history = new History(remote, folder.file('a.db'))
    for (let i = 0; i < 60; i++) await history.commit(START + i * SECOND)
    history.close()
    now = START + HOUR
    const fenced = new WalrustError('E_FENCED', 'another walrust has taken over')
    const removals = {
      confirm: () => Promise.reject(fenced),
      begin: () => Promise.resolve(),
      done: () => Promise.resolve(),
    }
    await assert.rejects((await upkeepOf(remote, { removals })).run(true, signal), fenced)
    assert.equal([...(await remote.inventory()).files()].filter(({ level }) => level > 0 && level < 9).length, 0)
  })

  it('leaves what verifies: a database at rest, of which the newest file and the snapshots stay', async () => {
    const remote = await open()
    const history = new History(remote, folder.file('a.db'))
    for (let i = 0; i < 5; i++) await history.commit(START + i * SECOND)
    await history.snapshot()
    history.close()
    now = START + 90 * DAY
    const upkeep = await upkeepOf(remote)
    await upkeep.run(true, signal)
    now += 90 * DAY
    await upkeep.run(true, signal)
    assert.deepEqual(restorablePoints(await remote.inventory()).at(-1), history.last?.txid)
    assert.deepEqual((await verify(remote)).findings, [])
  })

  it('keeps the first snapshot for as long as its point is promised: the transaction is in no other file', async () => {
    const remote = await open()
    const history = new History(remote, folder.file('a.db'))
    for (let i = 0; i < 4; i++) {
      await history.commit(START + i * 10 * MINUTE)
      if (i > 0) await history.snapshot()
    }
    now = START + 40 * MINUTE
    const upkeep = await upkeepOf(remote)
    await upkeep.run(true, signal)
    assert.ok(restorablePoints(await remote.inventory()).includes(1))
    // The last of its five minutes, of which there is a point for seven days; not the last of its hour.
    now = START + 7 * DAY - SECOND
    await upkeep.run(true, signal)
    assert.ok(restorablePoints(await remote.inventory()).includes(1))
    // The points of the next half an hour stand on it.
    now = START + 7 * DAY + 40 * MINUTE
    await upkeep.run(true, signal)
    assert.ok(!restorablePoints(await remote.inventory()).includes(1))
    assert.deepEqual((await verify(remote)).findings, [])
    history.close()
  })

  it('says when there is something to do, and not that there is when there is nothing', async () => {
    const remote = await open()
    const history = new History(remote, folder.file('a.db'))
    await history.commit(START)
    const upkeep = await upkeepOf(remote)
    assert.equal(upkeep.due, Infinity)
    upkeep.inventory.add(await history.commit(START + 10 * SECOND))
    upkeep.inventory.add(await history.commit(START + 11 * SECOND))
    // What is due is done at that moment, and every time is later than the one before, until nothing is left.
    const times: number[] = []
    while (upkeep.due !== Infinity) {
      assert.ok(upkeep.due > (times.at(-1) ?? 0), String(times))
      now = upkeep.due
      times.push(now)
      const { merged, removed } = await upkeep.run(false, signal)
      assert.ok(merged.length + removed.length > 0, `nothing was done at ${now - START}`)
    }
    // Five merges; TXIDs, files of 30 seconds, of 5 minutes and of an hour go in their time.
    assert.equal(times.length, 9)
    assert.deepEqual(ids(upkeep.inventory.files()), ['0:3-3', '5:2-3', '9:1-1'])
    history.close()
  })

  it('merges files of both sides of a change of page size apart, and shrinking ones', async () => {
    const remote = await open()
    const history = new History(remote, folder.file('a.db'), { pageSize: 1024 })
    for (let i = 0; i < 5; i++) await history.commit(START + i * SECOND)
    await history.commit(START + 6 * SECOND, 'PRAGMA page_size = 4096; VACUUM')
    await history.commit(START + 7 * SECOND, 'INSERT INTO rows SELECT n + 1000, randomblob(3000) FROM rows')
    await history.commit(START + 8 * SECOND)
    await history.commit(START + 9 * SECOND, 'DELETE FROM rows WHERE n > 3; VACUUM')
    await history.commit(START + 10 * SECOND, 'INSERT INTO rows SELECT n + 1000, randomblob(5000) FROM rows')
    now = START + 2 * HOUR
    const upkeep = await upkeepOf(remote)
    await upkeep.run(false, signal)
    assert.deepEqual(ids(upkeep.inventory.level(1)), ['1:2-5', '1:6-10'])
    for (let i = 0; i < 4; i++) await upkeep.run(false, signal)
    assert.deepEqual(ids(upkeep.inventory.files()), [
      '0:10-10',
      '1:2-5',
      '1:6-10',
      '2:2-5',
      '2:6-10',
      '3:2-5',
      '3:6-10',
      '9:1-1',
    ])
    for (const txid of [1, 5, 10]) await checkPoint(remote, history.points[txid - 1], folder.file('r.db'))
    history.close()
  })

  it('merges more and larger files than fit into memory at once', async () => {
    const remote = await open(`file://${folder.file('backups')}`)
    const history = new History(remote, folder.file('a.db'), { pageSize: 4096 })
    for (let i = 0; i < 60; i++) {
      const large = i % 3 === 1 ? `INSERT INTO rows VALUES (${i + 1}, randomblob(${i * 12_000}))` : undefined
      await history.commit(START + i * 100, large)
    }
    now = START + MINUTE
    const upkeep = await upkeepOf(remote)
    // What was copied to disk does not stay there, however a merge ends.
    const last = folder.file(`backups/${upkeep.inventory.level(0).at(-2)?.key}`)
    const bytes = readFileSync(last)
    writeFileSync(last, Buffer.from(bytes).fill(7, 120, 130))
    await assert.rejects(upkeep.run(false, signal), { code: 'E_OBJECT_DAMAGED' })
    assert.deepEqual(readdirSync(folder.file('scratch')), [])
    writeFileSync(last, bytes)
    assert.deepEqual(ids((await upkeep.run(false, signal)).merged), ['1:2-60'])
    assert.deepEqual(readdirSync(folder.file('scratch')), [])
    const plan = planRestore(upkeep.inventory, 60, 'app')
    assert.deepEqual(ids(plan.files), ['9:1-1', '1:2-60'])
    await checkPoint(remote, history.points[59], folder.file('r.db'))
    history.close()
  })

  it('keeps the start of every span whose commits were not seen, through every level', async () => {
    const remote = await open()
    const history = new History(remote, folder.file('a.db'))
    const gaps = new Map([3, 6, 8].map((i) => [i, START + i * SECOND - 500]))
    for (let i = 0; i < 9; i++) await history.commit(START + i * SECOND, undefined, gaps.get(i))
    now = START + 2 * HOUR
    const upkeep = await upkeepOf(remote)
    await upkeep.run(false, signal)
    for (const level of [1, 2, 3]) {
      const [file] = upkeep.inventory.level(level)
      assert.deepEqual(gapsOf(await remote.facts(file)), [...gaps.values()])
    }
    history.close()
  })

  it('a moment in a span whose commits were not seen is refused, whatever snapshot lies in the merged file', async () => {
    const remote = await open()
    const history = new History(remote, folder.file('a.db'))
    // Commits passed unseen before the third and the sixth; the fifth has a snapshot.
    const gaps = new Map([3, 6, 7].map((txid) => [txid, START + (txid - 1) * SECOND]))
    for (let txid = 1; txid <= 8; txid++) {
      await history.commit(START + txid * SECOND, undefined, gaps.get(txid))
      if (txid === 5) await history.snapshot()
    }
    const upkeep = await upkeepOf(remote)
    now = START + 2 * HOUR
    await upkeep.run(true, signal)
    now += 30 * HOUR
    upkeep.inventory.add(await history.commit(now))
    await upkeep.run(true, signal)
    assert.deepEqual(restorablePoints(upkeep.inventory).slice(0, 3), [1, 5, 8])
    const at = (seconds: number) => pointInTime(remote, upkeep.inventory, START + seconds * SECOND, { now })
    assert.equal(await at(5), 5)
    for (const seconds of [5.001, 5.5, 6.5, 7.999]) await assert.rejects(at(seconds), { code: 'E_POINT_UNAVAILABLE' })
    assert.equal(await at(8), 8)
    assert.equal(await at(9), 8)
    history.close()
  })

  it('a damaged source stops it, and nothing is removed', async () => {
    const remote = await open()
    const history = new History(remote, folder.file('a.db'))
    for (let i = 0; i < 5; i++) await history.commit(START + i * SECOND)
    const upkeep = await upkeepOf(remote)
    const key = upkeep.inventory.level(0)[1].key
    const bytes = await remote.store.get(key)
    const parts: Buffer[] = []
    for await (const piece of bytes?.body ?? []) parts.push(Buffer.from(piece))
    const damaged = Buffer.concat(parts)
    damaged[200] ^= 1
    await remote.store.put(key, () => [damaged] as unknown as AsyncIterable<Uint8Array>)
    now = START + 3 * DAY
    await assert.rejects(upkeep.run(true, signal), { code: 'E_OBJECT_DAMAGED' })
    assert.equal(upkeep.inventory.size, 5)
    history.close()
  })

  it('reads a merged file of another process before its sources go: one never finished is made anew', async () => {
    const remote = await open(`file://${folder.file('backups')}`)
    const history = new History(remote, folder.file('a.db'))
    for (let i = 0; i < 5; i++) await history.commit(START + i * SECOND)
    now = START + MINUTE
    const [made] = (await (await upkeepOf(remote)).run(false, signal)).merged
    const path = folder.file(`backups/${made.key}`)
    const bytes = readFileSync(path)
    const damage = () => {
      const damaged = Buffer.from(bytes)
      damaged[150] ^= 1
      writeFileSync(path, damaged)
      utimesSync(path, made.timestamp / 1000, made.timestamp / 1000)
    }
    // Long enough that its sources are to go, not so long that it is merged itself.
    const { compaction } = DEFAULT_SETTINGS
    const upkeep = () => upkeepOf(remote, { compaction: { ...compaction, levels: [30 * SECOND, DAY] } })
    now = START + 2 * HOUR
    damage()
    await assert.rejects((await upkeep()).run(false, signal), { code: 'E_OBJECT_DAMAGED' })
    assert.deepEqual(ids((await remote.inventory()).level(0)), ['0:2-2', '0:3-3', '0:4-4', '0:5-5'])
    // Without what is written beside it last, it was never finished.
    rmSync(folder.file('backups/app/walrust/1'), { recursive: true })
    assert.deepEqual(await (await upkeep()).run(false, signal), { merged: [], removed: [], freed: 0 })
    const again = await (await upkeep()).run(false, signal)
    assert.deepEqual([ids(again.merged), ids(again.removed)], [['1:2-5'], ['0:2-2', '0:3-3', '0:4-4']])
    assert.deepEqual((await verify(remote)).findings, [])
    await checkPoint(remote, history.points[4], folder.file('r.db'))
    history.close()
  })

  it('leaves files for five minutes to whoever has just listed them, however short the time they are kept', async () => {
    const remote = await open()
    const history = new History(remote, folder.file('a.db'))
    for (let i = 0; i < 5; i++) await history.commit(START + i * SECOND)
    const upkeep = await upkeepOf(remote, { compaction: { ...DEFAULT_SETTINGS.compaction, keep: [0] } })
    now = START + MINUTE
    assert.deepEqual(ids((await upkeep.run(true, signal)).merged), ['1:2-5'])
    assert.equal(upkeep.inventory.size, 6)
    now = START + 5 * MINUTE + 5 * SECOND
    assert.deepEqual(ids((await upkeep.run(true, signal)).removed), ['0:2-2', '0:3-3', '0:4-4', '1:2-5'])
    history.close()
  })

  it('retention false deletes nothing, ever', async () => {
    const remote = await open()
    const history = new History(remote, folder.file('a.db'))
    for (let i = 0; i < 50; i++) {
      await history.commit(START + i * HOUR)
      if (i % 2 === 1) await history.snapshot()
    }
    now = START + 400 * DAY
    const upkeep = await upkeepOf(remote, { retention: false })
    const before = upkeep.inventory.size
    const { merged, removed } = await upkeep.run(true, signal)
    assert.equal(removed.length, 0)
    assert.equal(upkeep.inventory.size, before + merged.length)
    assert.equal(upkeep.due, Infinity)
    history.close()
  })

  it('keeps what a point that stays needs, whatever a plugin wants to remove', async () => {
    const remote = await open()
    const history = new History(remote, folder.file('a.db'))
    for (let i = 0; i < 20; i++) await history.commit(START + i * SECOND)
    await history.snapshot()
    await history.commit(START + 21 * SECOND)
    // Everything but two files in the middle: one of before, one of after the second snapshot.
    remote.hooks.retain.tap('greedy', (plan: RetainPlan) => ({
      ...plan,
      merge: [],
      remove: [...plan.inventory.files()].filter(({ level, maxTxid }) => level !== 0 || maxTxid !== 7),
    }))
    const upkeep = await upkeepOf(remote)
    const plan = await upkeep.plan(true)
    assert.deepEqual(plan.points, [1, 2, 3, 4, 5, 6, 7, 20, 21])
    const { removed } = await upkeep.run(true, signal)
    assert.deepEqual(
      ids(removed),
      ids(Array.from({ length: 13 }, (_, i) => ({ level: 0, minTxid: 8 + i, maxTxid: 8 + i }))),
    )
    for (const txid of [1, 7, 20, 21]) await checkPoint(remote, history.points[txid - 1], folder.file('r.db'))
    history.close()
  })

  it('removes snapshots by their own times, not by when they were copied to where they lie', async () => {
    const remote = await open(`file://${folder.file('backups')}`)
    const history = new History(remote, folder.file('a.db'))
    await history.commit(START)
    for (let i = 1; i < 40; i++) {
      await history.commit(START + i * DAY)
      await history.snapshot()
    }
    const { readdirSync, utimesSync } = await import('node:fs')
    const place = folder.file('backups/app/ltx/9')
    for (const name of readdirSync(place))
      utimesSync(`${place}/${name}`, (START + 40 * DAY) / 1000, (START + 40 * DAY) / 1000)
    now = START + 40 * DAY
    const upkeep = await upkeepOf(remote)
    await upkeep.run(true, signal)
    // The newest 24 hours that have one are 24 days here; then Sundays. The files of the last month need a base.
    const kept = upkeep.inventory.level(9).map(({ maxTxid }) => maxTxid)
    assert.deepEqual(kept, [7, 11, 14, ...Array.from({ length: 24 }, (_, i) => 17 + i)])
    history.close()
  })

  it('never deletes on a listing that failed half-way', async () => {
    const remote = await open()
    const history = new History(remote, folder.file('a.db'))
    for (let i = 0; i < 60; i++) {
      await history.commit(START + i * DAY)
      await history.snapshot()
    }
    now = START + 61 * DAY
    const upkeep = await upkeepOf(remote)
    const list = remote.store.list.bind(remote.store)
    remote.store.list = async function* (options) {
      let n = 0
      for await (const info of list(options)) {
        if (n++ > 30) throw new Error('the connection broke')
        yield info
      }
    }
    const before = upkeep.inventory.size
    await assert.rejects(upkeep.run(true, signal), /listing/)
    remote.store.list = list
    assert.ok((await remote.inventory()).size >= before)
    history.close()
  })

  it('a year of hourly changes and snapshots: what stays is bounded, listed, and restores', async function () {
    const remote = await open()
    const history = new History(remote, folder.file('a.db'))
    const hours = 365 * 24
    now = START
    await history.commit(now)
    const upkeep = await upkeepOf(remote)
    let most = 0
    for (let hour = 1; hour <= hours; hour++) {
      now = START + hour * HOUR
      upkeep.inventory.add(await history.commit(now))
      upkeep.inventory.add(await history.snapshot())
      // As a watch with compaction after each snapshot would, only less often, to be done sooner.
      if (hour % 24 === 0) await upkeep.run(true, signal)
      most = Math.max(most, upkeep.inventory.size)
    }
    // So that what was seen in the last hour is merged as well.
    now += 2 * HOUR
    await upkeep.run(true, signal)
    const inventory = await remote.inventory()
    assert.deepEqual(ids(inventory.files()), ids(upkeep.inventory.files()))
    const snapshots = inventory.level(9).map(({ timestamp }) => new Date(timestamp).toISOString().slice(0, 13))
    // 24 hours (of two days), 7 days, 12 weeks and 12 months, some of them the same.
    assert.deepEqual(snapshots, YEAR)
    // A month of hourly and daily files, a week of those of five minutes, and so on: one an hour each.
    // The oldest hourly files stand on the last snapshot of the week or month before: its way to them stays as well.
    assert.ok(inventory.size < 38 * 25 + 7 * 24 + 24 + 2 + snapshots.length + 10, String(inventory.size))
    // 1.3 MB, of a database of 16 KiB.
    assert.ok(inventory.bytes < 2_000_000, String(inventory.bytes))
    assert.ok(most < 1500, String(most))
    const points = restorablePoints(inventory)
    const random = generator(7)
    const known = new Map<number, KnownPoint>(history.points.map((point) => [point.txid, point]))
    const wanted = [...inventory.level(9).map(({ maxTxid }) => maxTxid), ...points.filter(() => random() < 0.05)]
    for (const txid of wanted) {
      const point = known.get(txid)
      assert.ok(point)
      await checkPoint(remote, point, folder.file('r.db'))
    }
    const longest = Math.max(...points.map((txid) => planRestore(inventory, txid, 'app').files.length))
    // A snapshot, the days of a week, the hours of a day.
    assert.ok(longest <= 1 + 7 + 24, `${longest} files for one restore`)
    history.close()
  })
})

/** Ends of months, Sundays, days; then a day of hours. Worked out with a calendar. */
const YEAR = [
  '2026-02-28T23',
  '2026-03-31T23',
  '2026-04-30T23',
  '2026-05-31T23',
  '2026-06-30T23',
  '2026-07-31T23',
  '2026-08-31T23',
  '2026-09-30T23',
  '2026-10-25T23',
  '2026-10-31T23',
  '2026-11-01T23',
  '2026-11-08T23',
  '2026-11-15T23',
  '2026-11-22T23',
  '2026-11-29T23',
  '2026-11-30T23',
  '2026-12-06T23',
  '2026-12-13T23',
  '2026-12-20T23',
  '2026-12-27T23',
  '2026-12-30T23',
  '2026-12-31T23',
  '2027-01-01T23',
  '2027-01-02T23',
  '2027-01-03T23',
  ...Array.from({ length: 24 }, (_, i) => new Date(Date.UTC(2027, 0, 4, 1 + i)).toISOString().slice(0, 13)),
]
