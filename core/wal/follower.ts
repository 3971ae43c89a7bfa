import { Connection, type WalState } from '../database/connection.js'
import { type DatabaseFile, type FileMark, sameMark } from '../database/database-file.js'
import { fileSize } from '../fs/file-size.js'
import { DatabaseView } from '../pages/database-view.js'
import { BackfillCheck } from './backfill-check.js'
import { Generation } from './generation.js'
import { sameGeneration, type WalHeader } from './layout.js'
import { Pins } from './pins.js'
import { comparePositions, LOG_START, type LogPosition, type WalPosition } from './position.js'
import { WalFile } from './wal-file.js'
import { walPages } from './wal-pages.js'

/**
 * The WAL can no longer be proved to continue where it was read to: commits may have passed unseen. Nothing is lost,
 * they are in the database; whoever follows has to compare with it.
 */
export class ContinuityLost extends Error {
  override readonly name = 'ContinuityLost'
}

/** A view was given up because the WAL could not be held any longer: nothing is wrong with the database. */
export class ViewGivenUp extends Error {
  override readonly name = 'ViewGivenUp'
}

/** Bytes read in one go before others get their turn: about five milliseconds. */
const SLICE = 4 * 1024 * 1024

/** How often a glance is repeated when the WAL header changes while looking. */
const GLANCES = 20

/**
 * Reads one database's WAL without missing a frame.
 *
 * Holds the pins, the WAL descriptor and the generation read so far. Continuity is never assumed: each look holds the
 * last frame taken against the file, and a new generation is only accepted when the pins were handed over so that
 * nothing could have been written in between (`restartAllowed`). Everything else is {@link ContinuityLost}.
 *
 * Nothing here survives a kill, and nothing has to: what was read is proved again from the positions that are kept
 * with what was shipped.
 */
export class Follower {
  readonly #file: DatabaseFile
  readonly #wal: WalFile
  readonly #pins: Pins
  #generation: Generation | undefined
  #state: WalState = { log: 0, checkpointed: 0 }
  /** The last hand-over left nothing behind in the WAL that is not kept elsewhere. */
  #restartAllowed = false
  /** The database file as it was when lock 0 was taken: nobody may write it while that is held. */
  #mark: FileMark | undefined
  #nextSequence: number
  /** Commits in generations that are over. */
  #commits = 0
  /** Where the present generation continues: the end of the one before it, if that was seen. */
  #continues: LogPosition | undefined
  readonly #backfill: BackfillCheck
  readonly #views = new Set<DatabaseView>()
  #viewClosed: (() => void) | undefined

  /**
   * @param file stays open, and is closed by its owner after this
   * @param nextSequence number for the next generation, higher than any before on this machine
   */
  constructor(file: DatabaseFile, nextSequence = 1) {
    this.#file = file
    this.#nextSequence = nextSequence
    this.#wal = new WalFile(file.path)
    this.#pins = new Pins(file.path)
    this.#backfill = new BackfillCheck(file)
  }

  /** What the last look saw of WAL and backfill. */
  get state(): WalState {
    return this.#state
  }

  /** Up to where the WAL has been read. */
  get position(): LogPosition {
    return this.#generation?.position ?? { ...LOG_START, generation: this.#nextSequence - 1 }
  }

  /** The position as it can be proved later; `undefined` while the WAL is empty. */
  get proof(): WalPosition | undefined {
    return this.#generation?.proof
  }

  /** Size of the database in pages after the last commit in the WAL; `undefined` if the WAL holds none. */
  get commit(): number | undefined {
    return this.#generation && this.#generation.frames > 0 ? this.#generation.commit : undefined
  }

  get generation(): Generation | undefined {
    return this.#generation
  }

  /** Commits read since this was made. */
  get commits(): number {
    return this.#commits + (this.#generation?.commits ?? 0)
  }

  get nextSequence(): number {
    return this.#nextSequence
  }

  /** The end of the generation before this one, if the step from there to here was seen. */
  get continues(): LogPosition | undefined {
    return this.#continues
  }

  /** Whether somebody has written the database file at a time when no checkpoint could. */
  isOverwritten(): boolean {
    return this.#mark !== undefined && !sameMark(this.#mark, this.#file.mark())
  }

  get restartAllowed(): boolean {
    return this.#restartAllowed
  }

  /** Whether the pin may be of the kind under which nobody can backfill, with frames there that should be. */
  get holdsUpBackfill(): boolean {
    return this.#pins.mayBeZero && this.#state.log > this.#state.checkpointed
  }

  /** Whether the pin is known to hold up nobody: it stands at the end of what is in the WAL. */
  get pinAtEnd(): boolean {
    return this.#pins.least >= this.#state.log
  }

  /** The connection in no transaction: for checkpoints. */
  get idle(): Connection {
    return this.#pins.idle
  }

  get walPath(): string {
    return this.#wal.path
  }

  /**
   * Takes the first pin and reads the WAL from its start.
   *
   * @param known positions that may turn out to lie in the WAL as it is now, each with its number on this machine
   * @returns whichever of them is proved: same generation, not beyond what is there, identical checksum at the frame
   */
  async attach(
    known: ReadonlyArray<{ at: LogPosition; proof: WalPosition | undefined }>,
  ): Promise<ReadonlyArray<LogPosition>> {
    this.#pins.take()
    this.#nextSequence = Math.max(this.#nextSequence, ...known.map(({ at }) => at.generation + 1))
    const { header, state } = this.#glance()
    this.#state = state
    if (state.log === 0) {
      // Pinned on an empty WAL: nothing can be backfilled until the pin moves on, so nobody may write the database.
      this.#mark = this.#file.mark()
      return []
    }
    if (!header) return []
    // One generation can have been given two numbers, if it was lost sight of while a storage was away. The higher one
    // counts, or what follows would seem to lie before a position that has it; under the lower one nothing is proved.
    const mine = known.filter(({ proof }) => proof?.salt1 === header.salt1 && proof.salt2 === header.salt2)
    const number = mine.reduce((most, { at }) => Math.max(most, at.generation), 0)
    const generation = new Generation(number || this.#nextSequence++, header)
    await this.#scan(generation, state.log)
    this.#generation = generation
    const proved = mine.filter(({ at, proof }) => at.generation === number && proof && this.#proves(generation, proof))
    return proved.map(({ at }) => at)
  }

  /**
   * Looks at the WAL and reads what is new, in slices between which others get their turn.
   *
   * @returns whether there was anything new. Errors: {@link ContinuityLost}
   */
  async collect(): Promise<boolean> {
    const before = this.position
    for (;;) {
      if (this.collectNow(SLICE)) return comparePositions(before, this.position) !== 0
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  /**
   * Whether the WAL is longer, or more of it in the database, than at the last look: a few microseconds, for those who
   * ask often. A WAL that was started over and is as long as before is left to the next look.
   */
  hasNews(): boolean {
    const { log, checkpointed } = this.idle.state()
    return log !== this.#state.log || checkpointed !== this.#state.checkpointed
  }

  /** As {@link collect}, at once, up to `budget` bytes; whether that was everything. */
  collectNow(budget = Infinity): boolean {
    const { header, state } = this.#glance()
    const generation = this.#current(header, state)
    this.#state = state
    if (!generation || state.log === generation.frames) return true
    // Under lock 0 new frames cannot be backfilled, under a mark there is no restart: until the next hand-over none can
    // follow in either case.
    this.#restartAllowed = false
    if (generation.frames > 0) this.#mark = undefined
    this.#scanNow(generation, state.log, budget)
    return generation.frames === state.log
  }

  /**
   * Reads to the end of what the last look has seen, if that is under way: between two of its slices the position lies
   * in the middle of a transaction, which nobody may take for a state. Errors: {@link ContinuityLost}
   */
  finishLook(): void {
    if (this.#generation && this.#generation.frames < this.#state.log) this.collectNow()
  }

  /** The newest version of every page written after `since`, which lies in the present generation. */
  pagesSince(frame: number): ReturnType<typeof walPages> | undefined {
    const generation = this.#generation
    return generation && walPages(generation, this.#wal, frame)
  }

  /** Moves the pin forward over frames that stay in the WAL, so that they can be backfilled. */
  advance(): boolean {
    if (!this.#pins.advance(this.#state)) return false
    this.#mark = undefined
    return true
  }

  /**
   * Gets out of the way of a checkpointer that waits for the very read slot our pin is on, until it has gone past.
   * Everything that is in the WAL must be safe elsewhere. Errors: {@link ContinuityLost}, if it went so far meanwhile
   * that it cannot be proved that nothing was missed.
   *
   * @param limit milliseconds
   */
  stepAside(limit: number): void {
    const { log, checkpointed } = this.#state
    const mark = this.#file.mark()
    this.#mark = undefined
    this.#pins.stepAside(() => {
      // The database file is written only after all slots have been passed.
      const state = this.idle.state()
      return state.log !== log || state.checkpointed !== checkpointed || !sameMark(mark, this.#file.mark())
    }, limit)
    this.collectNow()
  }

  /**
   * Lets the next writer restart the WAL, if everything is backfilled and read.
   *
   * @param kept frames of the present generation that are safe outside the WAL
   */
  settle(kept: number): boolean {
    if (!this.#pins.settle(this.#generation ? kept : 0)) return false
    this.#restartAllowed = true
    // If nothing came in between, the pin is lock 0: from now on nobody may write the database file.
    this.#mark = this.#pins.bound === this.#state.log ? this.#file.mark() : undefined
    return true
  }

  /**
   * Holds what was backfilled since the last time against the file, as long as nobody may write that.
   *
   * @returns pages that are not in the file as the WAL had them
   */
  async checkBackfill(): Promise<readonly number[]> {
    const generation = this.#generation
    const mark = this.#mark
    if (!generation || !mark) return []
    return await this.#backfill.run(generation, () => this.#mark === mark && sameMark(mark, this.#file.mark()))
  }

  /** The database file was deleted: what is in the WAL can be read once more with what is open, and then no more. */
  orphaned(): void {
    this.#pins.orphaned()
  }

  /** Frees what is not needed while nothing happens. */
  rest(): void {
    this.#pins.rest()
  }

  /**
   * Pins the state at the end of what is in the WAL now and shows it page by page. Everything up to there has been
   * read when this returns, so `position` is the view's `at` until the next look.
   */
  openView(): DatabaseView {
    const connection = new Connection(this.#file.path)
    try {
      connection.pin()
      this.collectNow()
      const view = this.#view(connection)
      this.#views.add(view)
      return view
    } catch (error) {
      connection.unpin()
      connection.close()
      throw error
    }
  }

  /** Closes everything. Views that are still open fail at their next read; returns when the last one is closed. */
  async close(reason: Error): Promise<void> {
    for (const view of this.#views) view.invalidate(reason)
    while (this.#views.size > 0) await new Promise<void>((resolve) => (this.#viewClosed = resolve))
    this.#pins.close()
    this.#wal.close()
  }

  /** Gives up the views that somebody reads for as long as it takes, but need not. */
  giveUpSpareViews(reason: Error): void {
    for (const view of this.#views) if (view.spare) view.invalidate(reason)
  }

  /** Makes what is in the WAL durable, on a thread of its own: see {@link WalFile.sync}. */
  async syncWal(): Promise<void> {
    await this.#wal.sync()
  }

  /** Whether the `-wal` file has been cut off, or is not there. */
  isWalEmpty(): boolean {
    return fileSize(this.#wal.path) === 0
  }

  /** Whether the `-wal` file is another one than the one being read. */
  isWalReplaced(): boolean {
    return this.#wal.isReplaced()
  }

  #view(connection: Connection): DatabaseView {
    const generation = this.#generation
    const { log, checkpointed } = this.#state
    // With everything backfilled the pin may be lock 0: then the WAL can be overwritten at any time, and the file
    // alone is the state.
    const overlaid = generation !== undefined && log !== checkpointed
    const header = overlaid ? undefined : this.#file.header()
    if (!overlaid && !header) throw new ContinuityLost('the database has no valid header any more')
    const view: DatabaseView = new DatabaseView({
      file: this.#file,
      wal: this.#wal,
      pageSize: header?.pageSize ?? generation?.header.pageSize ?? 0,
      commit: header?.pages ?? generation?.commit ?? 0,
      overlay: overlaid ? walPages(generation, this.#wal, 0) : undefined,
      at: this.position,
      proof: this.proof,
      release: () => {
        connection.unpin()
        connection.close()
        this.#views.delete(view)
        this.#viewClosed?.()
      },
    })
    return view
  }

  /** WAL header and state that belong together: SQLite resets the state first, then writes a new header. */
  #glance(): { header: WalHeader | undefined; state: WalState } {
    for (let i = 0; i < GLANCES; i++) {
      const before = this.#wal.header()
      const state = this.idle.state()
      const header = this.#wal.header()
      const same = before && header ? sameGeneration(before, header) : before === header
      if (same) return { header, state }
    }
    throw new ContinuityLost('the WAL header does not come to rest')
  }

  /** The generation that the file holds now: the one read so far, a new one, or none yet. */
  #current(header: WalHeader | undefined, state: WalState): Generation | undefined {
    const old = this.#generation
    if (old && header && sameGeneration(old.header, header) && state.log > 0) {
      if (state.log < old.frames) throw new ContinuityLost('frames that were read are not in the WAL any more')
      if (!this.#holdsEnd(old)) throw new ContinuityLost('the last frame read is not in the WAL any more')
      return old
    }
    if (old && !this.#restartAllowed) throw new ContinuityLost('the WAL was replaced under a pin')
    // Reset, and nobody has written since: what was read stays the newest there is.
    if (state.log === 0) return undefined
    if (!header) throw new ContinuityLost('the WAL has no valid header')
    this.#continues = this.position
    this.#commits = this.commits
    this.#generation = new Generation(this.#nextSequence++, header, old)
    this.#pins.restarted()
    return this.#generation
  }

  #holdsEnd(generation: Generation): boolean {
    if (generation.frames === 0) return true
    const sum = this.#wal.sumAt(generation.frames, generation.header.pageSize)
    return sum !== undefined && sum.s1 === generation.sum.s1 && sum.s2 === generation.sum.s2
  }

  #proves(generation: Generation, proof: WalPosition): boolean {
    const { salt1, salt2, pageSize } = generation.header
    if (proof.salt1 !== salt1 || proof.salt2 !== salt2 || proof.frame > generation.frames) return false
    if (proof.frame === 0) return true
    const sum = this.#wal.sumAt(proof.frame, pageSize)
    return sum !== undefined && sum.s1 === proof.s1 && sum.s2 === proof.s2
  }

  async #scan(generation: Generation, upTo: number): Promise<void> {
    while (generation.frames < upTo) {
      this.#scanNow(generation, upTo, SLICE)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  #scanNow(generation: Generation, upTo: number, budget: number): void {
    const end = generation.scan(this.#wal, upTo, budget)
    if (end === 'too-long') throw new ContinuityLost('the WAL is too long to keep track of')
    if (end === 'bad-frame') throw new ContinuityLost(`frame ${generation.frames + 1} of the WAL does not verify`)
  }
}
