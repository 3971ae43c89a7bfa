import { join } from 'node:path'
import Database from 'better-sqlite3'
import { type Case, type Row, round } from '../harness/case.js'
import { target } from '../harness/run.js'
import { firstFile, prove, storedFiles } from '../harness/scene.js'
import { type Shipper, shippers } from '../harness/shippers.js'
import { markOf, prepare } from '../harness/writer.js'
import { statSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

const bytesIn = (folder: string) =>
  storedFiles(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0)

export default {
  title: 'what is uploaded after downtime',
  about:
    'A 58 MB database. The shipper is stopped; 1,000 commits change 400 pages; a TRUNCATE checkpoint; the shipper starts again. Bytes uploaded (MB).',
  goal: 'at most 1.5 times the compressed size of the changed pages',
  async run(bench) {
    const rows: Row[] = []
    for (const shipper of shippers(bench.peers)) {
      const figures = await measure(bench.folder(), shipper)
      rows.push({ what: 'commits and TRUNCATE', who: shipper.name, figures })
    }
    return rows
  },
} satisfies Case

async function measure(folder: string, shipper: Shipper): Promise<Record<string, number>> {
  const path = join(folder, 'app.db')
  const { place, files } = await target('file', folder)
  prepare(path, 58e6)
  const first = shipper.start([path], place)
  await firstFile(files, first)
  await sleep(3000)
  await first.stop()
  const before = bytesIn(files)
  const count = storedFiles(files).length
  const db = new Database(path)
  db.pragma('synchronous = NORMAL')
  const update = db.prepare('UPDATE rows SET body = hex(randomblob(480)) WHERE id = ?')
  for (let n = 1; n <= 1000; n++) {
    // Rows of about four to a page: every fourth id in a span is another page.
    db.transaction(() => {
      update.run(1 + ((n * 4) % 1600))
      db.prepare('UPDATE mark SET mark = ?').run(markOf(n))
    })()
  }
  db.pragma('wal_checkpoint(TRUNCATE)')
  db.close()
  const second = shipper.start([path], place)
  while (storedFiles(files).length === count && !second.ended) await sleep(20)
  await sleep(3000)
  await second.stop()
  const uploaded = bytesIn(files) - before
  await prove(shipper, path, 'app', place)
  return { 'uploaded MB': round(uploaded / 1e6, 2), files: storedFiles(files).length - count }
}
