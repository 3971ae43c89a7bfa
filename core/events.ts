/** Everything that walrust tells the outside world, by name. */
export const EVENT_NAMES = [
  'sync_failed',
  'auth_failure',
  'corruption_detected',
  'circuit_breaker_open',
  'circuit_breaker_closed',
  'gap_healed',
  'checkpoint_detected',
  'wal_size_exceeded',
  'spool_high',
  'writer_fenced',
  'snapshot_completed',
  'validation_failed',
  'recovered',
  'database_unavailable',
  'database_replaced',
  'retention_failed',
  'disk_full',
] as const

export type EventName = (typeof EVENT_NAMES)[number]

export interface WalrustEvent {
  readonly event: EventName
  /** Name of the database it concerns. */
  readonly database: string
  readonly error?: string
  readonly attempts?: number
  /** RFC 3339. */
  readonly timestamp: string
  /** Version of walrust. */
  readonly version: string
  /** What else is known; plain values. */
  readonly context?: Readonly<Record<string, unknown>>
}
