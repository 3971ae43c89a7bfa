import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import type { CompactReport } from '../../core/compact/report.js'
import { useFolder } from '../helpers/databases.js'
import { History } from '../helpers/history.js'
import { walrust } from '../helpers/processes.js'
import { remoteIn } from '../helpers/storage.js'

const HOUR = 3_600_000
const DAY = 24 * HOUR

describe('compact', function () {
  this.timeout(120_000)
  const folder = useFolder()

  /** Four days that ended a day ago, with a commit an hour and a snapshot each noon. */
  beforeEach(async () => {
    const history = new History(await remoteIn(folder.file('backups'), 'app'), folder.file('a.db'))
    const start = Math.floor(Date.now() / DAY - 5) * DAY
    for (let hour = 0; hour < 96; hour++) {
      await history.commit(start + hour * HOUR)
      if (hour % 24 === 12) await history.snapshot()
    }
    history.close()
  })

  async function plan(config: object, ...args: string[]): Promise<CompactReport> {
    writeFileSync(folder.file('walrust.config.json'), JSON.stringify({ storage: 'file:backups', ...config }))
    const done = await walrust(['compact', 'app', '--json', ...args], { cwd: folder.path })
    assert.equal(done.code, 0, done.text)
    return JSON.parse(done.stdout) as CompactReport
  }
  const levels = ({ merge }: CompactReport) => [...new Set(merge.map(({ level }) => level))].sort()
  /** Snapshots that retention keeps. */
  const kept = ({ notes }: CompactReport) => notes.filter((note) => /^the snapshot of .* stays/.test(note)).length
  const shipped = ({ remove }: CompactReport) => remove.filter(({ level }) => level === 0).length

  it('takes levels, keep and retention from the configuration, of the database before those of all', async () => {
    const databases = [{ path: 'app.db', name: 'app' }]
    // Half a minute, 5 minutes, an hour; above them a day and 28.
    assert.deepEqual(levels(await plan({ databases })), [1, 2, 3, 4])
    const compaction = { levels: ['1h'], keep: ['30d'] }
    assert.deepEqual(levels(await plan({ databases, compaction })), [1, 2])

    const retention = { hourly: 2, daily: 0, weekly: 0, monthly: 0 }
    const few = await plan({ databases, retention })
    assert.deepEqual([kept(await plan({ databases })), kept(few)], [5, 2])
    assert.equal(kept(await plan({ databases: [{ ...databases[0], retention }] })), 2)
    assert.deepEqual((await plan({ databases, retention: false })).remove, [])
    assert.deepEqual((await plan({ databases: [{ ...databases[0], retention: false }], retention })).remove, [])

    // Done, so that what `keep` lets go can be seen: merged files have to be there first.
    const done = await plan({ databases, compaction }, '--force')
    assert.deepEqual([done.done, shipped(done)], [true, 0])
    const gone = await plan({ databases, compaction: { levels: ['1h'], keep: ['1h', '30d'] } })
    assert.equal(shipped(gone), 94)
    const own = [{ ...databases[0], compaction }]
    assert.equal(shipped(await plan({ databases: own, compaction: { levels: ['1h'], keep: ['1h', '30d'] } })), 0)
  })
})
