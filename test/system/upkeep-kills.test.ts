import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, readdirSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Upkeep } from '../../core/compact/upkeep.js'
import { Host } from '../../core/host.js'
import { SILENT } from '../../core/log.js'
import { Remote } from '../../core/remote.js'
import { restorablePoints } from '../../core/restore/plan.js'
import { verify } from '../../core/verify/verify.js'
import { retentionGfs } from '../../plugins/retention-gfs/index.js'
import { storageFile } from '../../plugins/storage-file/index.js'
import { useFolder } from '../helpers/databases.js'
import { checkPoint, History } from '../helpers/history.js'
import type { UpkeepStepOptions } from '../helpers/upkeep-step.js'

const SECOND = 1000
const HOUR = 3600 * SECOND
const DAY = 24 * HOUR
const START = Date.UTC(2026, 0, 5)
const NOW = START + 4 * DAY
const COMPACTION = { afterSnapshot: true, interval: 0, levels: [30 * SECOND], keep: [HOUR, HOUR, 30 * DAY] }
const RETENTION = { hourly: 2, daily: 0, weekly: 0, monthly: 0 }

describe('a kill at every step of merging and removing', function () {
  this.timeout(300_000)
  const folder = useFolder()
  const backups = () => folder.file('backups')
  const signal = new AbortController().signal

  async function remote(): Promise<Remote> {
    const host = new Host(SILENT)
    host.use(storageFile())
    host.use(retentionGfs())
    return new Remote(await host.store(`file://${backups()}`), 'app', host.hooks)
  }

  async function upkeep(): Promise<Upkeep> {
    const to = await remote()
    const parts = {
      ...{ remote: to, hooks: to.hooks, log: SILENT, folder: folder.file('scratch'), now: () => NOW },
      ...{ compaction: COMPACTION, retention: RETENTION },
      database: { name: 'app', path: 'app', stateDir: folder.path },
    }
    return new Upkeep(parts, await to.inventory())
  }

  /** `undefined` if the process was killed. */
  function run(killAt: number, torn: boolean): { calls: number; what: string[] } | undefined {
    const options: UpkeepStepOptions = {
      ...{ backups: backups(), scratch: folder.file('scratch'), name: 'app', now: NOW },
      ...{ compaction: COMPACTION, retention: RETENTION, killAt, torn },
    }
    const program = fileURLToPath(new URL('../helpers/upkeep-step.js', import.meta.url))
    const { status, signal, stdout, stderr } = spawnSync(process.execPath, [program, JSON.stringify(options)], {
      encoding: 'utf8',
    })
    if (signal === 'SIGKILL') return undefined
    assert.equal(status, 0, stderr)
    return JSON.parse(stdout) as { calls: number; what: string[] }
  }

  /** Files of the backup and what lies beside them; not what a kill left in the making, which a listing passes over. */
  const lying = () =>
    (readdirSync(backups(), { recursive: true }) as string[])
      .filter((name) => /^[^.].*\/[0-9a-f-]+\.(ltx|json)$/.test(name))
      .sort()

  it('every point that was promised restores, what is found is sound, and another run comes to the same end', async () => {
    const history = new History(await remote(), folder.file('a.db'))
    await history.commit(START)
    for (const time of [1, 2, 33, 34])
      await history.commit(START + time * SECOND, undefined, time === 2 ? START : undefined)
    await history.snapshot()
    await history.commit(START + DAY)
    await history.snapshot()
    await history.commit(START + 2 * DAY)
    await history.snapshot()
    await history.commit(START + 2 * DAY + SECOND)
    history.close()
    cpSync(backups(), folder.file('before'), { recursive: true, preserveTimestamps: true })

    const promised = (await (await upkeep()).plan(true)).points
    const whole = run(0, false)
    assert.ok(whole)
    const [end, ends] = [lying(), restorablePoints(await (await remote()).inventory())]
    assert.deepEqual([...new Set(whole.what)].sort(), ['link', 'rename', 'unlink', 'write'])
    assert.ok(
      promised.every((point) => ends.includes(point)),
      JSON.stringify({ promised, ends }),
    )
    // What there was of level 0 is merged, merged files are, too, and a snapshot is gone.
    assert.deepEqual(
      end.filter((name) => name.endsWith('.ltx')),
      END,
    )

    for (const torn of [false, true]) {
      for (let killAt = 1; killAt <= whole.calls; killAt++) {
        // What is torn has no name yet, whichever of them it is: one stands for all.
        if (torn && killAt !== whole.what.indexOf('write') + 1) continue
        const at: string = `${torn ? 'in' : 'before'} call ${killAt} of ${whole.calls}, ${whole.what[killAt - 1]}`
        rmSync(backups(), { recursive: true })
        cpSync(folder.file('before'), backups(), { recursive: true, preserveTimestamps: true })
        assert.equal(run(killAt, torn), undefined, at)
        const there = await remote()
        assert.deepEqual((await verify(there)).findings, [], at)
        for (const txid of promised) await checkPoint(there, history.points[txid - 1], folder.file('r.db'))
        // Twice: what was never finished is made anew by the pass after the one that notices.
        await (await upkeep()).run(true, signal)
        await (await upkeep()).run(true, signal)
        assert.deepEqual(lying(), end, at)
        const inventory = await there.inventory()
        for (const file of inventory.files()) {
          const facts = await there.recorded(file)
          assert.equal(facts.sha256, await there.hash(file), `${at}: ${file.key}`)
          if (file.level > 1 && file.minTxid === 2) assert.equal(facts.gapStart, START, at)
        }
        for (const txid of ends) await checkPoint(there, history.points[txid - 1], folder.file('r.db'))
      }
    }
  })
})

const END = [
  'app/ltx/0/0000000000000008-0000000000000008.ltx',
  'app/ltx/2/0000000000000002-0000000000000005.ltx',
  'app/ltx/2/0000000000000006-0000000000000006.ltx',
  'app/ltx/2/0000000000000007-0000000000000008.ltx',
  'app/ltx/9/0000000000000001-0000000000000005.ltx',
  'app/ltx/9/0000000000000001-0000000000000006.ltx',
  'app/ltx/9/0000000000000001-0000000000000007.ltx',
]
