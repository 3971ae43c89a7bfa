import { type DatabaseSettings, DEFAULT_SETTINGS } from '../settings.js'
import { convert } from './convert.js'
import { setPath } from './environment.js'
import { KEYS } from './generated/keys.js'
import type { Values } from './merge.js'

/** The settings of a database, from what was set for it. */
export function settingsOf(values: Values): DatabaseSettings {
  const settings = structuredClone(DEFAULT_SETTINGS) as unknown as Record<string, unknown>
  apply(settings, values, ({ perDatabase }) => perDatabase)
  return settings as unknown as DatabaseSettings
}

/** What is set for the whole process. */
export interface ProcessSettings {
  upload: { concurrency: number }
  lease: { ttl: number }
  health: { maxLag: number }
  metrics: false | { port: number; host: string }
  shadowWal: boolean
  shutdownTimeout: number
  log: { level: 'debug' | 'info' | 'warn' | 'error'; format: 'text' | 'json' | undefined }
}

export const DEFAULT_PROCESS: ProcessSettings = {
  upload: { concurrency: 4 },
  lease: { ttl: 20_000 },
  health: { maxLag: 300_000 },
  metrics: { port: 16_767, host: '127.0.0.1' },
  shadowWal: true,
  shutdownTimeout: 10_000,
  log: { level: 'info', format: undefined },
}

export function processSettingsOf(values: Values): ProcessSettings {
  const settings = structuredClone(DEFAULT_PROCESS) as unknown as Record<string, unknown>
  apply(settings, values, ({ perDatabase, path }) => !perDatabase && path.split('.')[0] in settings)
  return settings as unknown as ProcessSettings
}

function apply(
  settings: Record<string, unknown>,
  values: Values,
  belongs: (key: (typeof KEYS)[number]) => boolean,
): void {
  // Switches last: a section that is off is off, whatever else is said about it.
  const keys = [...KEYS].sort((a, b) => Number(a.type === 'switch') - Number(b.type === 'switch'))
  for (const key of keys) {
    const set = values.get(key.path)
    if (set && belongs(key)) setPath(settings, key.path, convert(key.type, set.value))
  }
}
