import type { LogLevel } from '../log.js'
import type { Plugin } from '../plugin.js'
import type { DatabaseSettings } from '../settings.js'

/** A place to ship to, as a configuration names it. */
export interface StorageSource {
  url: string
  /** What the storage plugin is to know besides (endpoint, region …). */
  options: Readonly<Record<string, unknown>>
}

/** A path, folder or pattern, and how the databases it stands for are treated. */
export interface DatabaseSource {
  path: string
  /** Name in storage, or a template for one; by default it is made from the path. */
  name: string | undefined
  settings: DatabaseSettings
  storages: readonly StorageSource[]
}

/** What a process is to do, with no default, preset, variable or flag left open. Times in milliseconds. */
export interface ResolvedConfig {
  databases: readonly DatabaseSource[]
  /** In the order in which they are applied; each name once. */
  plugins: readonly Plugin[]
  upload: { concurrency: number }
  lease: { ttl: number }
  /** Lag from which on a database counts as unhealthy. */
  health: { maxLag: number }
  metrics: false | { port: number; host: string }
  shadowWal: boolean
  shutdownTimeout: number
  log: { level: LogLevel; format: 'text' | 'json' | undefined }
}
