// Made by scripts/generate.mjs from schemas/; `npm run generate` makes it anew.
/* eslint-disable @typescript-eslint/no-empty-object-type */
import type { Duration, SecretReference } from '../../core/config/entries.js'

/**
 * GETs a URL as long as every database is durable within `health.maxLag`: whoever waits for it there raises the alarm for a dead process.
 */
export interface HeartbeatOptions {
  /**
   * What to GET: http or https. Shown in logs without its path, which is a secret with most services.
   */
  url: string | SecretReference
  /**
   * Time between two.
   */
  interval?: Duration | null
}

/**
 * `/metrics` for Prometheus, `/health`, and a page for people. Listed by itself only to be told more than `metrics` can say.
 */
export interface MetricsOptions {
  /**
   * Port to listen at; 0 takes a free one.
   */
  port?: number
  /**
   * Address to listen at. Whoever reaches it sees names and errors of databases.
   */
  host?: string | null
}

/**
 * POSTs events as signed JSON to a URL, or to several.
 */
export interface WebhookOptions {
  /**
   * Where to POST: http or https. Shown in logs without its path, which is a secret with many services.
   */
  url?: string | SecretReference
  /**
   * Key for the signature in `X-Walrust-Signature`.
   */
  secret?: string | SecretReference
  /**
   * Only these events; all without it.
   */
  events?: (
    | 'sync_failed'
    | 'auth_failure'
    | 'corruption_detected'
    | 'circuit_breaker_open'
    | 'circuit_breaker_closed'
    | 'gap_healed'
    | 'checkpoint_detected'
    | 'wal_size_exceeded'
    | 'spool_high'
    | 'writer_fenced'
    | 'snapshot_completed'
    | 'validation_failed'
    | 'recovered'
    | 'database_unavailable'
    | 'database_replaced'
    | 'retention_failed'
    | 'disk_full'
  )[]
  /**
   * Sent along with every request.
   */
  headers?: Record<string, string | SecretReference>
  /**
   * For one attempt.
   */
  timeout?: Duration | null
  /**
   * Attempts after the first.
   */
  retries?: number
  /**
   * How long what is left is delivered for when the process ends.
   */
  drain?: Duration | null
  /**
   * Several receivers, each with the options above.
   *
   * @minItems 1
   */
  hooks?: {
    /**
     * Where to POST: http or https. Shown in logs without its path, which is a secret with many services.
     */
    url: string | SecretReference
    /**
     * Key for the signature in `X-Walrust-Signature`.
     */
    secret?: string | SecretReference
    /**
     * Only these events; all without it.
     */
    events?: (
      | 'sync_failed'
      | 'auth_failure'
      | 'corruption_detected'
      | 'circuit_breaker_open'
      | 'circuit_breaker_closed'
      | 'gap_healed'
      | 'checkpoint_detected'
      | 'wal_size_exceeded'
      | 'spool_high'
      | 'writer_fenced'
      | 'snapshot_completed'
      | 'validation_failed'
      | 'recovered'
      | 'database_unavailable'
      | 'database_replaced'
      | 'retention_failed'
      | 'disk_full'
    )[]
    /**
     * Sent along with every request.
     */
    headers?: Record<string, string | SecretReference>
    /**
     * For one attempt.
     */
    timeout?: Duration | null
    /**
     * Attempts after the first.
     */
    retries?: number
    /**
     * How long what is left is delivered for when the process ends.
     */
    drain?: Duration | null
  }[]
}

declare module '../../core/config/entries.js' {
  /** What an editor offers as options of the built-in plugins. */
  interface PluginOptions {
    'walrust:heartbeat': HeartbeatOptions
    'walrust:metrics': MetricsOptions
    'walrust:webhook': WebhookOptions
  }
}
