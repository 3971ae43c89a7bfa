import { resolve } from 'node:path'
import type { BuiltIn } from '../../core/config/built-in.js'
import { ConfigError, type Finding } from '../../core/config/finding.js'
import type { WalrustConfig } from '../../core/config/generated/types.js'
import { type LoadedConfig, loadConfig, type LoadOptions } from '../../core/config/load.js'
import { setPath } from '../../core/config/environment.js'
import type { Layer } from '../../core/config/layer.js'

/** Nothing but a storage that needs nothing, and the presets of a test. */
export function bareBuiltIn(presets: Readonly<Record<string, unknown>> = {}): BuiltIn {
  return {
    plugins: {},
    presets: Object.fromEntries(
      Object.entries(presets).map(([name, preset]) => [`walrust:${name}`, () => Promise.resolve(preset)]),
    ),
    storages: {},
    standard: () => [],
    defaultStorage: 'file:default',
    storageUrl: (text, folder) => (text.startsWith('file:') ? `file:${resolve(folder, text.slice(5))}` : text),
  }
}

/** Flags as if they had been typed: by the path of their key. */
export function typedFlags(values: Readonly<Record<string, unknown>>): Layer {
  const config = {}
  for (const [path, value] of Object.entries(values)) setPath(config, path, value)
  return { source: 'flags', folder: '/work-folder', config, origin: (path) => `--${path}` }
}

export interface Given extends Partial<LoadOptions> {
  presets?: Readonly<Record<string, unknown>>
  typed?: Readonly<Record<string, unknown>>
}

/** Loads a configuration given as an object, with presets by name (`walrust:NAME`), variables and typed flags. */
export async function load(config: WalrustConfig, given: Given = {}): Promise<LoadedConfig> {
  const { presets, typed, ...options } = given
  return await loadConfig({
    builtIn: bareBuiltIn(presets),
    cwd: '/work-folder',
    env: {},
    config,
    flags: typed && typedFlags(typed),
    ...options,
  })
}

/** What is wrong with a configuration. */
export async function findingsOf(loading: Promise<unknown>): Promise<readonly Finding[]> {
  try {
    await loading
  } catch (error) {
    if (error instanceof ConfigError) return error.findings
    throw error
  }
  throw new Error('nothing was found')
}
