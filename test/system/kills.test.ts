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
    // No snapshot but the first: what is stored is what changed. A random row fills 300 bytes and its update as much
    // again, in pages of 4096 of which each transaction holds every one once.
    assert.equal(report.snapshots, 1, said)
    const changed = report.storedFiles * 60 * 4096 + report.commits * 2 * 4096
    assert.ok(report.storedBytes < changed, said)
    assert.ok(report.storedBytes < statSync(`${folder.path}/app.db`).size * 5, said)
  })
})
