import { mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { StorageSource } from '../config/resolved.js'
import { messageOf } from '../errors.js'
import { writeDurably } from '../fs/durable.js'
import type { Log } from '../log.js'
import { redact } from '../redact.js'
import type { ValidationStatus } from '../status.js'
import { findingText } from './finding.js'
import type { Proof, ProofDepth } from './prove.js'

export interface ValidationRequest {
  database: string
  storage: StorageSource
  depth: ProofDepth
  /** Folder for the trial restore. */
  scratch: string
}

/**
 * Proves one database in one storage, somewhere else: it takes memory and processor time that a process which ships for
 * months must not keep. Errors: those of `prove`, the signal's reason.
 */
export type Validate = (request: ValidationRequest, signal: AbortSignal) => Promise<Proof>

export interface ValidatedDatabase {
  name: string
  /** Milliseconds between two validations, and how deep they go. */
  validation: { interval: number; depth: ProofDepth }
  /** Where it lies, with the folder of what this machine remembers about it there. */
  places: ReadonlyArray<{ storage: StorageSource; folder: string }>
  /** Whether anything has been confirmed by a storage: before that there is nothing to prove. */
  isShipped: (place: number) => boolean
}

export interface ValidatorParts {
  validate: Validate
  log: Log
  /** Told of what was found. */
  failed: (database: string, error: string, context: object) => void
}

interface Entry {
  readonly database: ValidatedDatabase
  readonly place: number
  /** When it is its turn, milliseconds since the epoch. */
  due: number
  last: number | undefined
  successes: number
  failures: number
  /** What the last one found. */
  error: string | undefined
}

/** A database that was never validated is so long after the start, if the interval is not shorter. Milliseconds. */
const FIRST = 5 * 60_000
/** The same again after one that could not be carried out. */
const RETRY = 10 * 60_000
/** While nothing has been shipped yet. */
const NOT_YET = 5000
/** The clock is looked at so often at least: it may be set, or the machine may have slept. Milliseconds. */
const LONGEST = 24 * 3_600_000
/** Findings that an event carries: the rest is for `walrust verify`. */
const MOST_TOLD = 10

/**
 * Validates databases by the clock, one at a time. When it was done last is kept on this machine, so that a process
 * which is often started anew comes to it all the same.
 */
export class Validator {
  readonly #parts: ValidatorParts
  readonly #entries = new Map<string, Entry[]>()
  #timer: NodeJS.Timeout | undefined
  #running: { entry: Entry; stop: AbortController; ended: Promise<void> } | undefined
  #closed = false

  constructor(parts: ValidatorParts) {
    this.#parts = parts
  }

  /** Takes a database up. One whose interval is 0 is left alone. */
  async add(database: ValidatedDatabase): Promise<void> {
    const { name, validation, places } = database
    if (validation.interval === 0) return
    const entries: Entry[] = []
    for (const [place, { folder }] of places.entries()) {
      const last = await readLast(folder)
      const wait = last === undefined ? FIRST : last + validation.interval - Date.now()
      const due = Date.now() + Math.min(validation.interval, Math.max(0, wait))
      entries.push({ database, place, due, last, successes: 0, failures: 0, error: undefined })
    }
    this.#entries.set(name, entries)
    this.#arm()
  }

  /** Lets a database go, and ends what is under way for it. */
  async remove(name: string): Promise<void> {
    this.#entries.delete(name)
    await this.#end((entry) => entry.database.name === name)
    this.#arm()
  }

  /** Of all storages of a database: `last` of the one that is furthest behind. `undefined` before the first one. */
  statusOf(name: string): ValidationStatus | undefined {
    const entries = this.#entries.get(name) ?? []
    const times = entries.flatMap(({ last }) => last ?? [])
    if (times.length === 0) return undefined
    const sum = (of: 'successes' | 'failures') => entries.reduce((total, entry) => total + entry[of], 0)
    const error = entries.find((entry) => entry.error !== undefined)?.error
    return { successes: sum('successes'), failures: sum('failures'), last: Math.min(...times), error }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#entries.clear()
    clearTimeout(this.#timer)
    await this.#end(() => true)
  }

  async #end(which: (entry: Entry) => boolean): Promise<void> {
    const running = this.#running
    if (!running || !which(running.entry)) return
    running.stop.abort()
    await running.ended
  }

  #arm(): void {
    clearTimeout(this.#timer)
    if (this.#closed || this.#running) return
    const due = Math.min(...[...this.#entries.values()].flat().map((entry) => entry.due))
    if (due === Infinity) return
    this.#timer = setTimeout(() => this.#begin(), Math.min(LONGEST, Math.max(0, due - Date.now())))
  }

  #begin(): void {
    const waiting = [...this.#entries.values()].flat().sort((a, b) => a.due - b.due)
    const entry = waiting.at(0)
    if (!entry || entry.due > Date.now()) {
      this.#arm()
      return
    }
    if (!entry.database.isShipped(entry.place)) {
      entry.due = Date.now() + NOT_YET
      this.#arm()
      return
    }
    const stop = new AbortController()
    const ended = this.#run(entry, stop.signal).finally(() => {
      this.#running = undefined
      this.#arm()
    })
    this.#running = { entry, stop, ended }
  }

  /** Never rejects: shipping goes on whatever comes of it. */
  async #run(entry: Entry, signal: AbortSignal): Promise<void> {
    const { name, validation, places } = entry.database
    const { storage, folder } = places[entry.place]
    const { log, validate } = this.#parts
    const scratch = join(folder, 'validating')
    try {
      // What one before this left there that was killed.
      await rm(scratch, { recursive: true, force: true })
      await mkdir(scratch, { recursive: true, mode: 0o700 })
      const proof = await validate({ database: name, storage, depth: validation.depth, scratch }, signal)
      entry.last = Date.now()
      entry.due = entry.last + validation.interval
      this.#tell(entry, proof)
      await writeDurably(join(folder, LAST), String(entry.last))
    } catch (error) {
      if (signal.aborted) return
      entry.due = Date.now() + Math.min(validation.interval, RETRY)
      log.warn('a validation was not carried out', { database: name, storage: storage.url, error: messageOf(error) })
    } finally {
      await rm(scratch, { recursive: true, force: true }).catch(() => undefined)
    }
  }

  #tell(entry: Entry, { txid, files, bytesRead, findings, restored, notRestored }: Proof): void {
    const { name, validation } = entry.database
    const storage = entry.database.places[entry.place].storage.url
    const fields = { database: name, storage, depth: validation.depth, txid, files, bytesRead, restored, notRestored }
    if (findings.length === 0) {
      entry.successes++
      entry.error = undefined
      this.#parts.log.info('validated', fields)
      return
    }
    entry.failures++
    const more = findings.length > 1 ? ` and ${findings.length - 1} more` : ''
    entry.error = redact(`the backup in ${storage} is not sound: ${findingText(findings[0])}${more}`)
    this.#parts.log.error('validation failed', { ...fields, error: entry.error })
    const told = findings.slice(0, MOST_TOLD)
    this.#parts.failed(name, entry.error, { storage, txid, problems: findings.length, findings: told })
  }
}

const LAST = 'validated'

async function readLast(folder: string): Promise<number | undefined> {
  const text = await readFile(join(folder, LAST), 'utf8').catch(() => '')
  const last = Number(text)
  return /^\d+$/.test(text) && last <= Date.now() ? last : undefined
}
