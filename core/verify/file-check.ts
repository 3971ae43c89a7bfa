import { createHash } from 'node:crypto'
import { isError, messageOf } from '../errors.js'
import type { FileFacts } from '../facts.js'
import type { StoredFile } from '../inventory.js'
import { formatChecksum } from '../ltx/checksum.js'
import { LtxError } from '../ltx/errors.js'
import { type LtxHeader, readHeader, readTrailer, withPost } from '../ltx/header.js'
import { HEADER_SIZE, INDEX_SIZE_FIELD, TRAILER_SIZE } from '../ltx/layout.js'
import { indexLength } from '../ltx/page-index.js'
import { LEVEL_SHIPPED } from '../object-keys.js'
import type { ObjectBody } from '../object-store.js'
import type { Remote } from '../remote.js'
import { checkIdentity, type PageSink, readFile } from '../restore/read-file.js'
import { collect } from '../storage/collect.js'
import type { Findings } from './finding.js'
import type { Listing } from './listing.js'

/** What one file says and what is recorded of it. */
export interface Seen {
  file: StoredFile
  facts: FileFacts
  /** With the checksum that a tracked file has in its trailer. `undefined` if it could not be read without its pages. */
  header: LtxHeader | undefined
  /** SHA-256 of its bytes; `undefined` if they were not read. */
  sha256: string | undefined
}

/** Looks at files one by one, each against its name and its record. Nothing that is wrong with one is an error. */
export class FileCheck {
  readonly seen: Seen[] = []
  /** Bytes read. */
  bytes = 0
  /** Listed, and not there any more when it was their turn. */
  readonly #gone: StoredFile[] = []
  readonly #unrecorded: StoredFile[] = []
  readonly #looked = new Set<string>()

  constructor(
    readonly remote: Remote,
    readonly listing: Listing,
    readonly findings: Findings,
    readonly options: { signal?: AbortSignal; progress?: (done: number, of: number, bytes: number) => void },
  ) {}

  /** Reads a file to its end. The header, or `undefined` if it is not what it should be: that is told then. */
  async read(file: StoredFile, sink: PageSink, before?: number): Promise<LtxHeader | undefined> {
    const { remote, findings } = this
    const { signal } = this.options
    const hash = createHash('sha256')
    let facts: FileFacts | undefined
    try {
      const opened = await remote.open(file, signal)
      facts = opened.facts
      const body = await remote.unwrap(this.#hashed(opened.body, hash), facts.codecs)
      const header = await readFile(remote, file, body, sink, before)
      this.#note({ file, facts, header, sha256: hash.digest('hex') })
      return header
    } catch (error) {
      signal?.throwIfAborted()
      this.#failed(file, error)
      return undefined
    } finally {
      this.#progress(file)
      if (facts && facts.codecs.length > 0 && findings.has(file.key)) this.#looked.add(file.key)
    }
  }

  /**
   * Looks at a file's two ends only: two requests, and none of its pages. Of one that was written through a plugin at its
   * beginning, with that plugin: whether it is here, and gives back what it was given.
   */
  async glance(file: StoredFile): Promise<void> {
    const { remote } = this
    const { signal } = this.options
    try {
      const { facts, bytes } = await remote.start(file, HEADER_SIZE, signal)
      this.bytes += bytes.length
      const header = facts.codecs.length > 0 ? await this.#beginning(file, facts) : await this.#ends(file, bytes)
      this.#note({ file, facts, header, sha256: undefined })
    } catch (error) {
      signal?.throwIfAborted()
      this.#failed(file, error instanceof LtxError ? remote.damaged(file, error) : error)
    } finally {
      this.#progress(file)
    }
  }

  /**
   * Looks once more at what may only have been moving while it was looked at: files that were merged and removed, and
   * records that are written right after their file.
   */
  async settle(): Promise<void> {
    const { remote, findings } = this
    const { signal } = this.options
    if (this.#gone.length > 0) {
      const now = await remote.inventory(signal)
      for (const file of this.#gone) {
        if (now.find(file)) findings.add('missing', 'it is listed and cannot be had', { file: file.key })
        else if (file.maxTxid > now.newest)
          findings.add('missing', `it went while it was to be read, and nothing else reaches as far`, {
            file: file.key,
          })
      }
    }
    for (const file of this.#unrecorded) {
      // Removing takes record and file one after the other: one that another file holds as well may be left over.
      if (this.#isHeldElsewhere(file)) continue
      if ((await remote.sidecar(file, signal))?.sha256 !== undefined) continue
      findings.add('no-record', 'nothing is recorded of it: neither its SHA-256 nor what it continues', {
        file: file.key,
      })
    }
  }

  #isHeldElsewhere({ key, maxTxid }: StoredFile): boolean {
    for (const other of this.listing.inventory.files())
      if (other.key !== key && other.minTxid <= maxTxid && other.maxTxid >= maxTxid) return true
    return false
  }

  async #ends(file: StoredFile, bytes: Uint8Array): Promise<LtxHeader> {
    const header = readHeader(bytes)
    checkIdentity(header, file)
    const size = INDEX_SIZE_FIELD + TRAILER_SIZE
    const range = { start: Math.max(0, file.size - size), end: file.size }
    const tail = await collect(this.remote.raw(file, range, this.options.signal), size)
    this.bytes += tail.length
    indexLength(tail, file.size)
    const { post } = readTrailer(tail.subarray(INDEX_SIZE_FIELD), header)
    return withPost(header, post)
  }

  async #beginning(file: StoredFile, { codecs, post }: FileFacts): Promise<LtxHeader> {
    const { remote, options } = this
    const header = await remote.headerIn(file, this.#hashed(remote.raw(file, undefined, options.signal)), codecs)
    checkIdentity(header, file)
    // A tracked file has its checksum at its end, which is as far away as all of it.
    return withPost(header, post)
  }

  async *#hashed(body: ObjectBody, hash?: { update: (bytes: Uint8Array) => unknown }): ObjectBody {
    for await (const piece of body) {
      hash?.update(piece)
      this.bytes += piece.length
      yield piece
    }
  }

  #progress(file: StoredFile): void {
    this.#looked.add(file.key)
    this.options.progress?.(this.#looked.size, this.listing.inventory.size, this.bytes)
  }

  #failed(file: StoredFile, error: unknown): void {
    if (isError(error, 'E_CHAIN_BROKEN')) {
      this.#gone.push(file)
      return
    }
    const code = isError(error, 'E_OBJECT_DAMAGED')
      ? 'damaged'
      : isError(error, 'E_CODEC_MISSING')
        ? 'codec-missing'
        : 'unreadable'
    const cause = code === 'damaged' && error instanceof Error && error.cause instanceof Error ? error.cause : error
    this.findings.add(code, messageOf(cause), { file: file.key })
  }

  #note(seen: Seen): void {
    // A file that bridges two states is read a second time where the smaller ones are damaged.
    if (this.seen.some(({ file }) => file === seen.file)) return
    this.seen.push(seen)
    this.#checkRecord(seen)
  }

  /** Holds a file against what is recorded of it, in its metadata or beside it. */
  #checkRecord({ file, facts, header, sha256 }: Seen): void {
    const { findings, listing, remote } = this
    const wrong = (what: string, expected: string, found: string) =>
      findings.add('wrong-record', what, { file: file.key, expected, found })
    if (facts.sha256 === undefined) {
      if (listing.recorded.has(file.key))
        findings.add('bad-record', 'what is recorded of it cannot be read', { file: file.key })
      // Other tools record nothing. Ours are known by the checksum in their header; of larger files the record may be
      // missing because the process was killed before it was written, and they prove themselves by their pages.
      else if (header?.checksums === 'portable' && header.post !== 0n && file.level === LEVEL_SHIPPED) {
        if (remote.store.capabilities.metadata)
          findings.add('no-record', 'nothing is recorded of it', { file: file.key })
        else this.#unrecorded.push(file)
      }
      return
    }
    if (sha256 !== undefined && facts.sha256 !== sha256)
      findings.add('wrong-hash', 'its bytes are not those that were written', {
        ...{ file: file.key, expected: facts.sha256, found: sha256 },
      })
    if (!header) return
    const checksum = (value: bigint) => (value === 0n ? 'none' : formatChecksum(value))
    if (facts.post !== header.post)
      wrong('another database checksum is recorded than the file has', checksum(header.post), checksum(facts.post))
    if (facts.pre !== header.pre)
      wrong('another database checksum before it is recorded', checksum(header.pre), checksum(facts.pre))
    if (facts.timestamp !== header.timestamp)
      wrong('another time is recorded than the file has', iso(header.timestamp), iso(facts.timestamp))
  }
}

function iso(time: number | undefined): string {
  return time === undefined ? 'none' : new Date(time).toISOString()
}
