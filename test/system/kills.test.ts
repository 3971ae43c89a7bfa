import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import { useFolder } from '../helpers/databases.js'
import { killProgramme } from '../helpers/kill-programme.js'

/** Seconds and kills; a longer campaign sets them through the environment. */
const SECONDS = Number(process.env.WALRUST_KILL_SECONDS ?? 30)
const KILLS = Number(process.env.WALRUST_KILLS ?? 22)

describe('a shipper that is killed again and again', function () {
  this.timeout((SECONDS + 60) * 1000)
  const folder = useFolder()

  // How long locks were held and commits took is measured by bench/cases/kills.ts: figures are not for tests.
  it('loses nothing beside a writer and a TRUNCATE loop', async () => {
    const seed = Number(process.env.WALRUST_SEED ?? Math.floor(Math.random() * 2 ** 31))
    const report = await killProgramme({
      folder: folder.path,
      seconds: SECONDS,
      rate: 1000,
      kills: KILLS,
      truncate: true,
      seed,
    })
    const said = JSON.stringify({ seed, ...report, locks: Math.max(0, ...report.locks) })
    assert.deepEqual(report.lost, [], said)
    assert.ok(report.kills >= Math.min(20, KILLS), said)
    assert.equal(report.source.integrity, 'ok', said)
    assert.equal(report.restored.integrity, 'ok', said)
    assert.equal(report.restored.checksum, report.source.checksum, said)
    // No snapshot but the first: what is stored is what changed, however busy the machine is.
    const { snapshots, shipped } = report.stored
    assert.equal(snapshots, 1, said)
    // One file per interval of a second. Besides, each start ships once at once and may find a difference, of which it
    // may no longer get to tell; the last one drains.
    const starts = report.kills + 1
    assert.ok(shipped.files <= report.watched + 2 * starts + report.healed + 3, said)
    // An update changes the page of its row, which none outgrows; an insert the last page, which is in the file of each
    // insert into it, and beside it those on the way there and page 1. Random rows do not get smaller.
    const pages = statSync(`${folder.path}/app.db`).size / 4096
    const changed = pages + Math.floor(report.commits / 4) + 1 + shipped.files * 8
    assert.ok(shipped.bytes < changed * (4096 + 64) + shipped.files * 256, said)
  })
})
