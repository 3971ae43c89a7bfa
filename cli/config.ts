import type { Command } from 'commander'
import { type LoadedConfig, loadConfig } from '../core/config/load.js'
import { setPath } from '../core/config/environment.js'
import { BUILT_IN } from './built-in.js'
import { flagLayer } from './flags.js'

export interface ConfigureOptions {
  /** Databases that were typed. */
  databases?: readonly string[]
  /** A storage that was typed, where the command has a flag of its own for it. */
  bucket?: string
  adopt?: boolean
  giveUp?: boolean
}

/** Everything that was configured, for a command: file, presets, environment, and the flags that were typed. */
export async function configure(command: Command, options: ConfigureOptions = {}): Promise<LoadedConfig> {
  const { bucket, ...rest } = options
  const flags = flagLayer(command)
  if (bucket !== undefined) setPath(flags.config as Record<string, unknown>, 'storage.url', bucket)
  const { config: file } = command.optsWithGlobals<{ config?: string }>()
  return await loadConfig({ builtIn: BUILT_IN, cwd: process.cwd(), env: process.env, file, flags, ...rest })
}
