import type { EventName } from '../events.js'
import { Claim } from '../fence/claim.js'
import type { Hooks } from '../hooks.js'
import { type Log, withFields } from '../log.js'
import { Remote } from '../remote.js'
import type { DatabaseSettings } from '../settings.js'
import { shippingFolder } from '../state-folder.js'
import type { StorageLink } from '../storage/link.js'
import { LocalState } from './local-state.js'
import type { ShipperOwner } from './parts.js'
import { Shipper } from './shipper.js'
import { Uploader } from './uploader.js'

/** What the shippers of one database have in common. */
export interface DatabaseParts {
  owner: ShipperOwner
  settings: DatabaseSettings
  hooks: Hooks
  /** See {@link loadIdentity}. */
  identity: string
  announce: (event: EventName, details?: object) => void
  log: Log
}

/** Makes the shipper of a database to one storage, with what this machine remembers of that. Errors: `E_STATE`. */
export async function makeShipper(parts: DatabaseParts, link: StorageLink): Promise<Shipper> {
  const { owner, settings, hooks, identity, announce, log } = parts
  const { store, heavy } = link
  const { database } = owner
  const remote = new Remote(store, database.name, hooks)
  const folder = shippingFolder(database.path, settings, store)
  const local = await LocalState.load(folder, (body, codecs) => remote.unwrap(body, codecs))
  const claim = new Claim(remote, link, identity, withFields(log, { storage: store.url }))
  return new Shipper({
    ...{ owner, remote, hooks, claim, local, heavy, announce, log },
    uploader: new Uploader(remote, link, claim, { ...settings.resilience, giveUp: settings.giveUp }, announce),
    settings: {
      ...settings.spool,
      interval: settings.sync.interval,
      checksums: settings.ltx.checksums,
      adopt: settings.adopt,
      giveUp: settings.giveUp,
      resilience: settings.resilience,
      snapshot: settings.snapshot,
      compaction: settings.compaction,
      retention: settings.retention,
    },
  })
}
