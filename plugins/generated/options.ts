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
 * Writes every event into the log, with what is known about it. It takes no options.
 */
export interface LogEventsOptions {}

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
 * Keeps snapshots by age: so many hours, days, weeks and months, as `retention` says. There without being listed; it takes no options.
 */
export interface RetentionGfsOptions {}

/**
 * Copies committed frames durably to the state directory, so that checkpoints wait neither for encoding nor for storage. There unless `shadowWal` is off; it takes no options.
 */
export interface ShadowWalOptions {}

/**
 * Stores in a folder of this machine: `file:///folder`. A `storage` of that kind has no settings beside its `url`.
 */
export interface StorageFileOptions {}

/**
 * Stores in Google Cloud Storage: `gs://bucket/prefix`. These are settings of a `storage`, beside its `url`; credentials are usually those of the machine, or of the file that `GOOGLE_APPLICATION_CREDENTIALS` names.
 */
export interface StorageGcsOptions {
  /**
   * Address of an emulator or a proxy. Otherwise `STORAGE_EMULATOR_HOST`, or the service itself.
   */
  endpoint?: string | null
  /**
   * File with the key of a service account; without it the usual chain is asked.
   */
  keyFilename?: string | null
}

/**
 * Stores in the memory of the process: `memory:`. For tests; nothing in it is durable, and there are no settings beside the `url`.
 */
export interface StorageMemoryOptions {}

/**
 * Stores in S3 and what speaks its protocol: `s3://bucket/prefix`. These are settings of a `storage`, beside its `url`; credentials are usually left to the environment (`AWS_*`).
 */
export interface StorageS3Options {
  /**
   * Address of a service that is not AWS. Otherwise `AWS_ENDPOINT_URL_S3`.
   */
  endpoint?: string | null
  /**
   * Otherwise `AWS_REGION`.
   */
  region?: string | null
  /**
   * Key, with `secretAccessKey`; without them the usual chain is asked: environment, profile, role of the machine.
   */
  accessKeyId?: string | SecretReference
  /**
   * Secret to the key.
   */
  secretAccessKey?: string | SecretReference
  /**
   * Token of temporary credentials.
   */
  sessionToken?: string | SecretReference
  /**
   * Bucket in the path instead of the host name. By default where the endpoint is not known to want the other.
   */
  forcePathStyle?: boolean | null
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
   *
   * Items: Name of an event.
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
     *
     * Items: Name of an event.
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
    'walrust:log-events': LogEventsOptions
    'walrust:metrics': MetricsOptions
    'walrust:retention-gfs': RetentionGfsOptions
    'walrust:shadow-wal': ShadowWalOptions
    'walrust:webhook': WebhookOptions
  }

  interface PresetNames {
    'walrust:durable': true
    'walrust:gcs': true
    'walrust:local': true
    'walrust:observed': true
    'walrust:s3': true
    'walrust:tigris': true
  }

  /** What an editor offers as settings of a storage. */
  interface StorageOptions extends StorageFileOptions, StorageGcsOptions, StorageMemoryOptions, StorageS3Options {}
}
