import { setMaxListeners } from 'node:events'
import type { StoredFile } from '../inventory.js'
import type { ObjectBody } from '../object-store.js'
import { WalrustError } from '../errors.js'
import type { Remote } from '../remote.js'
import { type FileCache, readSpan } from './file-cache.js'
import type { NeededParts } from './superseded.js'

/** Bytes that one request brings at most: enough that its start does not count, and that several fit into memory. */
const PART = 2 * 1024 * 1024
/** Bytes that may be under way or wait to be read, whatever the number of requests. */
const MOST_BYTES = 20 * 1024 * 1024
/** Small files that may be under way or wait to be read. */
const MOST_PARTS = 256
/** Bytes handed on in one piece: what reads them copies them. */
const PIECE = 256 * 1024

export const DEFAULT_PARALLELISM = 8

interface Part {
  readonly file: StoredFile
  readonly start: number
  readonly end: number
}

/** Some bytes of a file, and where in it they begin. */
export interface FilePiece {
  readonly start: number
  readonly bytes: Uint8Array
}

interface Fetched {
  readonly bytes: Buffer
  /** Transforms around the file; known of its first part. */
  readonly codecs: readonly string[]
}

/**
 * Brings the files of a plan one after the other, with several requests at a time: large files in parts, small ones
 * ahead of their turn. Takes as much memory for a year of history as for a day of it.
 */
export class FileFetcher {
  readonly #remote: Remote
  readonly #parallelism: number
  readonly #parts: Iterator<Part>
  readonly #waiting: Array<{ part: Part; fetched: Promise<Fetched> }> = []
  readonly #free: Buffer[] = []
  readonly #stop = new AbortController()
  readonly #signal: AbortSignal
  #running = 0
  #bytes = 0

  readonly #onBytes: (count: number) => void
  readonly #cache: FileCache | undefined
  readonly #some: ReadonlyMap<StoredFile, NeededParts> | undefined

  /**
   * @param options `onBytes`: told of bytes as they come in; `cache`: asked before storage is; `parts`: of these files
   * only so much is brought
   */
  constructor(
    remote: Remote,
    files: readonly StoredFile[],
    {
      parallelism = DEFAULT_PARALLELISM,
      signal,
      onBytes = () => undefined,
      cache,
      parts,
    }: {
      parallelism?: number
      signal?: AbortSignal
      onBytes?: (count: number) => void
      cache?: FileCache
      parts?: ReadonlyMap<StoredFile, NeededParts>
    } = {},
  ) {
    this.#remote = remote
    this.#parallelism = parallelism
    this.#onBytes = onBytes
    this.#cache = cache
    this.#some = parts
    this.#parts = partsOf(files, parts)
    this.#signal = signal ? AbortSignal.any([signal, this.#stop.signal]) : this.#stop.signal
    // One listener for each request under way, and there may be many.
    setMaxListeners(0, this.#signal)
    this.#fill()
  }

  /**
   * The LTX file inside the next object. Files are opened in their order, each after the one before it was read. A
   * piece is valid until the next one is asked for. Errors: those of {@link Remote.openPart} and
   * {@link Remote.unwrap}.
   */
  async open(file: StoredFile): Promise<ObjectBody> {
    await this.#skipTo(file)
    const { codecs } = await this.#first(file)
    return await this.#remote.unwrap(this.#read(file), codecs)
  }

  /** What is to be brought of the next file. A piece is valid until the next one is asked for. Errors: as {@link open}. */
  async *pieces(file: StoredFile): AsyncGenerator<FilePiece, void, void> {
    if (this.#some?.get(file)?.ranges.length === 0) return
    await this.#skipTo(file)
    while (this.#waiting.at(0)?.part.file === file) {
      const { part, fetched } = this.#waiting[0]
      yield { start: part.start, bytes: (await fetched).bytes }
      await this.#drop()
    }
  }

  /** Ends what is under way. */
  close(): void {
    this.#stop.abort()
  }

  async #skipTo(file: StoredFile): Promise<void> {
    // Of the one before, something may be left that a transform had no use for.
    while (this.#waiting.length > 0 && this.#waiting[0].part.file !== file) await this.#drop()
  }

  async #first(file: StoredFile): Promise<Fetched> {
    const first = this.#waiting.at(0)
    if (first?.part.file !== file) throw new WalrustError('E_INTERNAL', `${file.key} was not asked for in its order`)
    return await first.fetched
  }

  async *#read(file: StoredFile): ObjectBody {
    for await (const { bytes } of this.pieces(file)) {
      for (let at = 0; at < bytes.length; at += PIECE) yield bytes.subarray(at, at + PIECE)
    }
  }

  /** Lets the first part go, and has more brought. */
  async #drop(): Promise<void> {
    const done = this.#waiting.shift()
    if (!done) return
    const { bytes } = await done.fetched
    this.#bytes -= done.part.end - done.part.start
    if (bytes.buffer.byteLength === PART) this.#free.push(Buffer.from(bytes.buffer))
    this.#fill()
  }

  #fill(): void {
    while (this.#running < this.#parallelism && this.#bytes < MOST_BYTES - PART && this.#waiting.length < MOST_PARTS) {
      const next = this.#parts.next()
      if (next.done) return
      this.#running++
      this.#bytes += next.value.end - next.value.start
      const fetched = this.#fetch(next.value)
      // Whoever reads it hears of it; whoever has stopped reading does not want to.
      void fetched.then(
        () => this.#ended(),
        () => this.#running--,
      )
      this.#waiting.push({ part: next.value, fetched })
    }
  }

  #ended(): void {
    this.#running--
    this.#fill()
  }

  async #fetch({ file, start, end }: Part): Promise<Fetched> {
    const size = end - start
    const cached = await this.#cache?.find(file)
    const remote = cached ? undefined : await this.#remote.openPart(file, { start, end }, this.#signal)
    const buffer =
      size * 2 > PART ? (this.#free.pop() ?? Buffer.allocUnsafeSlow(PART)).subarray(0, size) : Buffer.allocUnsafe(size)
    if (cached && (await readSpan(cached.path, start, buffer))) {
      this.#onBytes(size)
      return { bytes: buffer, codecs: cached.codecs }
    }
    const { info, body } = remote ?? (await this.#remote.openPart(file, { start, end }, this.#signal))
    let used = 0
    for await (const piece of body) {
      if (used + piece.length > size) used = Infinity
      else buffer.set(piece, used)
      used += piece.length
      this.#onBytes(piece.length)
    }
    if (used !== size) {
      throw new WalrustError('E_OBJECT_DAMAGED', `${file.key} has other bytes than its size says`, {
        database: this.#remote.name,
        storage: this.#remote.store.url,
      })
    }
    const codecs = start > 0 ? [] : await this.#remote.codecs(file, info, buffer, this.#signal)
    return { bytes: buffer, codecs }
  }
}

function* partsOf(
  files: readonly StoredFile[],
  parts: ReadonlyMap<StoredFile, NeededParts> = new Map(),
): Generator<Part, void, void> {
  for (const file of files) {
    for (const { start, end } of parts.get(file)?.ranges ?? [{ start: 0, end: file.size }]) {
      let at = start
      do {
        const next = Math.min(end, at + PART)
        yield { file, start: at, end: next }
        at = next
      } while (at < end)
    }
  }
}
