import type { DatabaseFile } from '../database/database-file.js'
import type { Checkpointer } from '../wal/checkpointer.js'
import { ContinuityLost, type Follower } from '../wal/follower.js'
import { Touched } from '../wal/touched.js'
import { FileWatcher } from '../wal/watcher.js'

/** Another file, or other bytes in the same one, where the database was. */
export class Replaced extends Error {
  override readonly name = 'Replaced'
}

/** What is there while a database is followed: its WAL, the care for that, and the watch on both files. */
export class Attachment {
  readonly file: DatabaseFile
  readonly follower: Follower
  readonly checkpointer: Checkpointer
  readonly #walWatcher: FileWatcher
  /** Listens to the database file itself. */
  readonly #fileWatcher: FileWatcher
  readonly #touched: Touched

  /** @param changed told when one of the files has changed, once each time that {@link arm} was called */
  constructor(file: DatabaseFile, follower: Follower, checkpointer: Checkpointer, changed: () => void) {
    this.file = file
    this.follower = follower
    this.checkpointer = checkpointer
    this.#walWatcher = new FileWatcher(follower.walPath, changed)
    this.#fileWatcher = new FileWatcher(file.path, changed)
    this.#touched = new Touched(file.path)
  }

  /** Begins to listen to the files. False if there is nothing to listen to: then only looking helps. */
  arm(): boolean {
    if (!this.#walWatcher.arm()) return false
    // Somebody who puts an older copy in place is noticed at once, not when the application writes: it would be given
    // the old size of the database from the index that our connections keep alive, and find its file malformed. And
    // who empties the WAL waits for our pin from the moment that everything in it is in the database file.
    this.#fileWatcher.arm()
    return true
  }

  disarm(): void {
    this.#walWatcher.disarm()
    this.#fileWatcher.disarm()
  }

  /** Whether there is reason to look although nothing has told of it: the files are not as they were. */
  get isTouched(): boolean {
    return this.#touched.ask()
  }

  /** Errors: {@link Replaced}, `ContinuityLost`, if this is not the database any more that it was. */
  checkIdentity(): void {
    if (!this.file.isInPlace()) throw new Replaced('another file was put in its place')
    if (this.follower.isOverwritten()) throw new Replaced('the file was overwritten')
    if (this.follower.isWalReplaced()) throw new ContinuityLost('the -wal file was replaced or deleted')
  }

  /** Resolves when nothing happens here by itself any more. Whoever still reads from the WAL can do so until it is closed. */
  async rest(): Promise<void> {
    await this.checkpointer.rest()
    this.disarm()
  }
}
