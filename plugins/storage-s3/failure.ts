import { type FailureKind, StoreError, WalrustError } from '../../core/index.js'
import type { S3Place } from './place.js'

/** What the SDK throws, as far as we look at it. */
interface ServiceError {
  name?: string
  message?: string
  code?: string
  Code?: string
  Region?: string
  $metadata?: { httpStatusCode?: number }
  $response?: { statusCode?: number; headers?: Record<string, string | undefined> }
}

interface Verdict {
  kind: FailureKind
  hint?: string
  code?: 'E_STORAGE_REGION' | 'E_STORAGE_CLOCK'
}

const CREDENTIALS =
  'Check the credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, the profile in AWS_PROFILE, or accessKeyId and secretAccessKey of the storage.'

/** By the code of the service, where it has one. */
const BY_CODE: Readonly<Record<string, (place: S3Place, error: ServiceError) => Verdict>> = {
  NoSuchBucket: ({ bucket }) => ({ kind: 'missing', hint: `Create the bucket ${bucket}, or correct it in the URL.` }),
  InvalidBucketName: ({ bucket }) => ({ kind: 'missing', hint: `Correct the bucket "${bucket}" in the URL.` }),
  InvalidAccessKeyId: () => ({
    kind: 'auth',
    hint: 'The access key is not known to the service. Check AWS_ACCESS_KEY_ID (or accessKeyId) and the endpoint.',
  }),
  SignatureDoesNotMatch: () => ({
    kind: 'auth',
    hint: 'The secret does not belong to the access key. Check AWS_SECRET_ACCESS_KEY (or secretAccessKey).',
  }),
  AccessDenied: ({ bucket, prefix }) => ({
    kind: 'auth',
    hint: `Allow s3:ListBucket on ${bucket}, and s3:GetObject, s3:PutObject, s3:DeleteObject and s3:AbortMultipartUpload on ${bucket}/${prefix}*.`,
  }),
  ExpiredToken: () => ({ kind: 'auth', hint: 'The session token has expired. Renew it (AWS_SESSION_TOKEN).' }),
  ExpiredTokenException: () => ({ kind: 'auth', hint: 'The session token has expired. Renew it (AWS_SESSION_TOKEN).' }),
  CredentialsProviderError: () => ({ kind: 'auth', hint: `No credentials were found. ${CREDENTIALS}` }),
  RequestTimeTooSkewed: () => skewed,
  RequestExpired: () => skewed,
  AuthorizationHeaderMalformed: wrongRegion,
  PermanentRedirect: wrongRegion,
  TemporaryRedirect: wrongRegion,
  IllegalLocationConstraintException: wrongRegion,
  SlowDown: () => ({ kind: 'throttled' }),
  ServiceUnavailable: () => ({ kind: 'throttled' }),
  RequestTimeout: () => ({ kind: 'transient' }),
  InternalError: () => ({ kind: 'transient' }),
  ConditionalRequestConflict: () => ({ kind: 'transient' }),
  OperationAborted: () => ({ kind: 'transient' }),
  // What left this machine was right (it is checked on the way out), so it was damaged on its way.
  BadDigest: () => ({ kind: 'transient' }),
  XAmzContentSHA256Mismatch: () => ({ kind: 'transient' }),
  IncompleteBody: () => ({ kind: 'transient' }),
  NoSuchUpload: () => ({ kind: 'transient' }),
  // An answer that was cut or garbled: the XML did not parse.
  SyntaxError: () => ({ kind: 'transient' }),
}

const skewed: Verdict = {
  kind: 'auth',
  code: 'E_STORAGE_CLOCK',
  hint: 'The clock of this machine is wrong by more than the service accepts. Set it (NTP), then start again.',
}

/** By the code of the system or of TLS. */
const UNREACHABLE = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENETDOWN',
  'EADDRNOTAVAIL',
  'EMFILE',
  'ERR_STREAM_PREMATURE_CLOSE',
])
const UNTRUSTED = /^(CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|ERR_TLS_|ERR_SSL_|HOSTNAME_MISMATCH|EPROTO)/

/** An error in the words of the contract, classified by codes. What is classified already stays as it is. */
export function failureOf(error: unknown, place: S3Place): Error {
  if (error instanceof WalrustError || error instanceof StoreError) return error
  const known = error as ServiceError
  const { kind, hint, code } = verdict(known, place)
  const status = statusOf(known)
  const name = codeOf(known)
  const what = [name, status].filter((part) => part !== undefined && part !== '').join(', ')
  const message = `${known.message ?? String(error)} (${what})`
  return new StoreError(kind, message, retryAfter(known), error, { hint, code })
}

function verdict(error: ServiceError, place: S3Place): Verdict {
  const name = codeOf(error)
  const status = statusOf(error)
  const system = error.code ?? ''
  if (UNREACHABLE.has(system) || name === 'TimeoutError') return { kind: 'transient', hint: unreachable(place) }
  if (UNTRUSTED.test(system)) {
    return { kind: 'permanent', hint: `The endpoint is not trusted (TLS). ${unreachable(place)}` }
  }
  if (Object.hasOwn(BY_CODE, name)) return BY_CODE[name](place, error)
  if (/Throttl|TooManyRequests|RequestLimitExceeded|BandwidthLimitExceeded/.test(name)) return { kind: 'throttled' }
  if (status === 429 || status === 503) return { kind: 'throttled' }
  if (status === 301 || status === 307) return wrongRegion(place, error)
  if (status === 401 || status === 403) return { kind: 'auth', hint: CREDENTIALS }
  if (status === 408 || (status !== undefined && status >= 500 && status !== 501)) return { kind: 'transient' }
  return { kind: 'permanent' }
}

function wrongRegion({ region, endpoint }: S3Place, error: ServiceError): Verdict {
  const right = error.Region ?? error.$response?.headers?.['x-amz-bucket-region']
  const used = region === undefined ? '' : ` (it is ${region})`
  const other = endpoint === undefined ? '' : ', and that the endpoint belongs to it'
  const hint = `Set AWS_REGION, or region of the storage,${right === undefined ? '' : ` to ${right}`}${used}${other}.`
  return { kind: 'missing', code: 'E_STORAGE_REGION', hint }
}

function unreachable({ endpoint, region }: S3Place): string {
  return endpoint === undefined
    ? `Check the network, and the region (AWS_REGION, ${region ?? 'from the profile'}).`
    : `Check the endpoint ${endpoint} (AWS_ENDPOINT_URL_S3, or endpoint of the storage) and the network.`
}

/** The code of the service, or the name of the error. */
export function codeOf(error: unknown): string {
  const { Code, name } = error as ServiceError
  return Code ?? name ?? ''
}

export function statusOf(error: unknown): number | undefined {
  const { $metadata, $response } = error as ServiceError
  return $metadata?.httpStatusCode ?? $response?.statusCode
}

/** Milliseconds that the service asks to wait: seconds or a date in its header. */
function retryAfter({ $response }: ServiceError): number | undefined {
  const text = $response?.headers?.['retry-after']
  if (text === undefined) return undefined
  const wait = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now()
  return Number.isFinite(wait) ? Math.max(0, wait) : undefined
}
