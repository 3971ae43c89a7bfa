import assert from 'node:assert/strict'
import { Upkeep } from '../../../core/compact/upkeep.js'
import { Host } from '../../../core/host.js'
import { SILENT } from '../../../core/log.js'
import { Remote } from '../../../core/remote.js'
import { planRestore, restorablePoints } from '../../../core/restore/plan.js'
import { DEFAULT_SETTINGS, type CompactionSettings } from '../../../core/settings.js'
import { retentionGfs } from '../../../plugins/retention-gfs/index.js'
import { storageMemory } from '../../../plugins/storage-memory/index.js'
import { useFolder } from '../../helpers/databases.js'
import { checkPoint, History } from '../../helpers/history.js'
import { generator } from '../../helpers/kill-programme.js'

const HOUR = 3_600_000
const DAY = 24 * HOUR
/** A Monday, at midnight UTC. */
const START = Date.UTC(2026, 0, 5)

describe('compaction and retention come to rest', function () {
  this.timeout(240_000)
  const folder = useFolder()
  const signal = new AbortController().signal
  let now = START
  let remote: Remote
  let history: History
  let upkeep: Upkeep
  let again: () => Promise<Upkeep>
  let compaction: CompactionSettings
  /** Calls that change something in storage. */
  let writes = 0
  const put = new Set<string>()

  async function begin(settings: Partial<CompactionSettings> = {}): Promise<void> {
    compaction = { ...DEFAULT_SETTINGS.compaction, ...settings }
    const host = new Host(SILENT)
    host.use(storageMemory())
    host.use(retentionGfs())
    remote = new Remote(await host.store('memory://settles'), 'app', host.hooks)
    const { store } = remote
    const [plainPut, plainDelete] = [store.put.bind(store), store.delete.bind(store)]
    writes = 0
    put.clear()
    store.put = async (key, ...rest) => {
      writes++
      // What has gone must not be made once more: that is how it would go on for ever.
      assert.ok(!put.has(key), `${key} is put twice`)
      put.add(key)
      return await plainPut(key, ...rest)
    }
    store.delete = async (...args) => {
      writes++
      await plainDelete(...args)
    }
    history = new History(remote, folder.file('a.db'))
    const parts = {
      ...{ remote, hooks: remote.hooks, log: SILENT, folder: folder.file('scratch'), now: () => now },
      database: { name: 'app', path: 'app', stateDir: folder.path },
      compaction,
      retention: DEFAULT_SETTINGS.retention,
    }
    now = START
    await history.commit(now)
    upkeep = new Upkeep(parts, await remote.inventory())
    again = async () => new Upkeep(parts, await remote.inventory())
  }
  afterEach(() => history.close())

  /** An hour that has a few commits, some of them close together, and every now and then a snapshot. */
  async function hour(random: () => number, snapshotEvery: number): Promise<void> {
    const end = now + HOUR
    const commits = random() < 0.2 ? 6 : random() < 0.1 ? 0 : 2
    for (let i = 1; i <= commits; i++) {
      const at = end - HOUR + Math.floor((i * HOUR) / (commits + 1))
      upkeep.inventory.add(await history.commit(i % 3 === 0 ? now + 20_000 : at))
      now = history.last?.time ?? now
    }
    now = end
    if (snapshotEvery > 0 && (end - START) % snapshotEvery === 0) upkeep.inventory.add(await history.snapshot())
  }

  /** Runs until nothing is done any more, and proves that this stays so, for whoever asks. Returns the points there are. */
  async function settle(): Promise<number[]> {
    for (let round = 1, before = -1; before !== writes; round++) {
      before = writes
      await upkeep.run(round % 2 === 0, signal)
      await upkeep.run(round % 2 === 1, signal)
      assert.ok(round <= 3, `${writes - before} writes in round ${round}`)
    }
    const before = writes
    // From what a new listing says as well, with and without snapshots.
    for (const run of [upkeep, await again()]) for (const whole of [true, false]) await run.run(whole, signal)
    assert.equal(writes, before)
    const inventory = await remote.inventory()
    const points = restorablePoints(inventory)
    const there = new Set(points)
    const lost = promised().filter((point) => !there.has(point))
    assert.deepEqual(lost, [], 'points that were promised')
    return points
  }

  /** By what the documentation says: every transaction for a while, then the last of each half a minute, and so on. */
  function promised(): number[] {
    const { levels, keep } = compaction
    const { points } = history
    return points
      .filter(({ time }, i) => {
        const isLastOf = (span: number) => {
          const next = points.at(i + 1)
          return i + 1 === points.length || Math.floor((next?.time ?? 0) / span) > Math.floor(time / span)
        }
        const isPromised = (span: number, level: number) =>
          now - time <= keep[Math.min(level, keep.length - 1)] && isLastOf(span)
        return i > 0 && (i + 1 === points.length || [1, ...levels].some(isPromised))
      })
      .map(({ txid }) => txid)
  }

  const check = async (points: readonly number[]) => {
    for (const txid of points) await checkPoint(remote, history.points[txid - 1], folder.file('r.db'))
  }

  for (const [what, snapshotEvery, keep] of [
    ['a snapshot a day', DAY, undefined],
    ['a snapshot at its beginning only', 0, undefined],
    ['levels that are kept for a shorter time than the one below', DAY, [7 * DAY, HOUR]],
  ] as const) {
    it(`70 days, ${what}: nothing more to do after each step, every promised point restores`, async () => {
      await begin(keep && { keep: [...keep] })
      const random = generator(3)
      let most = 0
      while (now < START + 70 * DAY) {
        await hour(random, snapshotEvery)
        // As in a watch with a preset: the levels all the time, snapshots when one was taken.
        if ((now - START) % (6 * HOUR) === 0) await upkeep.run((now - START) % DAY === 0, signal)
        most = Math.max(most, upkeep.inventory.size)
      }
      // Those of an hour for 30 days, of 5 minutes for 7, of 30 seconds for one; days, snapshots and the way to the first.
      assert.ok(most < 30 * 24 + 2 * 7 * 24 + 4 * 24 + 250, String(most))
      let points = await settle()
      await check(points.filter((_, i) => i % 29 === 0 || i > points.length - 5))
      // Nothing is committed any more: what is there becomes less, and in the end stays.
      for (const days of [0.1, 1, 5, 8, 17, 10, 30, 60]) {
        now += days * DAY
        points = await settle()
        const few = points.length > 40 ? points.filter((_, i) => i % 29 === 0) : points
        await check([...few, ...points.slice(-1)])
      }
      const inventory = await remote.inventory()
      const longest = Math.max(...points.map((txid) => planRestore(inventory, txid, 'app').files.length))
      assert.ok(inventory.size < 45, String(inventory.size))
      assert.ok(longest <= 5, String(longest))
    })
  }

  it('a backup of 70 days that nobody ever merged comes to rest at once, and the ways in it are short', async () => {
    await begin()
    const random = generator(5)
    while (now < START + 70 * DAY) await hour(random, 0)
    const points = await settle()
    const inventory = await remote.inventory()
    const ways = points.map((txid) => planRestore(inventory, txid, 'app').files.length)
    // The snapshot, 28 days, the days and the hours behind them.
    assert.ok(Math.max(...ways) <= 1 + 3 + 28 + 24 + 12, String(Math.max(...ways)))
    await check(points.filter((_, i) => i % 37 === 0))
  })

  /** Level and last transaction of each file that is left after months without a commit. */
  async function leftAtRest(): Promise<string[]> {
    for (let day = 0; day < 80; day += 8) {
      now += 8 * DAY
      for (let before = -1; before !== writes;) {
        before = writes
        await upkeep.run(true, signal)
      }
    }
    return [...upkeep.inventory.files()].map(({ level, maxTxid }) => `${level}:${maxTxid}`)
  }

  it('a fence post and the newest file, which stay, are not merged again after what came of them has gone', async () => {
    await begin()
    for (let i = 0; i < 60; i++) {
      now += HOUR
      upkeep.inventory.add(await history.commit(now))
    }
    upkeep.inventory.fencePosts.add(40)
    upkeep.inventory.add(await history.snapshot())
    const left = await leftAtRest()
    assert.deepEqual(left, ['0:40', '0:61', '9:1', '9:61'])
    assert.equal(upkeep.due, Infinity)
  })

  it('nor is a newest file that continues a snapshot which is kept', async () => {
    await begin()
    for (let i = 0; i < 5; i++) upkeep.inventory.add(await history.commit((now += HOUR)))
    upkeep.inventory.add(await history.snapshot())
    upkeep.inventory.add(await history.commit((now += HOUR)))
    const left = await leftAtRest()
    assert.deepEqual(left, ['0:7', '9:1', '9:6'])
    assert.equal(upkeep.due, Infinity)
  })

  it('says when there is something to do, and not that there is because something old is still needed', async () => {
    await begin()
    const random = generator(9)
    while (now < START + 50 * DAY) {
      await hour(random, DAY)
      if ((now - START) % (6 * HOUR) === 0) await upkeep.run((now - START) % DAY === 0, signal)
    }
    // Some of what is over is needed by younger points, and this is found out once.
    let runs = 0
    for (let last = 0; upkeep.due < Infinity; runs++) {
      const { due } = upkeep
      assert.ok(due > last, `due at ${due - last} after the last`)
      last = now = Math.max(due, now)
      await upkeep.run(false, signal)
      assert.ok(upkeep.due > now, 'it was just done')
    }
    assert.ok(runs < 30 * 24 * 2, String(runs))
    assert.equal((await upkeep.plan(false)).remove.length, 0)
  })
})
