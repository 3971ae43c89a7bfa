/**
 * Every error walrust raises on purpose, in one table: what it is called, how the process ends for it, and what the
 * user can do about it. `docs/errors.md` is held against this table by a test.
 */

export const EXIT = { ok: 0, other: 1, usage: 2, database: 3, storage: 4, integrity: 5, restore: 6 } as const

interface ErrorKind {
  exitCode: number
  hint: string
}

const kind = (exitCode: number, hint: string): ErrorKind => ({ exitCode, hint })

export const ERRORS = {
  E_INTERNAL: kind(EXIT.other, 'This is a defect in walrust. Please report it with the log around it.'),
  E_ABORTED: kind(EXIT.other, 'The work was stopped before it was done. Run it again.'),
  E_HOOK: kind(
    EXIT.other,
    'The plugin named in the message failed. Its author can tell more; it can be taken out of `plugins`.',
  ),
  E_DISK_FULL: kind(EXIT.other, 'Free space on the disk named in the message, or set `spool.dir` to another one.'),
  E_STATE: kind(EXIT.other, 'Check the permissions of the state directory, or choose another one with --state-dir.'),

  E_USAGE: kind(EXIT.usage, 'Run the command with --help.'),
  E_CONFIG: kind(EXIT.usage, 'Correct the setting named in the message.'),
  E_PLATFORM: kind(EXIT.usage, 'Run walrust on Linux or macOS.'),
  E_NO_DATABASES: kind(
    EXIT.usage,
    'Check the path or pattern. Patterns are quoted so that the shell leaves them alone.',
  ),
  E_DUPLICATE_NAME: kind(EXIT.usage, 'Give one of the two databases another `name` in the configuration.'),
  E_NOT_WATCHED: kind(EXIT.usage, 'Check the name, or start `walrust watch` for this database.'),
  E_CODEC_MISSING: kind(EXIT.usage, 'Install the plugin named in the message and list it under `plugins`.'),

  E_DATABASE_MISSING: kind(EXIT.database, 'Check the path.'),
  E_NOT_SQLITE: kind(EXIT.database, 'Check the path: the file is not an SQLite database.'),
  E_NOT_WAL: kind(
    EXIT.database,
    "Turn it on once, with the application stopped: sqlite3 FILE 'PRAGMA journal_mode=WAL'",
  ),
  E_DATABASE_READONLY: kind(
    EXIT.database,
    'walrust needs to write beside the database (its -wal and -shm files), as every SQLite program does.',
  ),
  E_DATABASE_LOCKED: kind(
    EXIT.database,
    'Another walrust watches this database. Stop it first, or let it do the work.',
  ),
  E_DATABASE_BUSY: kind(EXIT.database, 'Close every program that has the file open, then run the command again.'),
  E_DATABASE_UNREADABLE: kind(EXIT.database, 'Check the disk and the permissions of the database.'),
  E_NOT_REPLICA: kind(
    EXIT.database,
    'Choose another file. If it was a replica, remove it: it is made anew, which loses nothing.',
  ),
  E_SQLITE_TOO_OLD: kind(
    EXIT.database,
    'Reinstall walrust: its SQLite is older than the fix for the WAL-reset bug (3.51.3).',
  ),

  E_STORAGE: kind(EXIT.storage, 'Check that the storage can be reached and written to.'),
  E_STORAGE_AUTH: kind(EXIT.storage, 'Check the credentials of the storage.'),
  E_STORAGE_MISSING: kind(EXIT.storage, 'Check the name of the bucket or directory.'),
  E_STORAGE_REGION: kind(EXIT.storage, 'Set the region to that of the bucket.'),
  E_STORAGE_CLOCK: kind(EXIT.storage, 'Set the clock of this machine (NTP), then start again.'),
  E_OBJECT_EXISTS: kind(EXIT.storage, 'Something else writes to this prefix. Give each database a prefix of its own.'),
  E_FENCED: kind(EXIT.storage, 'Another walrust has taken over this database. Stop one of the two.'),
  E_UNSHIPPED: kind(
    EXIT.storage,
    'Commits are safe in the database and in the spool; start walrust again when the storage can be reached.',
  ),

  E_OBJECT_DAMAGED: kind(
    EXIT.integrity,
    'The file named in the message is not what was written. Restore to a point before it, or take a new snapshot.',
  ),
  E_CHAIN_BROKEN: kind(
    EXIT.integrity,
    'Files are missing between the two named in the message. Restore to a point before them, or take a new snapshot.',
  ),
  E_CHECKSUM: kind(EXIT.integrity, 'Keep the storage as it is and report this: the database checksum is the last net.'),
  E_STALE_MACHINE: kind(
    EXIT.integrity,
    'If this machine has the right data, start with --adopt. If not, restore the database first.',
  ),
  E_DIFFERS: kind(EXIT.integrity, 'Let walrust ship what is new, then verify again; if it stays, take a new snapshot.'),

  E_NO_BACKUP: kind(EXIT.restore, 'Run `walrust list` to see what the storage holds.'),
  E_POINT_UNAVAILABLE: kind(EXIT.restore, 'Choose one of the points named in the message.'),
  E_TARGET_EXISTS: kind(EXIT.restore, 'Choose another file, or overwrite it with --force.'),
} as const

export type ErrorCode = keyof typeof ERRORS

export interface ErrorDetails {
  /** Name or path of the database it concerns. */
  database?: string
  /** URL of the storage it concerns. */
  storage?: string
  /** Plugin and hook where it arose. */
  plugin?: string
  hook?: string
  /** What the user can do, where the general hint of the code is not the best one. */
  hint?: string
  cause?: unknown
}

/** An error that knows how the process should end for it and what to do about it. */
export class WalrustError extends Error {
  override readonly name = 'WalrustError'
  readonly database: string | undefined
  readonly storage: string | undefined
  plugin: string | undefined
  hook: string | undefined
  readonly hint: string

  constructor(
    readonly code: ErrorCode,
    message: string,
    details: ErrorDetails = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.database = details.database
    this.storage = details.storage
    this.plugin = details.plugin
    this.hook = details.hook
    this.hint = details.hint ?? ERRORS[code].hint
  }

  get exitCode(): number {
    return ERRORS[this.code].exitCode
  }
}

/** Whether an error has that code. */
export function isError(error: unknown, ...codes: ErrorCode[]): error is WalrustError {
  return error instanceof WalrustError && codes.includes(error.code)
}

/** The system's error code (`ENOENT`, `ENOSPC` …) of an error, if it has one. */
export function systemCode(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null | undefined)?.code
  return typeof code === 'string' ? code : undefined
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
