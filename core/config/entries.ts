import type { Plugin } from '../plugin.js'
import type { WalrustConfig } from './generated/types.js'

/** The forms of entries that a schema cannot say by itself. */

/** `500ms`, `5s`, `1h`, `7d`, or a number of seconds. */
export type Duration = `${number}${'ms' | 's' | 'm' | 'h' | 'd' | 'w'}` | `${number}` | number

/** `64MiB`, `5GiB`, or a number of bytes. */
export type Size = `${number}${'B' | 'KB' | 'MB' | 'GB' | 'TB' | 'KiB' | 'MiB' | 'GiB' | 'TiB'}` | `${number}` | number

/** A value that is not written into the configuration: it comes from an environment variable or from a file. */
export type SecretReference = { env: string } | { file: string }

/** Settings of storages; what a plugin behind a scheme takes may be added, so that editors know it. */
export interface StorageOptions {
  /** Whatever the plugin behind the scheme takes. */
  [option: string]: unknown
}

export interface StorageObject extends StorageOptions {
  /** `file:///folder`, `s3://bucket/prefix`, `gs://bucket/prefix`, or a scheme that a plugin brings. */
  url?: string
  /** Address of the service, where it is not the usual one. */
  endpoint?: string
}

/** A URL, or an object with a URL and settings for it. */
export type StorageEntry = string | StorageObject

/** Options of plugins by name; a plugin may add its own, so that editors know them. */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- filled in by augmentation
export interface PluginOptions {}

/** The name of a plugin: `walrust:NAME`, a package or a path. */

export type PluginName = Extract<keyof PluginOptions, string> | (string & {})

type KnownEntry = { [Name in keyof PluginOptions]: [Name, PluginOptions[Name]] }[keyof PluginOptions]

/** A plugin by name, with options, or ready made. */
export type PluginEntry = PluginName | [PluginName] | KnownEntry | [string, unknown] | Plugin

/** The options a preset is called with. */
export type PresetFunction = (options: never) => WalrustConfig | Promise<WalrustConfig>

/** Names of presets that editors offer. */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- filled in by augmentation
export interface PresetNames {}

/** A preset by name, with options, or written out. */

export type PresetEntry =
  Extract<keyof PresetNames, string> | (string & {}) | [string] | [string, unknown] | WalrustConfig
