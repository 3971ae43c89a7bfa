import { basename, extname, resolve } from 'node:path'
import type { LoadedConfig } from '../core/config/load.js'
import { settingsOf } from '../core/config/settings-of.js'
import { discover } from '../core/discover.js'
import { messageOf } from '../core/errors.js'
import type { Host } from '../core/host.js'
import type { Log } from '../core/log.js'
import type { ObjectStore } from '../core/object-store.js'
import { rememberRestored } from '../core/restore/note-restored.js'
import type { DatabaseSettings } from '../core/settings.js'

export interface Restored {
  /** Name of the database in storage, and the file that it was restored to. */
  name: string
  file: string
  checksum: bigint
  /** Where it may lie. */
  stores: readonly ObjectStore[]
}

/**
 * Has the next watch of a file go on from what was restored there, though an application commits first: if it would ship
 * that file under the same name. A copy that was restored to look at is none of its business. Never fails what is done.
 */
export async function rememberRestore(
  { loaded, host, log, signal }: { loaded?: LoadedConfig; host: Host; log: Log; signal?: AbortSignal },
  { name, file, checksum, stores }: Restored,
): Promise<void> {
  try {
    const path = resolve(file)
    const settings = loaded && (await settingsFor(loaded, name, path))
    if (settings) await rememberRestored({ name, path, checksum, stores, settings, hooks: host.hooks, signal })
  } catch (error) {
    const message = 'it was not noted that the database was restored: what is committed before a watch may need --adopt'
    log.warn(message, { database: name, error: messageOf(error) })
  }
}

/** The settings with which a file would be watched under that name; `undefined` if it would have another one. */
async function settingsFor(
  { resolved, values }: LoadedConfig,
  name: string,
  path: string,
): Promise<DatabaseSettings | undefined> {
  const configured = (await discover(resolved.databases)).find((found) => found.path === path)
  if (configured) return configured.name === name ? configured.place.settings : undefined
  return basename(path, extname(path)) === name ? settingsOf(values) : undefined
}
