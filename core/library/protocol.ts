/** What an application and its engine process say to each other over the channel between them. */
import type { WalrustConfig } from '../config/generated/types.js'
import type { PackedError } from '../error-transfer.js'
import type { WalrustEvent } from '../events.js'
import type { LogFields, LogLevel } from '../log.js'

/** What the engine can be asked for. */
export interface EngineCalls {
  start(setup: EngineSetup): undefined
  stop(): undefined
  sync(name: string, storages: readonly string[] | undefined): undefined
  snapshot(name: string, storages: readonly string[] | undefined): number
  ensureRestored(setup: EngineSetup, path: string): 'restored' | 'present' | 'no-backup'
}

/** What the engine is to work with: plain values, because functions do not pass from process to process. */
export interface EngineSetup {
  /** A configuration, or the path of a file that holds one. */
  config: WalrustConfig | string
  /** The folder where relative paths start. */
  folder: string
}

export type ToEngine = { id: number; call: keyof EngineCalls; arguments: unknown[] } | { cancel: number }

export type FromEngine =
  | { id: number; result: unknown }
  | { id: number; error: PackedError }
  | { log: { level: LogLevel; message: string; fields: LogFields } }
  | { event: WalrustEvent }
