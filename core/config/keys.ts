/** What a key takes. */
export type KeyType =
  | 'duration'
  | 'durationOrOff'
  | 'size'
  | 'count'
  | 'positiveCount'
  | 'countOrOff'
  | 'flag'
  | 'text'
  | 'path'
  | 'choice'
  | 'durations'
  | 'storage'
  | 'list'
  | 'switch'

/** One key of the configuration, as its schema describes it. */
export interface ConfigKey {
  /** `sync.interval` */
  readonly path: string
  readonly type: KeyType
  readonly description: string
  readonly default?: unknown
  readonly choices?: readonly string[]
  /** `--sync-interval <duration>` */
  readonly flag?: string
  /** The flag that turns a section off: `--no-metrics`. */
  readonly offFlag?: string
  /** A spelling that is accepted and not shown. */
  readonly alias?: string
  /** Whether a database may have its own. */
  readonly perDatabase: boolean
}

/** `sync.interval` → `WALRUST_SYNC_INTERVAL` */
export function environmentName(path: string): string {
  const words = path.replace(/([a-z])([A-Z])/g, '$1_$2').replaceAll('.', '_')
  return `WALRUST_${words.toUpperCase()}`
}
