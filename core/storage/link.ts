import { Heartbeats } from '../fence/heartbeats.js'
import { Lease } from '../fence/lease.js'
import type { ObjectStore } from '../object-store.js'
import { Semaphore } from '../ship/signal.js'
import { type BreakerSettings, StorageHealth } from './health.js'

/** Scans, heals and snapshots at a time: each reads a whole database. */
const HEAVY = 2

export interface LinkSettings {
  /** Uploads at a time, over all databases. */
  uploadConcurrency: number
  circuitBreaker: false | BreakerSettings
  /** Milliseconds after which somebody else may take over from a process that shows no sign of life. */
  leaseTtl: number
}

/**
 * What all databases of a process share about one storage. Nothing in it is shared between storages: one that does not
 * answer takes no place in the queue of another.
 */
export class StorageLink {
  readonly uploads: Semaphore
  readonly heavy = new Semaphore(HEAVY)
  readonly health: StorageHealth
  /** By which writers know of each other: docs/fencing.md. */
  readonly lease: Lease
  readonly heartbeats: Heartbeats

  constructor(
    readonly store: ObjectStore,
    { uploadConcurrency, circuitBreaker, leaseTtl }: LinkSettings,
  ) {
    this.uploads = new Semaphore(uploadConcurrency)
    this.health = new StorageHealth(store.url, circuitBreaker)
    this.lease = new Lease(store, leaseTtl)
    this.heartbeats = new Heartbeats(store, leaseTtl)
  }

  async close(): Promise<void> {
    this.heartbeats.end()
    await this.lease.end()
  }
}
