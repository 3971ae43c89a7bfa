import { statSync } from 'node:fs'
import { join } from 'node:path'
import { killProgramme } from '../../test/helpers/kill-programme.js'
import { HelperProcess } from '../../test/helpers/processes.js'
import type { TruncatorOptions } from '../../test/helpers/truncator.js'
import type { WriterOptions, WriterReport } from '../../test/helpers/writer.js'
import { createDatabase } from '../../test/helpers/databases.js'
import { type Case, type Row, round } from '../harness/case.js'

export default {
  title: 'SIGKILL again and again',
  about:
    'A writer at 1,000 commits/s, a process that runs TRUNCATE checkpoints, and walrust killed 22 times in 30 s; the same without walrust first. Ends with the restored database compared by checksum.',
  goal: 'nothing lost; each lock at most 50 ms; worst commit at most 50 ms above the worst unwatched one',
  async run(bench) {
    const seconds = bench.quick ? 10 : 30
    const rows: Row[] = []
    for (let i = 0; i < bench.runs; i++) {
      const alone = join(bench.folder(), 'app.db')
      createDatabase(alone, { bytes: 200_000 })
      const writer = new HelperProcess<WriterReport>('writer', {
        path: alone,
        rate: 1000,
        seconds,
      } satisfies WriterOptions)
      const truncator = new HelperProcess('truncator', {
        path: alone,
        seconds,
        every: 50,
        busyTimeout: 5000,
      } satisfies TruncatorOptions)
      const unwatched = await writer.report()
      await truncator.report()
      const folder = bench.folder()
      const report = await killProgramme({ folder, seconds, rate: 1000, kills: bench.quick ? 7 : 22, truncate: true })
      const same = report.source.checksum === report.restored.checksum && report.restored.integrity === 'ok'
      if (report.lost.length > 0 || !same) throw new Error(`lost: ${JSON.stringify(report)}`)
      rows.push({
        what: `run ${i + 1}`,
        who: 'walrust',
        figures: {
          kills: report.kills,
          commits: report.commits,
          healed: report.healed,
          locks: report.locks.length,
          'longest lock ms': round(Math.max(0, ...report.locks)),
          'worst alone ms': round(unwatched.worst),
          'worst watched ms': round(report.writer.worst),
          'p99 alone ms': round(unwatched.p99),
          'p99 watched ms': round(report.writer.p99),
          'database MB': round(statSync(join(folder, 'app.db')).size / 1e6),
          'stored MB': round(report.stored.bytes / 1e6),
        },
      })
    }
    return rows
  },
} satisfies Case
