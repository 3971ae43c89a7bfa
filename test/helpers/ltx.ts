import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import {
  LtxDecoder,
  LtxEncoder,
  LtxError,
  type LtxErrorCode,
  type LtxHeader,
  type LtxTrailer,
  mergeLtx,
  type MergeOptions,
} from '../../core/ltx/index.js'
import { concat } from './ltx-forge.js'
import { slowDatabaseChecksum } from './ltx-slow.js'

/** The repository, seen from dist/test/helpers. */
const ROOT = new URL('../../../', import.meta.url)

export function repositoryPath(path: string): string {
  return fileURLToPath(new URL(path, ROOT))
}

export function fixture(path: string): Uint8Array {
  return new Uint8Array(readFileSync(repositoryPath(`test/fixtures/${path}`)))
}

/** The LTX files of a fixture folder by their names, in order. */
export function fixtureFiles(folder: string): { name: string; bytes: Uint8Array }[] {
  const names = readdirSync(repositoryPath(`test/fixtures/${folder}`)).filter((name) => name.endsWith('.ltx'))
  return names.sort().map((name) => ({ name, bytes: fixture(`${folder}/${name}`) }))
}

export function header(fields: Partial<LtxHeader> = {}): LtxHeader {
  return {
    pageSize: 512,
    commit: 8,
    minTxid: 2,
    maxTxid: 2,
    timestamp: 1_700_000_000_000,
    checksums: 'portable',
    pre: 0n,
    post: 0n,
    walOffset: 0,
    walSize: 0,
    walSalt1: 0,
    walSalt2: 0,
    nodeId: 0n,
    ...fields,
  }
}

export type Pages = Map<number, Uint8Array>

export interface Decoded {
  header: LtxHeader
  trailer: LtxTrailer
  pages: Pages
}

/** Where the pieces that an encoder writes come together. */
export class Sink {
  readonly #pieces: Uint8Array[] = []
  readonly write = (bytes: Uint8Array): void => void this.#pieces.push(bytes.slice())

  get bytes(): Uint8Array {
    return concat(...this.#pieces)
  }
}

export function encode(fields: LtxHeader, pages: Pages, post?: bigint): Uint8Array {
  const sink = new Sink()
  const encoder = new LtxEncoder(sink.write)
  encoder.begin(fields)
  for (const [page, data] of pages) encoder.page(page, data)
  encoder.end(post)
  return sink.bytes
}

/** Decodes a file handed over in pieces of the given sizes, over and over again. Every answer is followed through. */
export function decode(bytes: Uint8Array, pieces: readonly number[] = [bytes.length || 1]): Decoded {
  const decoder = new LtxDecoder()
  const pages: Pages = new Map()
  let [at, turn] = [0, 0]
  for (;;) {
    const step = decoder.next()
    if (step === 'page') pages.set(decoder.page, decoder.data.slice())
    else if (step === 'end') return { header: decoder.header, trailer: decoder.trailer, pages }
    else if (step === 'more') {
      if (at >= bytes.length) decoder.finish()
      else {
        const size = pieces[turn++ % pieces.length]
        decoder.push(bytes.subarray(at, at + size))
        at += size
      }
    }
  }
}

/** The error with which the work ends; none is an error itself, and so is any that is not an LtxError. */
export function ltxError(work: () => unknown): LtxError {
  try {
    work()
  } catch (error) {
    if (error instanceof LtxError) return error
    throw error
  }
  throw new Error('there was no error')
}

/** What `assert.throws` and `assert.rejects` compare an error with. */
export function withCode(code: LtxErrorCode, message?: RegExp): (error: unknown) => boolean {
  return (error) => {
    if (!(error instanceof LtxError)) throw error
    if (error.code !== code || (message && !message.test(error.message))) {
      throw new Error(`${error.code}, but ${code} was expected${message ? ` with ${message.source}` : ''}`, {
        cause: error,
      })
    }
    return true
  }
}

/** The bytes in pieces of a size, as a file or a response hands them over. */
export function* inPieces(bytes: Uint8Array, size = 1000): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

export async function merge(
  files: Uint8Array[],
  options?: MergeOptions,
): Promise<{ header: LtxHeader; bytes: Uint8Array }> {
  const sink = new Sink()
  const merged = await mergeLtx(
    files.map((file) => inPieces(file)),
    sink.write,
    options,
  )
  return { header: merged, bytes: sink.bytes }
}

/** A database in memory that LTX files are applied to, as plainly as can be. */
export class Model {
  constructor(
    readonly pageSize: number,
    public file: Uint8Array = new Uint8Array(0),
  ) {}

  /** Writes the pages of a file and gives the database the size it says: cut off, or longer by zeros. */
  apply({ header: { commit }, pages }: Pick<Decoded, 'header' | 'pages'>): this {
    const grown = new Uint8Array(Math.max(this.file.length, commit * this.pageSize))
    grown.set(this.file)
    for (const [page, data] of pages) grown.set(data, (page - 1) * this.pageSize)
    this.file = grown.slice(0, commit * this.pageSize)
    return this
  }

  get checksum(): bigint {
    return slowDatabaseChecksum(this.file, this.pageSize)
  }
}
