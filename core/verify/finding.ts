/**
 * What can be wrong with a backup. Scripts go by these codes; docs/verifying.md says what each means.
 */
export type FindingCode =
  /** There is nothing at all. */
  | 'nothing-found'
  /** No file holds the whole database, or transactions are missing between two files. */
  | 'no-base'
  | 'gap'
  /** A file is listed and cannot be had, or its record lies there and the file does not. */
  | 'missing'
  /** A file is not a whole LTX file of the transactions that its name says. */
  | 'damaged'
  /** Two files of level 0 hold the same transaction, or a file lies on a level where it cannot be. */
  | 'overlap'
  | 'wrong-level'
  /** The bytes are not those that were recorded. */
  | 'wrong-hash'
  /** What is recorded of a file is not there, cannot be read, or is not what the file itself says. */
  | 'no-record'
  | 'bad-record'
  | 'wrong-record'
  /** A file stands on another database, or on another file, than the one before it gives. */
  | 'broken-chain'
  /** The pages do not give the database checksum that is stated for them. */
  | 'wrong-checksum'
  /** Two files end at the same transaction in different databases: a snapshot or a merged file beside the chain. */
  | 'disagrees'
  /** A file is said to be older than the one it continues. */
  | 'wrong-time'
  /** Something lies there that is not part of a backup. */
  | 'foreign'
  /** A file was written through a plugin that is not installed; the message names it. */
  | 'codec-missing'
  /** A file could not be read for another reason, which the message has. */
  | 'unreadable'
  /** The newest state could not be restored. */
  | 'restore-failed'
  /** The live database is not what storage has. */
  | 'differs'

/** One thing that is wrong. */
export interface Finding {
  code: FindingCode
  /** Key of the object, if it is about one. */
  file?: string
  /** What is wrong, for people. */
  what: string
  expected?: string
  found?: string
}

/** Gathers findings, each thing once. */
export class Findings {
  readonly all: Finding[] = []
  readonly #known = new Set<string>()

  add(code: FindingCode, what: string, details: Omit<Finding, 'code' | 'what'> = {}): void {
    const id = `${code} ${details.file ?? ''} ${what}`
    if (this.#known.has(id)) return
    this.#known.add(id)
    this.all.push({ code, ...details, what })
  }

  /** Whether anything is wrong with an object. */
  has(file: string): boolean {
    return this.all.some((finding) => finding.file === file)
  }
}

/** A finding in one line. */
export function findingText({ code, file, what, expected, found }: Finding): string {
  const sides = expected === undefined ? '' : ` (expected ${expected}, found ${found ?? 'nothing'})`
  return `${code}: ${file === undefined ? '' : `${file}: `}${what}${sides}`
}
