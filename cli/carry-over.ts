import { basename, dirname } from 'node:path'
import { setPath } from '../core/config/environment.js'
import { isRecord } from '../core/config/layer.js'
import { MASK } from '../core/redact.js'

/** A configuration made of another tool's, and what of it has no equal here. */
export interface CarriedOver {
  config: Record<string, unknown>
  lost: string[]
}

/** Where a Litestream key goes. Its place in ours, or why it needs none. */
const GLOBAL: Readonly<Record<string, string>> = {
  'snapshot.interval': 'snapshot.interval',
  'l0-retention': 'compaction.keep0',
  'logging.level': 'log.level',
  'logging.type': 'log.format',
}
const PER_DATABASE: Readonly<Record<string, string>> = {
  'min-checkpoint-page-count': 'checkpoint.minPages',
  'truncate-page-n': 'checkpoint.truncateThreshold',
  'checkpoint-interval': 'checkpoint.interval',
  'meta-path': 'stateDir',
  'sync-interval': 'sync.interval',
  'snapshot-interval': 'snapshot.interval',
}
const STORAGE: Readonly<Record<string, string>> = {
  endpoint: 'endpoint',
  region: 'region',
  'force-path-style': 'forcePathStyle',
}

/** Carries a `litestream.yml` over, of 0.3 (`replicas`) and of 0.5 (`replica`). */
export function fromLitestream(source: unknown): CarriedOver {
  const [config, lost]: [Record<string, unknown>, string[]] = [{}, []]
  if (!isRecord(source)) return { config, lost: ['the whole file: it is no litestream.yml'] }
  const { dbs, ...rest } = source
  for (const [path, value] of flatten(rest)) {
    const target = Object.hasOwn(GLOBAL, path) ? GLOBAL[path] : undefined
    if (target === undefined || target.endsWith('0')) lost.push(secretFree(path, value))
    else setPath(config, target, value)
  }
  config.databases = (Array.isArray(dbs) ? dbs : []).filter(isRecord).map((db) => {
    const { path, dir, pattern, replica, replicas, ...settings } = db
    const file = typeof path === 'string' ? path : `${String(dir)}/${typeof pattern === 'string' ? pattern : '*.db'}`
    const entry: Record<string, unknown> = { path: file }
    for (const [key, value] of flatten(settings)) carry(entry, key, value, file, lost)
    const all = isRecord(replica) ? [replica] : Array.isArray(replicas) ? replicas.filter(isRecord) : []
    const storages = all.map((one) => storageOf(one, entry, file, lost))
    if (storages.length > 0) entry.storage = storages.length === 1 ? storages[0] : storages
    return entry
  })
  return { config, lost }
}

function carry(entry: Record<string, unknown>, key: string, value: unknown, file: string, lost: string[]): void {
  if (Object.hasOwn(PER_DATABASE, key)) setPath(entry, PER_DATABASE[key], value)
  else lost.push(`${file}: ${secretFree(key, value)}`)
}

/** Litestream's place of a database is one folder; ours is a folder and a name in it, which is the same place. */
function storageOf(
  replica: Record<string, unknown>,
  entry: Record<string, unknown>,
  file: string,
  lost: string[],
): Record<string, unknown> {
  const { url, type, bucket, path, name: _name, ...rest } = replica
  const scheme = type === 'gs' || type === 'gcs' ? 'gs' : bucket === undefined ? 'file' : 's3'
  const whole =
    typeof url === 'string'
      ? url
      : scheme === 'file'
        ? `file://${String(path)}`
        : `${scheme}://${String(bucket)}/${typeof path === 'string' ? path : ''}`
  const place = whole.replace(/\/+$/, '')
  const storage: Record<string, unknown> = { url: dirname(place) }
  entry.name = basename(place)
  if (/^[a-z0-9]+:\/\/[^/]+$/.test(dirname(place)) && !place.startsWith('file:')) {
    storage.url = `${dirname(place)}/walrust`
    lost.push(
      `${file}: the place ${place}: a prefix is needed above the name, so that it is ${String(storage.url)} now`,
    )
  }
  for (const [key, value] of flatten(rest)) {
    if (Object.hasOwn(STORAGE, key)) storage[STORAGE[key]] = value
    else carry(entry, key, value, file, lost)
  }
  return storage
}

/** Keys of the Rust tool's `walrust.toml`, by their last part. */
const RUST: Readonly<Record<string, string>> = {
  endpoint: 'storage.endpoint',
  region: 'storage.region',
  snapshot_interval: 'snapshot.interval',
  max_changes: 'snapshot.maxChanges',
  max_interval: 'snapshot.maxInterval',
  on_idle: 'snapshot.onIdle',
  on_startup: 'snapshot.onStartup',
  wal_sync_interval: 'sync.interval',
  checkpoint_interval: 'checkpoint.interval',
  min_checkpoint_pages: 'checkpoint.minPages',
  wal_truncate_threshold: 'checkpoint.truncateThreshold',
  compact_after_snapshot: 'compaction.afterSnapshot',
  compact_interval: 'compaction.interval',
  hourly: 'retention.hourly',
  daily: 'retention.daily',
  weekly: 'retention.weekly',
  monthly: 'retention.monthly',
}

/** Carries a `walrust.toml` of the Rust tool over. */
export function fromToml(source: unknown): CarriedOver {
  const [config, lost]: [Record<string, unknown>, string[]] = [{}, []]
  if (!isRecord(source)) return { config, lost: ['the whole file'] }
  const { databases, ...rest } = source
  const known = (target: Record<string, unknown>, path: string, value: unknown, where: string) => {
    const key = path.slice(path.lastIndexOf('.') + 1)
    if (key === 'bucket' && typeof value === 'string') {
      setPath(target, 'storage.url', /^[a-z0-9]+:/.test(value) ? value : `s3://${value}`)
    } else if (Object.hasOwn(RUST, key)) setPath(target, RUST[key], value)
    else lost.push(where + secretFree(path, value))
  }
  for (const [path, value] of flatten(rest)) known(config, path, value, '')
  config.databases = (Array.isArray(databases) ? databases : []).filter(isRecord).map((db) => {
    const { path, prefix, name, ...settings } = db
    const entry: Record<string, unknown> = { path }
    if (name !== undefined || prefix !== undefined) entry.name = name ?? String(prefix).replaceAll(/^\/+|\/+$/g, '')
    for (const [key, value] of flatten(settings)) known(entry, key, value, `${String(path)}: `)
    return entry
  })
  return { config, lost }
}

function* flatten(tree: Record<string, unknown>, prefix = ''): Generator<[string, unknown]> {
  for (const [key, value] of Object.entries(tree)) {
    if (isRecord(value)) yield* flatten(value, `${prefix}${key}.`)
    else yield [`${prefix}${key}`, value]
  }
}

const SECRET = /key|secret|token|password|identit/i

/** What could not be carried over, without repeating what may be a secret. */
function secretFree(path: string, value: unknown): string {
  if (SECRET.test(path)) return `${path} (a secret: give it by the variables of the service, or by { env: 'NAME' })`
  // Where a key is misspelt, whole lists with everything in them are not known.
  return `${path}: ${JSON.stringify(value, (key, inner: unknown) => (SECRET.test(key) ? MASK : inner))}`
}
