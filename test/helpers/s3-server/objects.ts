import { createHash } from 'node:crypto'

export interface StoredObject {
  /** `undefined` where only size and hash are kept. */
  bytes: Buffer | undefined
  size: number
  etag: string
  /** SHA-256 of the bytes, hex. */
  sha256: string
  /** Milliseconds since the epoch. */
  modified: number
  /** Counts up with every write of the bucket. */
  generation: number
  metadata: Record<string, string>
  contentType?: string
}

/** Objects of a bucket, whole or as their hashes. */
export class Bucket {
  readonly objects = new Map<string, StoredObject>()
  generation = 1_700_000_000_000_000

  constructor(
    readonly name: string,
    /** Keep the bytes? Without them large objects can be taken without memory for them. */
    readonly keep = true,
  ) {}

  /** Keys in the order of their bytes. */
  keys(prefix = ''): string[] {
    const keys = [...this.objects.keys()].filter((key) => key.startsWith(prefix))
    return keys.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  }

  store(key: string, made: Omit<StoredObject, 'generation' | 'modified'>): StoredObject {
    const object = { ...made, generation: ++this.generation, modified: Date.now() }
    this.objects.set(key, object)
    return object
  }
}

/** Takes the bytes of an object in. */
export class Intake {
  readonly #parts: Buffer[] = []
  readonly #sha256 = createHash('sha256')
  readonly #md5 = createHash('md5')
  size = 0

  constructor(readonly keep: boolean) {}

  add(piece: Uint8Array): void {
    if (this.keep) this.#parts.push(Buffer.from(piece))
    this.#sha256.update(piece)
    this.#md5.update(piece)
    this.size += piece.length
  }

  end(): { bytes: Buffer | undefined; size: number; sha256: string; md5: Buffer } {
    return {
      bytes: this.keep ? Buffer.concat(this.#parts) : undefined,
      size: this.size,
      sha256: this.#sha256.digest('hex'),
      md5: this.#md5.digest(),
    }
  }
}
