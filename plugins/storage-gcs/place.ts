import { type StorageLocation, WalrustError } from '../../core/index.js'

/** Where objects go, and how to get there. */
export interface GcsPlace {
  bucket: string
  /** With a slash at its end. */
  prefix: string
  /** For messages: without secrets. */
  url: string
  /** Without a slash at its end. */
  endpoint: string
  /** File with the key of a service account; without it the usual chain is asked. */
  keyFilename: string | undefined
  /** An emulator is asked without credentials. */
  anonymous: boolean
}

const SERVICE = 'https://storage.googleapis.com'

/** Reads a `gs:` URL and the settings beside it. Errors: `E_CONFIG`. */
export function placeOf({ url, options }: StorageLocation, env: NodeJS.ProcessEnv = process.env): GcsPlace {
  const match = /^gs:\/\/([^/?#@]+)\/?([^?#]*)$/i.exec(url)
  if (!match)
    throw wrong(`"${url.replace(/\/\/[^/@]*@/, '//***@')}" is not a GCS URL`, 'Write it as gs://bucket/prefix.')
  const [, bucket, path] = match
  const prefix = path.split('/').filter(Boolean).map(safeDecode).join('/')
  if (prefix === '') throw wrong(`gs://${bucket} has no prefix`, `Add a prefix, for example gs://${bucket}/walrust.`)
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || value === null) continue
    const known = name === 'endpoint' || name === 'keyFilename'
    if (!known || typeof value !== 'string') {
      throw wrong(`storage option "${name}" is not one of GCS`, 'There are endpoint and keyFilename.')
    }
  }
  const keyFilename = options.keyFilename as string | undefined
  const other = (options.endpoint as string | undefined) ?? env.STORAGE_EMULATOR_HOST
  const endpoint = other === undefined || other === '' ? SERVICE : /^https?:/.test(other) ? other : `http://${other}`
  return {
    bucket,
    prefix: `${prefix}/`,
    url: `gs://${bucket}/${prefix}`,
    endpoint: endpoint.replace(/\/+$/, ''),
    keyFilename,
    anonymous: endpoint !== SERVICE && keyFilename === undefined,
  }
}

function safeDecode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function wrong(message: string, hint: string): WalrustError {
  return new WalrustError('E_CONFIG', message, { hint })
}
