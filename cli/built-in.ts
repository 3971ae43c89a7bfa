import { resolve } from 'node:path'
import type { BuiltIn } from '../core/config/built-in.js'
import type { Plugin } from '../core/plugin.js'

/**
 * The plugins and presets that come with walrust, each loaded when it is wanted. Add one by a line; the schema of its
 * options is `schemas/plugins/NAME.json`.
 */
export const BUILT_IN: BuiltIn & {
  /** What `init` writes about storage, by the full name of the preset. */
  readonly starts: Readonly<Record<string, () => Promise<readonly string[]>>>
} = {
  plugins: {
    'walrust:heartbeat': async () => (await import('../plugins/heartbeat/index.js')).heartbeat,
    'walrust:metrics': async () => (await import('../plugins/metrics/index.js')).metrics,
    'walrust:log-events': async () => (await import('../plugins/log-events/index.js')).logEvents,
    'walrust:retention-gfs': async () => (await import('../plugins/retention-gfs/index.js')).retentionGfs,
    'walrust:shadow-wal': async () => (await import('../plugins/shadow-wal/index.js')).shadowWal,
    'walrust:storage-file': async () => (await import('../plugins/storage-file/index.js')).storageFile,
    'walrust:storage-gcs': async () => (await import('../plugins/storage-gcs/index.js')).storageGcs,
    'walrust:storage-memory': async () => (await import('../plugins/storage-memory/index.js')).storageMemory,
    'walrust:storage-s3': async () => (await import('../plugins/storage-s3/index.js')).storageS3,
    'walrust:webhook': async () => (await import('../plugins/webhook/index.js')).webhook,
  },

  presets: {
    'walrust:local': async () => (await import('../presets/local.js')).default,
    'walrust:s3': async () => (await import('../presets/s3.js')).default,
    'walrust:tigris': async () => (await import('../presets/tigris.js')).default,
    'walrust:gcs': async () => (await import('../presets/gcs.js')).default,
    'walrust:durable': async () => (await import('../presets/durable.js')).default,
    'walrust:observed': async () => (await import('../presets/observed.js')).default,
  },

  starts: {
    'walrust:local': async () => (await import('../presets/local.js')).start,
    'walrust:s3': async () => (await import('../presets/s3.js')).start,
    'walrust:tigris': async () => (await import('../presets/tigris.js')).start,
    'walrust:gcs': async () => (await import('../presets/gcs.js')).start,
  },

  storages: {
    file: 'walrust:storage-file',
    gs: 'walrust:storage-gcs',
    memory: 'walrust:storage-memory',
    s3: 'walrust:storage-s3',
  },

  standard: ({ shadowWal, metrics }) => [
    ['walrust:retention-gfs'],
    ...(shadowWal ? [['walrust:shadow-wal'] as const] : []),
    ...(metrics ? [['walrust:metrics', metrics] as const] : []),
  ],

  defaultStorage: 'file:walrust-backups',

  storageUrl(text, folder) {
    if (/^file:(?!\/)/i.test(text)) return folder === process.cwd() ? text : `file:${resolve(folder, text.slice(5))}`
    if (/^[a-z][a-z0-9+.-]*:/i.test(text)) return text
    // Only a shell knows what that is: the storage says so.
    if (text.startsWith('~')) return `file:${text}`
    if (/^[./]/.test(text)) return folder === process.cwd() ? `file:${text}` : `file:${resolve(folder, text)}`
    // The Rust tool's way to name a bucket.
    return `s3://${text}`
  },
}

/** The built-in plugin that stores to a scheme. */
export async function storagePlugin(scheme: string): Promise<Plugin | undefined> {
  if (!Object.hasOwn(BUILT_IN.storages, scheme)) return undefined
  const make = await BUILT_IN.plugins[BUILT_IN.storages[scheme]]()
  return make({} as never)
}
