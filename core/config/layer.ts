import type { WalrustConfig } from './generated/types.js'

/** One of the sources that a configuration is put together from, weakest first: presets, file, environment, flags. */
export interface Layer {
  /** For people: `walrust.config.ts`, `preset walrust:s3`, `environment`. */
  readonly source: string
  /** Where relative paths start, and plugins and presets are looked for. */
  readonly folder: string
  readonly config: WalrustConfig
  /** Where exactly a key was set, if not just in `source`. */
  origin?(path: string): string
}

/** A value with where it came from. */
export interface Sourced<T = unknown> {
  readonly value: T
  readonly origin: string
  /** Place of its layer in the order: what comes later wins. -1 is a default. */
  readonly layer: number
}

export function originOf(layer: Layer, path: string): string {
  return layer.origin?.(path) ?? layer.source
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Plain data only: what a program hands over may be anything. */
export function isPlain(value: unknown): value is Record<string, unknown> {
  if (!isRecord(value)) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}
