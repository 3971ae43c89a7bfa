import { type StorageLocation, WalrustError } from '../../core/index.js'

export interface S3Options {
  /** URL of a service that is not AWS. */
  endpoint?: string
  region?: string
  /** Both or neither; without them the usual chain of the SDK is asked (environment, profile, role of the machine). */
  accessKeyId?: string
  secretAccessKey?: string
  sessionToken?: string
  /** Bucket in the path instead of the host name. */
  forcePathStyle?: boolean
}

/** Where objects go, and how to get there. */
export interface S3Place extends S3Options {
  bucket: string
  /** With a slash at its end. */
  prefix: string
  /** For messages: without secrets and parameters. */
  url: string
  forcePathStyle: boolean
  /** Sent with every request. */
  headers: Readonly<Record<string, string>>
}

const PARAMETERS = ['endpoint', 'region', 'forcePathStyle'] as const

/** Services that take the bucket as part of the host name. */
const HOST_STYLE = /\.(amazonaws\.com(\.cn)?|tigris\.dev|storage\.dev)$/
/** Answers from one leader instead of the nearest copy, for reads, listings and conditions alike. */
const TIGRIS = /(^|\.)(fly\.storage\.tigris\.dev|t3\.storage\.dev|tigris\.dev|storage\.dev)$/
const TIGRIS_HEADERS = { 'X-Tigris-Consistent': 'true' }

/** Reads an `s3:` URL and the settings beside it. Errors: `E_CONFIG`. */
export function placeOf(location: StorageLocation, env: NodeJS.ProcessEnv = process.env): S3Place {
  const { bucket, prefix, parameters } = parseUrl(location.url)
  const options = { ...parameters, ...checkOptions(location.options) }
  const endpoint = options.endpoint ?? env.AWS_ENDPOINT_URL_S3 ?? env.AWS_ENDPOINT_URL
  const host = endpoint === undefined ? undefined : hostOf(endpoint)
  const tigris = host !== undefined && TIGRIS.test(host)
  const known = options.region ?? env.AWS_REGION ?? env.AWS_DEFAULT_REGION
  // Elsewhere than at AWS a region is a formality that has to be the same on both sides of a signature.
  const region = known ?? (host === undefined ? undefined : tigris ? 'auto' : 'us-east-1')
  return {
    ...options,
    endpoint: endpoint === undefined || endpoint === '' ? undefined : endpoint,
    region,
    bucket,
    prefix: `${prefix}/`,
    url: `s3://${bucket}/${prefix}`,
    forcePathStyle: options.forcePathStyle ?? (host !== undefined && !HOST_STYLE.test(host)),
    headers: tigris ? TIGRIS_HEADERS : {},
  }
}

function parseUrl(text: string): { bucket: string; prefix: string; parameters: S3Options } {
  const match = /^s3:\/\/([^/?#]+)\/?([^?#]*)(?:\?([^#]*))?$/i.exec(text)
  if (!match) throw wrong(`"${withoutSecrets(text)}" is not an S3 URL`, 'Write it as s3://bucket/prefix.')
  const [, bucket, path, query = ''] = match
  if (bucket.includes('@')) throw wrong(`"${withoutSecrets(text)}" has credentials in it`, SECRETS)
  const prefix = safeDecode(path).split('/').filter(Boolean).join('/')
  if (prefix === '') {
    const hint = `Add a prefix, for example s3://${bucket}/walrust: a bucket of its own is not needed, a place of its own is.`
    throw wrong(`s3://${bucket} has no prefix`, hint)
  }
  const parameters: S3Options = {}
  for (const [name, value] of new URLSearchParams(query)) {
    if (name === 'endpoint' || name === 'region') parameters[name] = value
    else if (name === 'forcePathStyle' || name === 'force-path-style') parameters.forcePathStyle = value !== 'false'
    else throw wrong(`"${name}" is not a parameter of an S3 URL`, `There are ${PARAMETERS.join(', ')}. ${SECRETS}`)
  }
  return { bucket, prefix, parameters }
}

const SECRETS =
  'Credentials belong in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, in a profile, or in the configuration as { env: … }.'

function checkOptions(options: Readonly<Record<string, unknown>>): S3Options {
  const known: S3Options = {}
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || value === null) continue
    if (name === 'forcePathStyle' && typeof value === 'boolean') known.forcePathStyle = value
    else if (isText(name) && typeof value === 'string') known[name] = value
    else
      throw wrong(
        `storage option "${name}" is not one of S3, or of the wrong type`,
        `There are ${TEXTS.join(', ')} and forcePathStyle.`,
      )
  }
  if ((known.accessKeyId === undefined) !== (known.secretAccessKey === undefined)) {
    throw wrong('only one of accessKeyId and secretAccessKey is set', 'Set both, or neither.')
  }
  return known
}

const TEXTS = ['endpoint', 'region', 'accessKeyId', 'secretAccessKey', 'sessionToken'] as const

function isText(name: string): name is (typeof TEXTS)[number] {
  return (TEXTS as readonly string[]).includes(name)
}

function hostOf(endpoint: string): string | undefined {
  if (endpoint === '') return undefined
  let url
  try {
    url = new URL(endpoint)
  } catch {
    throw wrong(
      `the endpoint "${endpoint}" is not a URL`,
      'Write it as https://host, in `endpoint` or AWS_ENDPOINT_URL_S3.',
    )
  }
  return url.hostname
}

function safeDecode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function withoutSecrets(url: string): string {
  return url.replace(/\/\/[^/@]*@/, '//***@').replace(/\?.*$/, '?…')
}

function wrong(message: string, hint: string): WalrustError {
  return new WalrustError('E_CONFIG', message, { hint })
}
