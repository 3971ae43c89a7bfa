import { WalrustError } from './errors.js'

/**
 * The one place that builds and parses the names under which files lie in storage: the layout of Litestream 0.5.
 *
 * - `nested` (files and some services): `<name>/ltx/<level>/<min>-<max>.ltx`
 * - `flat` (S3): `<name>/<level as four hex digits>/<min>-<max>.ltx`
 *
 * Keys are relative to the store's own prefix and use `/`.
 */
export type KeyStyle = 'nested' | 'flat'

/** Level 0 is what was shipped, 1 to 8 are compactions of it, 9 holds snapshots. */
export const LEVEL_SHIPPED = 0
export const LEVEL_SNAPSHOT = 9

export interface FileId {
  level: number
  minTxid: number
  maxTxid: number
}

/** A number as names in storage have it, so that a listing gives them in their order. */
export const hex16 = (n: number): string => n.toString(16).padStart(16, '0')

/** `<min>-<max>.ltx`, sixteen lowercase hex digits each. */
export function fileName(id: Pick<FileId, 'minTxid' | 'maxTxid'>): string {
  return `${hex16(id.minTxid)}-${hex16(id.maxTxid)}.ltx`
}

/** Where the files of a level lie, with a trailing slash. */
export function levelPrefix(style: KeyStyle, name: string, level: number): string {
  return style === 'nested' ? `${name}/ltx/${level}/` : `${name}/${level.toString(16).padStart(4, '0')}/`
}

export function fileKey(style: KeyStyle, name: string, id: FileId): string {
  return levelPrefix(style, name, id.level) + fileName(id)
}

/** What walrust keeps beside the files of a database, which other tools ignore. */
export function sidecarKey(name: string, id: FileId): string {
  return `${name}/walrust/${id.level}/${fileName(id).replace(/\.ltx$/, '.json')}`
}

const SIDECAR = /^([0-9])\/([0-9a-f]{16}-[0-9a-f]{16})\.json$/

/** The file that a key of {@link sidecarKey} is about; `undefined` for anything else. */
export function parseSidecarKey(name: string, key: string): FileId | undefined {
  const match = SIDECAR.exec(key.slice(`${name}/walrust/`.length))
  const ids = match && parseFileName(`${match[2]}.ltx`)
  return ids ? { level: Number(match[1]), ...ids } : undefined
}

const NAME = /^([0-9a-f]{16})-([0-9a-f]{16})\.ltx$/

/** Reads `<min>-<max>.ltx`; `undefined` for anything else, also for ids that contradict themselves. */
export function parseFileName(text: string): Pick<FileId, 'minTxid' | 'maxTxid'> | undefined {
  const match = NAME.exec(text)
  if (!match) return undefined
  const [minTxid, maxTxid] = [Number.parseInt(match[1], 16), Number.parseInt(match[2], 16)]
  if (!Number.isSafeInteger(maxTxid) || minTxid < 1 || minTxid > maxTxid) return undefined
  return { minTxid, maxTxid }
}

const LEVEL = { nested: /^(.+)\/ltx\/([0-9])$/, flat: /^(.+)\/(000[0-9])$/ }

/** Takes a key apart; `undefined` for anything that is not a file of a database. */
export function parseKey(style: KeyStyle, key: string): (FileId & { name: string }) | undefined {
  const slash = key.lastIndexOf('/')
  const ids = parseFileName(key.slice(slash + 1))
  const place = LEVEL[style].exec(key.slice(0, Math.max(slash, 0)))
  if (!ids || !place || !isName(place[1])) return undefined
  return { name: place[1], level: Number.parseInt(place[2], 16), ...ids }
}

/** Whether a name can be part of a key on every backend: no `..`, no control characters, no empty part. */
export function isName(name: string): boolean {
  // eslint-disable-next-line no-control-regex -- they are what must not be there; the higher ones command terminals, too
  const printable = !/[\u0000-\u001f\u007f-\u009f\\]/.test(name)
  return name.length <= 512 && printable && !name.split('/').some((part) => ['', '.', '..'].includes(part))
}

/** Throws `E_CONFIG` unless {@link isName}. */
export function checkName(name: string): void {
  if (!isName(name)) {
    throw new WalrustError('E_CONFIG', `"${name}" cannot be the name of a database in storage`)
  }
}
