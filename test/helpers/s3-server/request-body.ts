import type { IncomingMessage } from 'node:http'
import { Checksum } from './checksums.js'

/** A body is not what it says it is. */
export class BadBody extends Error {
  constructor(
    readonly code: 'BadDigest' | 'IncompleteBody' | 'InvalidRequest' | 'XAmzContentSHA256Mismatch',
    message: string,
  ) {
    super(message)
  }
}

const KINDS = ['sha256', 'sha1', 'crc32', 'crc32c'] as const

/** Reads the body of a request, with all its encodings, and holds it against every checksum that came with it. */
export async function* readBody(request: IncomingMessage): AsyncGenerator<Buffer> {
  const { headers } = request
  const chunked = String(headers['x-amz-content-sha256']).startsWith('STREAMING-')
  const trailers: Record<string, string> = {}
  const announced = String(headers['x-amz-trailer'] ?? '').toLowerCase()
  const checksums = KINDS.filter(
    (kind) => headers[`x-amz-checksum-${kind}`] !== undefined || announced === `x-amz-checksum-${kind}`,
  ).map((kind) => new Checksum(kind))
  const md5 = headers['content-md5'] === undefined ? undefined : new Checksum('md5')
  const plain = /^[0-9a-f]{64}$/.test(String(headers['x-amz-content-sha256'])) ? new Checksum('sha256') : undefined
  let size = 0
  for await (const piece of chunked ? decodeChunks(request, trailers) : (request as AsyncIterable<Buffer>)) {
    size += piece.length
    for (const checksum of [...checksums, md5, plain]) checksum?.update(piece)
    yield piece
  }
  const wanted = headers['x-amz-decoded-content-length'] ?? (chunked ? undefined : headers['content-length'])
  if (wanted !== undefined && Number(wanted) !== size) {
    throw new BadBody('IncompleteBody', `${size} bytes came, ${wanted.toString()} were announced`)
  }
  for (const checksum of checksums) {
    const name = `x-amz-checksum-${checksum.kind}`
    const value = trailers[name] ?? headers[name]
    if (value !== checksum.base64()) throw new BadBody('BadDigest', `${name} is not that of the body`)
  }
  if (md5 && md5.base64() !== headers['content-md5']) throw new BadBody('BadDigest', 'Content-MD5 differs')
  const hex = plain && Buffer.from(plain.base64(), 'base64').toString('hex')
  if (hex !== undefined && hex !== headers['x-amz-content-sha256']) {
    throw new BadBody('XAmzContentSHA256Mismatch', 'x-amz-content-sha256 differs')
  }
}

/** aws-chunked: `<hex size>[;chunk-signature=…]\r\n<bytes>\r\n` …, `0\r\n`, trailers, an empty line. */
async function* decodeChunks(request: IncomingMessage, trailers: Record<string, string>): AsyncGenerator<Buffer> {
  let buffer: Buffer = Buffer.alloc(0)
  let left = 0
  let state: 'size' | 'bytes' | 'end' | 'trailers' = 'size'
  const line = () => {
    const end = buffer.indexOf('\r\n')
    if (end < 0) return undefined
    const text = buffer.subarray(0, end).toString()
    buffer = buffer.subarray(end + 2)
    return text
  }
  for await (const piece of request as AsyncIterable<Buffer>) {
    buffer = buffer.length === 0 ? piece : Buffer.concat([buffer, piece])
    for (;;) {
      if (state === 'bytes') {
        const part = buffer.subarray(0, left)
        buffer = buffer.subarray(part.length)
        left -= part.length
        if (part.length > 0) yield part
        if (left > 0) break
        state = 'end'
      }
      const text = line()
      if (text === undefined) break
      if (state === 'size') {
        left = Number.parseInt(text, 16)
        if (Number.isNaN(left)) throw new BadBody('InvalidRequest', `chunk size "${text}"`)
        state = left === 0 ? 'trailers' : 'bytes'
      } else if (state === 'end') state = 'size'
      else if (text.includes(':')) {
        const colon = text.indexOf(':')
        trailers[text.slice(0, colon).toLowerCase()] = text.slice(colon + 1).trim()
      }
    }
  }
  if ((state as string) !== 'trailers') throw new BadBody('IncompleteBody', 'the last chunk is missing')
}
