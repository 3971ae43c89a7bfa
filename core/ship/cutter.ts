import { WalrustError } from '../errors.js'
import type { FrameBatch } from '../hooks.js'
import { PageListBuilder } from '../pages/page-list.js'
import { comparePositions, LOG_START, type LogPosition } from '../wal/position.js'
import type { Continuity } from './continuity.js'
import type { Delivery } from './delivery.js'
import type { FileMaker } from './file-maker.js'
import type { ShipperParts } from './parts.js'

export interface CutterParts extends Pick<ShipperParts, 'owner' | 'local'> {
  maker: FileMaker
  continuity: Continuity
  delivery: Delivery
}

/** Decides what the next file holds: everything committed since the last one. */
export class Cutter {
  readonly #parts: CutterParts

  constructor(parts: CutterParts) {
    this.#parts = parts
  }

  /** Everything committed since the last file becomes the next one. */
  async cut(): Promise<void> {
    const { local, owner } = this.#parts
    const since = local.position?.log ?? LOG_START
    if (comparePositions(owner.end, since) > 0) await owner.reading(since, () => this.#make(since))
  }

  /** The same, up to exactly what has been read when this is called: nothing that comes meanwhile. */
  async cutExactly(): Promise<void> {
    const { local, owner } = this.#parts
    const since = local.position?.log ?? LOG_START
    if (comparePositions(owner.end, since) > 0) await owner.readingExactly(() => this.#make(since))
  }

  /** Makes the next transaction ours, even if it holds nothing: docs/fencing.md, "The fence post". */
  async cutPost(): Promise<void> {
    const { local, owner, maker } = this.#parts
    const { position, table } = local
    if (!position || !table) throw new WalrustError('E_INTERNAL', 'there is nothing for a fence post to follow')
    const nothing = new PageListBuilder().build(table.pageSize, table.commit, () => undefined)
    await maker.make(nothing, { at: position.log, proof: position.proof, observed: owner.observed, always: true })
  }

  async #make(since: LogPosition): Promise<void> {
    const { owner, delivery } = this.#parts
    delivery.unshipped.take()
    const batch = await owner.frames(since)
    try {
      await this.#makeFrom(batch, since)
    } finally {
      batch.close()
    }
  }

  async #makeFrom(batch: FrameBatch, since: LogPosition): Promise<void> {
    const { local, owner, maker, continuity } = this.#parts
    if (comparePositions(batch.from, since) > 0) {
      continuity.heal('frames since the last file are not there any more')
      return
    }
    const pages = batch.pages(since)
    if (pages.pageSize !== local.table?.pageSize) {
      continuity.heal('the page size of the database has changed')
      return
    }
    await maker.make(pages, { at: batch.to, proof: batch.proof, observed: owner.observed })
    owner.moved()
  }
}
