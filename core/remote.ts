import { createHash } from 'node:crypto'
import { isError, WalrustError } from './errors.js'
import { type FileFacts, type GapFacts, fromMetadata, headerFacts, toMetadata } from './facts.js'
import { hashBody } from './hashing.js'
import type { DatabaseInfo, Hooks } from './hooks.js'
import type { Inventory, StoredFile } from './inventory.js'
import { listInventory } from './list-inventory.js'
import { HEADER_SIZE, TRAILER_SIZE } from './ltx/layout.js'
import { LtxDecoder } from './ltx/decoder.js'
import { LtxError } from './ltx/errors.js'
import { type LtxHeader, readHeader, readTrailer, startsAsLtx } from './ltx/header.js'
import { checkName, type FileId, fileKey, fileName, LEVEL_SHIPPED, sidecarKey } from './object-keys.js'
import { type ObjectBody, type ObjectInfo, type ObjectStore, StoreError } from './object-store.js'
import { decodeThrough } from './stages/decode.js'
import { collect } from './storage/collect.js'
import { doAgain, readOn } from './storage/resuming.js'
import { bodyOf } from './store-rules.js'

const MAX_SIDECAR = 64 * 1024
/** Keys in one request to delete: what S3 takes. */
const DELETE_BATCH = 1000
/** How often an object is read before it counts as somebody else's. */
const READINGS = 2

/**
 * One database in one storage: what lies there, and how to read it. Nothing here is remembered but the inventory that
 * the caller asked for; an error is an error and never "nothing there".
 */
export class Remote {
  constructor(
    readonly store: ObjectStore,
    readonly name: string,
    readonly hooks: Hooks,
  ) {
    checkName(name)
  }

  key(file: FileId): string {
    return fileKey(this.store.keyStyle, this.name, file)
  }

  /**
   * Lists everything there is of the database. Errors: `E_STORAGE`…, also if the listing ends early.
   *
   * @param others told of every key that is not one of its files
   */
  async inventory(signal?: AbortSignal, most?: number, others?: (key: string) => void): Promise<Inventory> {
    return await listInventory(this.store, this.name, { signal, most, others })
  }

  /** What is known of a file besides its bytes: from its metadata, its sidecar, and its own header for what they lack. */
  async facts(file: StoredFile, signal?: AbortSignal): Promise<FileFacts> {
    return await this.completed(file, await this.recorded(file, signal), signal)
  }

  /** What was recorded of a file: its metadata or its sidecar, nothing of what it says itself. */
  async recorded(file: StoredFile, signal?: AbortSignal): Promise<FileFacts> {
    const info = await this.#guarded('reading', signal, () => this.store.head(file.key, { signal }))
    if (!info) throw this.#missing(file)
    const stored = fromMetadata(info.metadata)
    const sidecar = stored.sha256 ? undefined : await this.sidecar(file, signal)
    return { ...stored, ...sidecar }
  }

  /** Whether a file is there, whatever a listing says. */
  async exists(file: FileId, signal?: AbortSignal): Promise<boolean> {
    return (await this.#guarded('reading', signal, () => this.store.head(this.key(file), { signal }))) !== undefined
  }

  /**
   * When the state at the end of a file was observed: one request where that is in the metadata, more where it lies in a
   * sidecar or in the file only.
   */
  async times(file: StoredFile, signal?: AbortSignal): Promise<GapFacts & Pick<FileFacts, 'timestamp'>> {
    const info = await this.#guarded('reading', signal, () => this.store.head(file.key, { signal }))
    if (!info) throw this.#missing(file)
    const stored = fromMetadata(info.metadata)
    // Of what was merged while it was written, metadata that had to be there before does not know everything.
    if (stored.timestamp !== undefined && (file.level === LEVEL_SHIPPED || stored.sha256 !== undefined)) return stored
    const sidecar = await this.sidecar(file, signal)
    const known = sidecar ?? stored
    return known.timestamp === undefined ? await this.completed(file, known, signal) : known
  }

  /** Recorded facts, with what the file itself says where they lack something. */
  async completed(file: StoredFile, facts: FileFacts, signal?: AbortSignal): Promise<FileFacts> {
    if (facts.post !== 0n && facts.timestamp !== undefined) return facts
    if (facts.codecs.length > 0) return facts
    const header = await this.header(file, signal)
    const known = headerFacts(header)
    return {
      ...facts,
      timestamp: facts.timestamp ?? known.timestamp,
      pre: facts.pre || known.pre,
      post: facts.post || known.post,
    }
  }

  /** Facts that lie beside a file, if they do. */
  async sidecar(file: FileId, signal?: AbortSignal): Promise<FileFacts | undefined> {
    const answer = await this.#guarded('reading', signal, () => this.store.get(sidecarKey(this.name, file), { signal }))
    if (!answer) return undefined
    const text = Buffer.from(await collect(answer.body, MAX_SIDECAR)).toString('utf8')
    try {
      return fromMetadata(JSON.parse(text) as Record<string, string>)
    } catch {
      return undefined
    }
  }

  /** Stores facts beside a file: where its metadata could not be kept with it. */
  async putSidecar(file: FileId, facts: FileFacts, signal?: AbortSignal): Promise<void> {
    const bytes = Buffer.from(JSON.stringify(toMetadata(facts)))
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    await this.#guarded('writing', signal, () =>
      this.store.put(sidecarKey(this.name, file), () => bodyOf(bytes), { size: bytes.length, sha256, signal }),
    )
  }

  /** SHA-256 of the object's bytes as they lie there, hex. */
  async hash(file: StoredFile, signal?: AbortSignal): Promise<string> {
    return await hashBody(this.raw(file, undefined, signal))
  }

  /** The header of a file without transforms, with the checksum that a tracked file has in its trailer. */
  async header(file: StoredFile, signal?: AbortSignal): Promise<LtxHeader> {
    const bytes = await collect(this.raw(file, { start: 0, end: HEADER_SIZE }, signal), HEADER_SIZE)
    try {
      const header = readHeader(bytes)
      if (header.checksums !== 'tracked') return header
      const end = { start: Math.max(0, file.size - TRAILER_SIZE), end: file.size }
      const { post } = readTrailer(await collect(this.raw(file, end, signal), TRAILER_SIZE), header)
      return { ...header, post }
    } catch (error) {
      throw error instanceof LtxError ? this.damaged(file, error) : error
    }
  }

  /** A file that is not what was written. */
  damaged(file: StoredFile, cause: LtxError): WalrustError {
    return new WalrustError('E_OBJECT_DAMAGED', `${file.key} in ${this.store.url} is damaged: ${cause.message}`, {
      database: this.name,
      storage: this.store.url,
      cause,
    })
  }

  /** The header of a file with whatever transforms. */
  async headerOf(file: StoredFile, signal?: AbortSignal): Promise<LtxHeader> {
    const { facts, body } = await this.open(file, signal)
    return await this.headerIn(file, body, facts.codecs)
  }

  /** The header of a file whose object has been opened; nothing is read of what comes after it. */
  async headerIn(file: StoredFile, body: ObjectBody, codecs: readonly string[]): Promise<LtxHeader> {
    const decoder = new LtxDecoder()
    try {
      for await (const piece of await this.unwrap(body, codecs)) {
        decoder.push(piece)
        if (decoder.next() === 'header') return decoder.header
      }
      decoder.finish()
      decoder.next()
      return decoder.header
    } catch (error) {
      throw error instanceof LtxError ? this.damaged(file, error) : error
    }
  }

  /**
   * Opens a file: one request where its metadata lies with it. The body is as it lies there. Facts that are recorded
   * nowhere but in the file's own header are left out.
   *
   * Errors: `E_CHAIN_BROKEN` if it is gone.
   */
  async open(file: StoredFile, signal?: AbortSignal): Promise<{ facts: FileFacts; body: ObjectBody }> {
    const answer = await this.#get(file, undefined, signal)
    const stored = fromMetadata(answer.info.metadata)
    const sidecar = stored.sha256 === undefined ? await this.sidecar(file, signal) : undefined
    return { facts: sidecar ?? stored, body: this.#read(file, { start: 0 }, answer.body, signal) }
  }

  /** Opens a part of a file. Errors: `E_CHAIN_BROKEN` if it is gone, or is not the file any more that was listed. */
  async openPart(
    file: StoredFile,
    range: { start: number; end: number },
    signal?: AbortSignal,
  ): Promise<{ info: ObjectInfo; body: ObjectBody }> {
    const whole = range.start === 0 && range.end >= file.size
    const { info, body } = await this.#get(file, whole ? undefined : range, signal)
    if (info.size !== file.size) {
      throw new WalrustError('E_CHAIN_BROKEN', `${file.key} in ${this.store.url} was replaced while it was read`, {
        database: this.name,
      })
    }
    return { info, body: this.#read(file, range, body, signal) }
  }

  /**
   * The transforms around a file whose first bytes have been read. Where its metadata lies beside it, that is asked for
   * only if these bytes are not those of an LTX file: what came out of a transform never looks like one.
   */
  async codecs(
    file: StoredFile,
    info: ObjectInfo,
    bytes: Uint8Array,
    signal?: AbortSignal,
  ): Promise<readonly string[]> {
    const stored = fromMetadata(info.metadata)
    // Whoever writes metadata names the transforms there, if there are any.
    if (stored.timestamp !== undefined || startsAsLtx(bytes)) return stored.codecs
    return ((await this.sidecar(file, signal)) ?? stored).codecs
  }

  /** What is recorded of a file and its first bytes: one request where its metadata lies with it. Errors: as {@link open}. */
  async start(file: StoredFile, bytes: number, signal?: AbortSignal): Promise<{ facts: FileFacts; bytes: Uint8Array }> {
    const range = { start: 0, end: bytes }
    const answer = await this.#get(file, range, signal)
    const first = await collect(this.#read(file, range, answer.body, signal), bytes)
    const stored = fromMetadata(answer.info.metadata)
    const sidecar = stored.sha256 === undefined ? await this.sidecar(file, signal) : undefined
    return { facts: sidecar ?? stored, bytes: first }
  }

  /** The object's bytes as they lie there. Errors: `E_CHAIN_BROKEN` if it is gone. */
  async *raw(file: StoredFile, range?: { start: number; end?: number }, signal?: AbortSignal): ObjectBody {
    const answer = await this.#get(file, range, signal)
    yield* this.#read(file, range ?? { start: 0 }, answer.body, signal)
  }

  /** The bytes of a part of a file, of which a first answer is there; asked for again from where one breaks off. */
  #read(
    file: StoredFile,
    { start, end }: { start: number; end?: number },
    body: ObjectBody,
    signal: AbortSignal | undefined,
  ): ObjectBody {
    const from = async (at: number) => (await this.#get(file, { start: at, end }, signal)).body
    return readOn(body, { start, end: end ?? file.size }, from, this.store.url, signal)
  }

  async #get(
    file: StoredFile,
    range: { start: number; end?: number } | undefined,
    signal: AbortSignal | undefined,
  ): Promise<{ info: ObjectInfo; body: ObjectBody }> {
    const answer = await this.#guarded('reading', signal, () => this.store.get(file.key, { range, signal }))
    if (!answer) throw this.#missing(file)
    return answer
  }

  /**
   * Deletes files and what lies beside them, that first: a kill in between leaves a file that a listing shows and the
   * next run deletes, not a sidecar that nobody finds. Those that are not there count as deleted.
   */
  async remove(files: readonly FileId[], signal?: AbortSignal): Promise<void> {
    const { metadata, streamedMetadata } = this.store.capabilities
    const beside = !metadata || !streamedMetadata
    const keys = files.flatMap((file) => [...(beside ? [sidecarKey(this.name, file)] : []), this.key(file)])
    for (let i = 0; i < keys.length; i += DELETE_BATCH) {
      await this.#guarded('deleting from', signal, () => this.store.delete(keys.slice(i, i + DELETE_BATCH), { signal }))
    }
  }

  /** The LTX file inside the object: transforms taken off. Errors: `E_CODEC_MISSING`. */
  ltx(file: StoredFile, codecs: readonly string[], signal?: AbortSignal): Promise<ObjectBody> {
    return this.unwrap(this.raw(file, undefined, signal), codecs)
  }

  /** Takes transforms off a body, the last one first. Errors: `E_CODEC_MISSING`. */
  async unwrap(body: ObjectBody, codecs: readonly string[]): Promise<ObjectBody> {
    return await decodeThrough(this.hooks, this.name, body, codecs)
  }

  /**
   * Stores a file under its key, unless something is there already. The same bytes there already count as done (an
   * answer that was lost); other bytes are `E_OBJECT_EXISTS`.
   */
  async put(put: FilePut): Promise<StoredFile> {
    const { file, facts, signal } = put
    const key = this.key(file)
    const { capabilities } = this.store
    // What is known of a stream only at its end cannot get into its metadata: it goes beside it.
    const streamed = put.size === undefined
    const withMetadata = streamed ? capabilities.streamedMetadata : capabilities.metadata
    const known = streamed ? { ...facts(), sha256: undefined } : facts()
    let stored: ObjectInfo | undefined
    try {
      stored = await this.hooks.upload.promise({
        database: put.database,
        store: this.store,
        file,
        key,
        body: put.body,
        metadata: withMetadata ? toMetadata(known) : {},
        size: put.size,
        sha256: known.sha256,
        timestamp: put.timestamp,
        signal,
      })
    } catch (error) {
      if (!isError(error, 'E_OBJECT_EXISTS')) throw error
      stored = await this.#sameBytes(key, put)
      if (!stored) throw error
    }
    if (!stored) throw new WalrustError('E_HOOK', `no plugin stored ${key} in ${this.store.url}`, { hook: 'upload' })
    if (!withMetadata || streamed) await this.putSidecar(file, facts(), signal)
    return { ...file, key, size: stored.size, timestamp: put.timestamp }
  }

  /** Whether what lies under a key is what we wanted to put there. */
  async #sameBytes(key: string, put: FilePut): Promise<ObjectInfo | undefined> {
    const { sha256 } = put.facts()
    if (sha256 === undefined) return undefined
    // Whoever finds other bytes here gives the database up: one wrong reading is not enough for that.
    for (let reading = 1; reading <= READINGS; reading++) {
      const answer = await this.#guarded('reading', put.signal, () => this.store.get(key, { signal: put.signal }))
      // It may have been taken away meanwhile, or is not to be seen yet: neither says whose it is.
      if (!answer) throw new StoreError('transient', `${key} was refused as being there, and is not`)
      if (put.size !== undefined && answer.info.size !== put.size) return undefined
      if ((await hashBody(answer.body)) === sha256) return answer.info
    }
    return undefined
  }

  #missing(file: FileId): WalrustError {
    return new WalrustError('E_CHAIN_BROKEN', `${fileName(file)} of level ${file.level} is not in ${this.store.url}`, {
      database: this.name,
      storage: this.store.url,
    })
  }

  #guarded<T>(doing: string, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    return doAgain(this.store.url, doing, signal, work)
  }
}

/** A file to be stored. `facts` are asked for when they are needed: a stream's hash is known only at its end. */
export interface FilePut {
  readonly database: DatabaseInfo
  readonly file: FileId
  readonly body: () => ObjectBody
  readonly facts: () => FileFacts
  /** Bytes; `undefined` for a stream. */
  readonly size: number | undefined
  readonly timestamp: number
  readonly signal: AbortSignal
}
