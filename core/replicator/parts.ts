import type { EventName } from '../events.js'
import type { Hooks } from '../hooks.js'
import type { Log } from '../log.js'
import type { DatabaseSettings } from '../settings.js'
import type { StorageLink } from '../storage/link.js'
import type { CheckpointPool } from '../wal/checkpoint-pool.js'
import type { CheckpointReport } from '../wal/checkpointer.js'

/** What a replicator is given; each of its pieces takes what it needs of that. */
export interface ReplicatorParts {
  name: string
  path: string
  settings: DatabaseSettings
  hooks: Hooks
  log: Log
  /** Where it is shipped to. */
  links: readonly StorageLink[]
  checkpoints: CheckpointPool
  /** Told when nothing more is shipped of the database. */
  onHalt: () => void
  onCheckpoint: (database: string, report: CheckpointReport) => void
  notify: (
    event: EventName,
    database: string,
    details: { error?: unknown; attempts?: number; context?: object },
  ) => void
}
