import type { DatabaseInfo } from '../hooks.js'
import type { Log } from '../log.js'
import type { CheckpointReport } from '../wal/checkpointer.js'
import type { ReplicatorParts } from './parts.js'

/** How often it is told of that somebody else empties the WAL, in milliseconds. */
const FOREIGN_EVERY = 10 * 60_000

export interface CheckpointReportsParts extends Pick<ReplicatorParts, 'notify' | 'onCheckpoint'> {
  database: DatabaseInfo
  log: Log
}

/** Tells of the checkpoints of one database, ours and others', and of what they have done to it. */
export class CheckpointReports {
  readonly #parts: CheckpointReportsParts
  /** Pages that were found damaged. */
  #damagedPages = 0
  /** How often somebody else has emptied the WAL since that was last told of, and when it may be told of again. */
  #emptied = 0
  #nextEmptied = 0

  constructor(parts: CheckpointReportsParts) {
    this.#parts = parts
  }

  get damagedPages(): number {
    return this.#damagedPages
  }

  /** There was a checkpoint. */
  report(report: CheckpointReport): void {
    const { database, onCheckpoint, log } = this.#parts
    onCheckpoint(database.name, report)
    if (report.kind === 'foreign') this.#noteForeign(report)
    log.debug('checkpoint', {
      ...report.result,
      kind: report.kind,
      duration: report.duration,
      locked: report.locked,
    })
  }

  /** Pages that a checkpoint should have brought into the database file are not there. */
  damaged(pages: readonly number[]): void {
    this.#damagedPages += pages.length
    const { database, notify, log } = this.#parts
    const { path, name } = database
    const error = `${pages.length} pages of ${path} are not what was committed: a checkpoint did not bring them there`
    const context = { pages: pages.slice(0, 20), count: pages.length }
    log.error('the database file is damaged; its backup is not', { error, ...context })
    notify('corruption_detected', name, { error, context })
  }

  /** Somebody else empties the WAL. That does no harm, but whoever looks for a cause should know: told of now and then. */
  #noteForeign({ result }: CheckpointReport): void {
    if (result.log > 0) return
    this.#emptied++
    const now = performance.now()
    if (now < this.#nextEmptied) return
    this.#nextEmptied = now + FOREIGN_EVERY
    this.#parts.notify('checkpoint_detected', this.#parts.database.name, { context: { count: this.#emptied } })
    this.#emptied = 0
  }
}
