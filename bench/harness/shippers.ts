import { execFileSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Measured, run } from './process.js'

/** Where a backup goes: a folder, or a bucket of the S3 server of this run. */
export interface Place {
  kind: 'file' | 's3'
  /** Folder for `file`; prefix in the bucket for `s3`. */
  path: string
  /** For `s3`. */
  server?: { endpoint: string; bucket: string; env: Readonly<Record<string, string>> }
}

export interface ShipOptions {
  /** Milliseconds; the tool's own default if not given. */
  interval?: number
  /** More settings of the tool's own. */
  args?: readonly string[]
  /** And by environment variables. */
  env?: Readonly<Record<string, string>>
}

/** A tool that ships databases: walrust, or a peer. */
export interface Shipper {
  name: string
  start(databases: readonly string[], place: Place, options?: ShipOptions): Measured
  /** Brings the newest state of a database back. */
  restore(
    database: string,
    name: string,
    place: Place,
    target: string,
    args?: readonly string[],
  ): ReturnType<typeof run>
}

/** The program of the command. */
export const CLI = fileURLToPath(new URL('../../cli/main.js', import.meta.url))
const TOOLS = fileURLToPath(new URL('../../../.tmp/tools/bin', import.meta.url))

export const walrust: Shipper = {
  name: 'walrust',
  start(databases, place, { interval, args = [], env } = {}) {
    const sync = interval === undefined ? [] : ['--sync-interval', `${interval}ms`]
    return new Measured(
      process.execPath,
      [CLI, 'watch', ...databases, '-b', walrustUrl(place), '--log-level', 'warn', ...sync, ...args],
      { ...place.server?.env, ...env },
    )
  },
  restore(_database, name, place, target, args = []) {
    const command = [CLI, 'restore', name, '-b', walrustUrl(place), '-o', target, ...args]
    return run(process.execPath, command, place.server?.env)
  },
}

export function walrustUrl(place: Place): string {
  return place.kind === 'file' ? `file://${place.path}` : `s3://${place.server?.bucket}/${place.path}`
}

/** The Litestream that the environment or `scripts/interop-tools.sh` gives; `undefined` if there is none. */
export function litestream(): Shipper | undefined {
  const program = process.env.WALRUST_LITESTREAM ?? join(TOOLS, 'litestream')
  if (!existsSync(program)) return undefined
  const version = execFileSync(program, ['version'], { encoding: 'utf8' }).trim()
  return {
    name: `Litestream ${version}`,
    start(databases, place, { interval } = {}) {
      const config = join(folderFor(databases[0]), 'litestream.yml')
      // Litestream looks at the WAL at one interval and uploads at another.
      const monitor = interval === undefined ? {} : { 'monitor-interval': `${interval}ms` }
      const dbs = databases.map((path) => ({ path, ...monitor, replica: replica(path, place, interval) }))
      // JSON is YAML.
      writeFileSync(config, JSON.stringify({ logging: { level: 'error' }, dbs }))
      return new Measured(program, ['replicate', '-config', config], place.server?.env)
    },
    restore(database, _name, place, target, args = []) {
      const config = join(folderFor(database), 'litestream-restore.yml')
      writeFileSync(config, JSON.stringify({ dbs: [{ path: database, replica: replica(database, place) }] }))
      return run(program, ['restore', '-config', config, '-o', target, ...args, database], place.server?.env)
    },
  }
}

function folderFor(database: string): string {
  return join(database, '..')
}

function nameOf(database: string): string {
  return database.slice(database.lastIndexOf('/') + 1).replace(/\.db$/, '')
}

function replica(database: string, place: Place, interval?: number): object {
  const path = `${place.path}/${nameOf(database)}`
  const sync = interval === undefined ? {} : { 'sync-interval': `${interval}ms` }
  if (place.kind === 'file') return { type: 'file', path, ...sync }
  const { endpoint, bucket } = place.server ?? { endpoint: '', bucket: '' }
  return { type: 's3', bucket, path, endpoint, 'force-path-style': true, region: 'us-east-1', ...sync }
}

/** walrust, and the peers that are installed. */
export function shippers(peers: boolean): Shipper[] {
  const other = peers ? litestream() : undefined
  return other ? [walrust, other] : [walrust]
}
