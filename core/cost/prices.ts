/** What a storage costs, as its plugin states it. Prices in `currency`; a GB is 2^30 bytes. */
export interface StoragePrices {
  /** Which list this is: service, class, region. */
  readonly name: string
  /** Month in which it was looked up: `2026-11`. */
  readonly asOf: string
  readonly currency: string
  /** For a GB kept a month. */
  readonly stored: number
  /** For a thousand requests that write or list, and for a thousand that read. Deleting is free with all that we know. */
  readonly write: number
  readonly read: number
  /** For a GB that leaves the service. */
  readonly egress: number
}
