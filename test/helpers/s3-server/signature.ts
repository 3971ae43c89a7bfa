import { createHash, createHmac } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

export interface Credentials {
  accessKeyId: string
  secretAccessKey: string
}

/** What is wrong with the signature of a request, as an S3 error code; `undefined` if nothing is. */
export type SignatureFault =
  | { code: 'AccessDenied' | 'InvalidAccessKeyId' | 'SignatureDoesNotMatch' | 'RequestTimeTooSkewed'; status: 403 }
  | { code: 'AuthorizationHeaderMalformed'; status: 400 }

const SKEW_MS = 15 * 60 * 1000

/** Checks the version 4 signature in the Authorization header, as the service does. */
export function checkSignature(
  request: IncomingMessage,
  credentials: Credentials,
  region: string,
  now: number,
): SignatureFault | undefined {
  const header = request.headers.authorization ?? ''
  const match =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/.exec(
      header,
    )
  if (!match) return { code: 'AccessDenied', status: 403 }
  const [, accessKeyId, day, scopeRegion, signedHeaders, signature] = match
  if (accessKeyId !== credentials.accessKeyId) return { code: 'InvalidAccessKeyId', status: 403 }
  if (scopeRegion !== region) return { code: 'AuthorizationHeaderMalformed', status: 400 }
  const time = String(request.headers['x-amz-date'])
  if (Math.abs(parseAmzDate(time) - now) > SKEW_MS) return { code: 'RequestTimeTooSkewed', status: 403 }
  const canonical = canonicalRequest(request, signedHeaders)
  const scope = `${day}/${scopeRegion}/s3/aws4_request`
  const toSign = `AWS4-HMAC-SHA256\n${time}\n${scope}\n${createHash('sha256').update(canonical).digest('hex')}`
  const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest()
  const key = [day, scopeRegion, 's3', 'aws4_request'].reduce<string | Buffer>(
    (secret, part) => hmac(secret, part),
    `AWS4${credentials.secretAccessKey}`,
  )
  if (hmac(key, toSign).toString('hex') !== signature) return { code: 'SignatureDoesNotMatch', status: 403 }
  return undefined
}

function canonicalRequest(request: IncomingMessage, signedHeaders: string): string {
  const [path, query = ''] = (request.url ?? '/').split('?')
  const parts = query.split('&').filter(Boolean)
  const sorted = parts.map((part) => (part.includes('=') ? part : `${part}=`)).sort()
  const headers = signedHeaders.split(';').map((name) => {
    const value = request.headers[name]
    return `${name}:${String(value).trim().replace(/ +/g, ' ')}\n`
  })
  const hash = String(request.headers['x-amz-content-sha256'])
  return [request.method, path, sorted.join('&'), headers.join(''), signedHeaders, hash].join('\n')
}

function parseAmzDate(text: string): number {
  return Date.parse(text.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'))
}
