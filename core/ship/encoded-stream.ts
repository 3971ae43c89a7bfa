import type { ObjectBody } from '../object-store.js'
import type { Encoded } from '../stages/encode.js'

/**
 * A file that is made while it is stored. Which transforms are around it goes into its metadata, and that is fixed
 * before the first byte: so the first encoding begins before the upload does. Every further attempt encodes anew.
 */
export class EncodedStream {
  #first: Encoded | undefined
  readonly #encode: () => Promise<Encoded>
  #codecs: readonly string[]

  private constructor(first: Encoded, encode: () => Promise<Encoded>) {
    this.#first = first
    this.#codecs = first.codecs
    this.#encode = encode
  }

  /** Errors: those of `encode`. */
  static async begin(encode: () => Promise<Encoded>): Promise<EncodedStream> {
    return new EncodedStream(await encode(), encode)
  }

  get codecs(): readonly string[] {
    return this.#codecs
  }

  async *body(): ObjectBody {
    const encoded = this.#first ?? (await this.#encode())
    this.#first = undefined
    this.#codecs = encoded.codecs
    yield* encoded.body
  }
}
