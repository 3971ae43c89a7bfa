import { WalrustError } from './errors.js'

/** Where a storage is: its URL, and what else was configured for it. */
export interface StorageLocation {
  /** Scheme without the colon. */
  readonly scheme: string
  /** The whole URL. */
  readonly url: string
  /** Anything else beside the URL: `endpoint`, credentials … */
  readonly options: Readonly<Record<string, unknown>>
}

const SCHEME = /^([a-z][a-z0-9+.-]*):/i

/** Takes a storage URL apart as far as the core has to. Errors: `E_CONFIG`. */
export function parseStorageUrl(url: string, options: Readonly<Record<string, unknown>> = {}): StorageLocation {
  const match = SCHEME.exec(url)
  if (!match) {
    throw new WalrustError('E_CONFIG', `"${url}" is not a storage URL`, {
      hint: 'Write it as file:///folder, s3://bucket/prefix or gs://bucket/prefix.',
    })
  }
  return { scheme: match[1].toLowerCase(), url, options }
}
