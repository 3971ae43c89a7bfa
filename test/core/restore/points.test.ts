import assert from 'node:assert/strict'
import { Upkeep } from '../../../core/compact/upkeep.js'
import { isError } from '../../../core/errors.js'
import { type FileFacts, toMetadata } from '../../../core/facts.js'
import { Host } from '../../../core/host.js'
import type { Inventory, StoredFile } from '../../../core/inventory.js'
import { SILENT } from '../../../core/log.js'
import type { FileId } from '../../../core/object-keys.js'
import { Remote } from '../../../core/remote.js'
import { pointInTime } from '../../../core/restore/point-in-time.js'
import { restorePoint } from '../../../core/restore/restore-point.js'
import { DEFAULT_SETTINGS } from '../../../core/settings.js'
import { bodyOf } from '../../../core/store-rules.js'
import { retentionGfs } from '../../../plugins/retention-gfs/index.js'
import { storageMemory } from '../../../plugins/storage-memory/index.js'
import { useFolder } from '../../helpers/databases.js'
import { assertState, History, type KnownPoint } from '../../helpers/history.js'
import { generator } from '../../helpers/kill-programme.js'

const SECOND = 1000
const HOUR = 3600 * SECOND
const DAY = 24 * HOUR
const START = Date.UTC(2026, 0, 5)

/** `WALRUST_POINTS=full` for the campaign that docs/proof.md tells of. */
const FULL = process.env.WALRUST_POINTS === 'full'
const [COMMITS, SAMPLES] = FULL ? [2000, 200] : [240, 12]

const NO_FACTS: FileFacts = {
  ...{ timestamp: undefined, sha256: undefined, pre: 0n, post: 0n, prev: undefined, codecs: [], gapStart: undefined },
}

interface Known extends KnownPoint {
  gapStart?: number
}

describe('any point of a history', function () {
  this.timeout(FULL ? 3_600_000 : 120_000)
  const folder = useFolder()
  const signal = new AbortController().signal
  let host: Host
  let remote: Remote
  let now = START

  beforeEach(async () => {
    host = new Host(SILENT)
    host.use(storageMemory())
    host.use(retentionGfs())
    remote = new Remote(await host.store('memory://points'), 'app', host.hooks)
  })

  async function upkeep(): Promise<Upkeep> {
    const { compaction, retention } = DEFAULT_SETTINGS
    const parts = {
      ...{ remote, hooks: remote.hooks, log: SILENT, folder: folder.file('scratch'), now: () => now },
      ...{ database: { name: 'app', path: 'app', stateDir: folder.path }, compaction, retention },
    }
    return new Upkeep(parts, await remote.inventory())
  }

  /** What there is to do now: merges may give cause to more, and to let go of what they took in. */
  async function settle(retain: boolean): Promise<void> {
    for (let passes = 0; passes < 3; passes++) await (await upkeep()).run(retain, signal)
  }

  const requests = () => {
    const { traffic } = host
    return [...traffic.values()].reduce((sum, { requests: { get, head, list } }) => sum + get + head + list, 0)
  }

  /** A history with pauses of all lengths, snapshots, and spans in which nobody looked. */
  async function write(commits: number): Promise<Known[]> {
    const random = generator(7)
    const history = new History(remote, folder.file('a.db'))
    const known: Known[] = []
    let time = START
    for (let i = 1; i <= commits; i++) {
      const before = time
      time +=
        i % 40 === 0 ? HOUR + Math.floor(random() * HOUR) : 1 + Math.floor(random() * (i % 7 === 0 ? 60 : 3) * SECOND)
      const gapStart = i > 1 && i % 31 === 0 ? before : undefined
      await history.commit(time, undefined, gapStart)
      known.push({ ...history.points[i - 1], gapStart })
      if (i % 50 === 0) await history.snapshot()
    }
    history.close()
    now = time + SECOND
    return known
  }

  /** What can be restored, found by trying all files again and again: not as the planner does it. */
  function reachable(inventory: Inventory): number[] {
    const points = new Set<number>()
    const files = [...inventory.files()]
    for (let before = -1; before !== points.size;) {
      before = points.size
      for (const { minTxid, maxTxid } of files) {
        const base = minTxid === 1 || [...points].some((point) => point >= minTxid - 1 && point <= maxTxid)
        if (base) points.add(maxTxid)
      }
    }
    return [...points].sort((a, b) => a - b)
  }

  const at = (known: readonly Known[], txid: number) => known[txid - 1]

  async function checkSamples(known: readonly Known[], seed: number): Promise<{ restored: number; gone: number }> {
    const random = generator(seed)
    const inventory = await remote.inventory()
    const points = reachable(inventory)
    const count = { restored: 0, gone: 0 }
    const attempt = async (wanted: { txid?: number; time?: number }, expected: number | undefined, near: string[]) => {
      const target = folder.file('r.db')
      const options = { target, force: true, integrityCheck: 'full' } as const
      const what = JSON.stringify(wanted)
      try {
        const result = await restorePoint(remote, inventory, wanted, options)
        assert.equal(result.txid, expected, what)
        assertState(target, result, at(known, result.txid))
        count.restored++
      } catch (error) {
        if (!isError(error, 'E_POINT_UNAVAILABLE')) throw error
        assert.equal(expected, undefined, `${what}: ${error.message}`)
        for (const text of near)
          assert.ok(error.message.includes(text), `${what}: "${error.message}" without "${text}"`)
        count.gone++
      }
    }
    /** Since when nobody looked before the point `after`, as far as a file tells that ends there or was merged over it. */
    const gapBehind = (before: number, after: number | undefined): number | undefined => {
      if (after === undefined) return undefined
      // A snapshot says nothing of what was before it.
      const files = [...inventory.files()].filter(({ minTxid, maxTxid }) => minTxid > 1 && maxTxid >= after)
      const telling = files.filter(({ minTxid, maxTxid }) => maxTxid === after || minTxid <= before + 1)
      const gaps = telling.flatMap(({ minTxid, maxTxid }) => known.slice(minTxid - 1, maxTxid))
      const since = gaps.flatMap(({ gapStart }) => gapStart ?? []).filter((start) => start >= at(known, before).time)
      return since.length === 0 ? undefined : Math.min(...since)
    }
    const iso = (txid: number) => `transaction ${txid} at ${new Date(at(known, txid).time).toISOString()}`
    for (let i = 0; i < SAMPLES; i++) {
      const txid = 1 + Math.floor(random() * known.length)
      const near = [points.filter((point) => point < txid).at(-1), points.find((point) => point > txid)]
      const named = `the nearest that can: ${near.filter((point) => point !== undefined).join(' and ')}`
      await attempt({ txid }, points.includes(txid) ? txid : undefined, [named])
    }
    const [first, last] = [known[0].time, known[known.length - 1].time]
    for (let i = 0; i < SAMPLES; i++) {
      // Half of the moments are right at a commit or a millisecond beside it.
      const some = known[Math.floor(random() * known.length)].time
      const beside = some + Math.floor(random() * 3) - 1
      const time = i % 2 === 0 ? beside : Math.floor(first + random() * (last - first))
      const before = points.filter((point) => at(known, point).time <= time).at(-1)
      const after = points.find((point) => at(known, point).time > time)
      const healed = before !== undefined && time > (gapBehind(before, after) ?? Infinity)
      const near = [before, after].filter((point) => point !== undefined).map(iso)
      await attempt({ time }, healed ? undefined : before, near)
    }
    return count
  }

  it(`${COMMITS} commits: ${SAMPLES} by transaction and ${SAMPLES} by time, before and after compaction and retention`, async () => {
    const known = await write(COMMITS)
    const say = (phase: string, { restored, gone }: { restored: number; gone: number }) => {
      if (FULL)
        process.stdout.write(`${phase}: ${restored} restored exactly, ${gone} gone with their neighbours named\n`)
      return { restored, gone }
    }
    const fresh = say('as written', await checkSamples(known, 1))
    assert.ok(fresh.restored > fresh.gone)
    now = known[COMMITS - 1].time + 40 * 60 * SECOND
    await settle(false)
    const merged = say('after compaction', await checkSamples(known, 2))
    assert.ok(merged.restored > 0 && merged.gone > 0)
    now = known[COMMITS - 1].time + 40 * DAY
    await settle(true)
    const retained = say('after retention, 40 days later', await checkSamples(known, 3))
    assert.ok(retained.restored > 0 && retained.gone > 0)
  })

  it('finds a moment among thousands with a request per halving', async () => {
    await write(COMMITS)
    const inventory = await remote.inventory()
    const points = reachable(inventory).length
    const before = requests()
    const txid = await pointInTime(remote, inventory, START + HOUR)
    const asked = requests() - before
    assert.ok(txid > 1 && txid < COMMITS)
    assert.ok(asked <= Math.ceil(Math.log2(points)) + 1, `${asked} requests for ${points} points`)
  })

  it('names the points on both sides of the future, of the past before the first, and of an unseen span', async () => {
    const history = new History(remote, folder.file('a.db'))
    const inventory = async () => await remote.inventory()
    await history.commit(START)
    await history.commit(START + 10 * SECOND)
    await history.commit(START + 60 * SECOND, undefined, START + 20 * SECOND)
    history.close()
    const point = async (time: number) => await pointInTime(remote, await inventory(), time, { now: START + HOUR })
    const gone = (time: number, text: RegExp) =>
      assert.rejects(point(time), (error) => isError(error, 'E_POINT_UNAVAILABLE') && text.test(error.message))
    await gone(START + HOUR + 1, /is in the future; the nearest: transaction 3 at 2026-01-05T00:01:00\.000Z$/)
    await gone(START - 1, /is before the first .*; the nearest: transaction 1 at 2026-01-05T00:00:00\.000Z$/)
    await gone(START + 20 * SECOND + 1, /not seen .*: transaction 2 at .*00:00:10.000Z and transaction 3 at .*00:01:00/)
    assert.equal(await point(START), 1)
    assert.equal(await point(START + 10 * SECOND - 1), 1)
    assert.equal(await point(START + 20 * SECOND), 2)
    assert.equal(await point(START + 60 * SECOND), 3)
    assert.equal(await point(START + HOUR), 3)
  })

  it('an unseen span is known of a file merged over a snapshot, when what ends at the snapshot is gone', async () => {
    const put = async (file: FileId, seconds: number, gapStart?: number) => {
      const facts = { ...NO_FACTS, timestamp: START + seconds * SECOND, sha256: '0'.repeat(64), gapStart }
      const body = () => bodyOf(Buffer.from('x'))
      await remote.store.put(remote.key(file), body, { metadata: toMetadata(facts), timestamp: facts.timestamp })
    }
    await put({ level: 9, minTxid: 1, maxTxid: 2 }, 10)
    await put({ level: 9, minTxid: 1, maxTxid: 5 }, 60)
    await put({ level: 1, minTxid: 3, maxTxid: 8 }, 90, START + 20 * SECOND)
    const point = async (seconds: number) =>
      await pointInTime(remote, await remote.inventory(), START + seconds * SECOND, { now: START + HOUR })
    for (const seconds of [21, 40, 59]) {
      await assert.rejects(
        point(seconds),
        (error) =>
          isError(error, 'E_POINT_UNAVAILABLE') &&
          /not seen .*: transaction 2 at .*00:00:10.000Z and transaction 5 at .*00:01:00/.test(error.message),
      )
    }
    assert.equal(await point(20), 2)
    assert.equal(await point(60), 5)
    // The span had ended by the snapshot.
    assert.equal(await point(75), 5)
    assert.equal(await point(90), 8)
  })

  /** A remote whose files are merged and let go while they are read. */
  class Moving extends Remote {
    #left: number

    constructor(
      of: Remote,
      reads: number,
      private readonly move: () => Promise<void>,
    ) {
      super(of.store, of.name, of.hooks)
      this.#left = reads
    }

    override async openPart(...args: Parameters<Remote['openPart']>): ReturnType<Remote['openPart']> {
      if (--this.#left === 0) await this.move()
      return await super.openPart(...args)
    }
  }

  for (const reads of [1, 2, 15, 40]) {
    it(`plans anew when compaction takes files away at the ${reads}. read`, async () => {
      const history = new History(remote, folder.file('a.db'))
      for (let i = 0; i < 60; i++) await history.commit(START + i * SECOND)
      history.close()
      const inventory = await remote.inventory()
      let moved = 0
      const moving = new Moving(remote, reads, async () => {
        now = START + 3 * HOUR
        await settle(true)
        now += DAY
        await settle(true)
        moved++
      })
      const target = folder.file('r.db')
      const options = { target, force: true, integrityCheck: 'full', parallelism: 1 } as const
      const newest = await restorePoint(moving, inventory, {}, options)
      assert.equal(moved, 1)
      assertState(target, newest, history.points[59])
      // What is gone for good is said to be, with what was listed before.
      const missing = (file: StoredFile) => isGone(remote, file)
      assert.ok((await Promise.all([...inventory.level(0)].map(missing))).some((gone) => gone))
      await assert.rejects(
        restorePoint(remote, inventory, { txid: 20 }, options),
        (error) => isError(error, 'E_POINT_UNAVAILABLE') && /transaction 20 .* nearest/.test(error.message),
      )
      assertState(target, newest, history.points[59])
    })
  }
})

async function isGone(remote: Remote, { key }: StoredFile): Promise<boolean> {
  return (await remote.store.head(key)) === undefined
}
