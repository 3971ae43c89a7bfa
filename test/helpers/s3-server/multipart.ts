import { createHash, randomBytes } from 'node:crypto'
import type { StoredObject } from './objects.js'
import { Answer } from './wire.js'
import { texts } from './xml.js'

interface Part {
  bytes: Buffer | undefined
  size: number
  md5: Buffer
}

interface Upload {
  key: string
  metadata: Record<string, string>
  parts: Map<number, Part>
  /** Milliseconds since the epoch. */
  began: number
}

/** The service refuses smaller parts, except the last. */
const SMALLEST_PART = 5 * 2 ** 20

/** Uploads in parts that are under way. */
export class Multipart {
  readonly uploads = new Map<string, Upload>()

  begin(key: string, metadata: Record<string, string>, began = Date.now()): string {
    const id = randomBytes(12).toString('hex')
    this.uploads.set(id, { key, metadata, parts: new Map(), began })
    return id
  }

  find(id: string, key: string): Upload {
    const upload = this.uploads.get(id)
    if (upload?.key !== key) throw new Failure(404, 'NoSuchUpload', 'The specified upload does not exist.')
    return upload
  }

  /** Puts the parts together that the request names. */
  complete(id: string, key: string, request: string): Omit<StoredObject, 'generation' | 'modified'> {
    const upload = this.find(id, key)
    const numbers = texts(request, 'PartNumber').map(Number)
    const etags = texts(request, 'ETag')
    const parts = numbers.map((number, i) => {
      const part = upload.parts.get(number)
      const right = part && etags[i]?.replaceAll('"', '') === part.md5.toString('hex')
      const inOrder = i === 0 || number > numbers[i - 1]
      if (!right || !inOrder) throw new Failure(400, 'InvalidPart', `part ${number} is not what was uploaded`)
      if (i < numbers.length - 1 && part.size < SMALLEST_PART) {
        throw new Failure(400, 'EntityTooSmall', `part ${number} has ${part.size} bytes`)
      }
      return part
    })
    if (parts.length === 0) throw new Failure(400, 'MalformedXML', 'no parts')
    const md5 = createHash('md5')
    const sha256 = createHash('sha256')
    for (const part of parts) md5.update(part.md5)
    for (const part of parts) if (part.bytes) sha256.update(part.bytes)
    const kept = parts.flatMap(({ bytes }) => bytes ?? [])
    return {
      bytes: kept.length === parts.length ? Buffer.concat(kept) : undefined,
      size: parts.reduce((sum, { size }) => sum + size, 0),
      etag: `"${md5.digest('hex')}-${parts.length}"`,
      sha256: sha256.digest('hex'),
      metadata: upload.metadata,
    }
  }
}

/** An error answer in the form of the service. */
export class Failure extends Answer {
  constructor(
    status: number,
    readonly code: string,
    message: string,
    extra = '',
    headers: Record<string, string> = {},
  ) {
    super(
      status,
      `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message>${extra}<RequestId>TEST</RequestId></Error>`,
      { 'content-type': 'application/xml', ...headers },
    )
  }
}
