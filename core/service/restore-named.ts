import type { ResolvedConfig } from '../config/resolved.js'
import { discover, isNamed } from '../discover.js'
import { WalrustError } from '../errors.js'
import type { Host } from '../host.js'
import type { Log } from '../log.js'
import { restoreMissing } from '../restore/restore-missing.js'
import { openStores } from './stores.js'

/**
 * Brings back every database that a configuration names, whose file is not there and which some storage has.
 *
 * Errors: those of a restore; `E_USAGE` if nothing but patterns is named, which do not say what is missing.
 */
export async function restoreNamed(
  config: ResolvedConfig,
  { host, log }: { host: Host; log: Log },
  signal?: AbortSignal,
): Promise<void> {
  const stores = await openStores(host, config)
  const named = await discover(config.databases.filter(isNamed))
  if (named.length === 0) {
    throw new WalrustError('E_USAGE', 'only databases that are named by their path can be restored before the start', {
      hint: 'Name each database, or restore them first: walrust restore NAME -o FILE.',
    })
  }
  for (const { name, path, place } of named) {
    const { settings } = place
    const done = await restoreMissing({
      ...{ name, path, settings, signal },
      ...{ stores: stores.get(place) ?? [], hooks: host.hooks, log },
    })
    if (done === 'no-backup') log.info('there is no backup yet to restore', { database: name, path })
    if (typeof done === 'string') continue
    const { result, storage } = done
    log.info('restored', { database: name, path, storage, txid: result.txid, bytes: result.size })
  }
}
