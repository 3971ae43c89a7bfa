import type { Plugin } from '../plugin.js'
import type { ResolvedConfig } from './resolved.js'
import type { StorageUrl } from './storages.js'

/** What comes with walrust and is no part of the core: handed in by whoever reads a configuration. */
export interface BuiltIn {
  /** Makers of plugins by full name (`walrust:webhook`), each loaded when it is wanted. */
  readonly plugins: Readonly<Record<string, () => Promise<(options: never) => Plugin>>>
  /** Presets by full name (`walrust:local`). */
  readonly presets: Readonly<Record<string, () => Promise<unknown>>>
  /** The plugin that stores to a scheme. */
  readonly storages: Readonly<Record<string, string>>
  /** Plugins that are there without being listed, with the options the rest of the configuration gives them. */
  standard(config: Omit<ResolvedConfig, 'plugins'>): ReadonlyArray<readonly [name: string, options?: unknown]>
  /** Where backups go when nobody says anything. */
  readonly defaultStorage: string
  storageUrl: StorageUrl
}
