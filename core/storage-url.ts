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

/**
 * Takes a URL that ends in a database's name apart: `s3://bucket/prefix/app` is `app` in `s3://bucket/prefix`. What
 * follows a `?` belongs to the storage. `undefined` for text that is no URL. Errors: `E_CONFIG` for one without a name.
 */
export function splitDatabaseUrl(text: string): { storage: string; name: string } | undefined {
  if (!SCHEME.test(text)) return undefined
  const mark = text.indexOf('?')
  const [path, query] = mark < 0 ? [text, ''] : [text.slice(0, mark), text.slice(mark)]
  const match = /^(.*[^/])\/+([^/]+)\/*$/.exec(path)
  if (!match || /^[a-z0-9+.-]*:$/i.test(match[1])) {
    throw new WalrustError('E_CONFIG', `"${text}" does not end in the name of a database`, {
      hint: 'Write it as file:///folder/name or s3://bucket/prefix/name.',
    })
  }
  return { storage: match[1] + query, name: decodeName(match[2]) }
}

/** A part of a URL without its escapes; as it is if they are none. */
export function decodeName(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
