import type { Command } from 'commander'
import type { LoadedConfig } from '../core/config/load.js'
import { Host } from '../core/host.js'
import type { Log, LogLevel } from '../core/log.js'
import type { ObjectStore } from '../core/object-store.js'
import { redact } from '../core/redact.js'
import { storagePlugin } from './built-in.js'
import { configure } from './config.js'
import type { Outputs } from './generated/outputs.js'
import { stderrLog } from './log.js'

/** Options that every command has. */
export interface GlobalOptions {
  json?: boolean
  logLevel?: LogLevel
  logFormat?: 'text' | 'json'
}

/** What a command works with. */
export interface Context {
  log: Log
  host: Host
  json: boolean
  command: Command
  /** The configuration, if the command has read it. */
  loaded?: LoadedConfig
}

/** Prepares log, hooks and plugins for a command. Without a configuration it is read when storage is opened. */
export function createContext(command: Command, loaded?: LoadedConfig): Context {
  const options = command.optsWithGlobals<GlobalOptions>()
  const { level, format } = loaded?.resolved.log ?? { level: options.logLevel ?? 'info', format: options.logFormat }
  const log = stderrLog({ level, format: format ?? (process.stderr.isTTY ? 'text' : 'json') })
  const host = new Host(log, storagePlugin)
  for (const plugin of loaded?.resolved.plugins ?? []) host.use(plugin)
  return { log, host, json: options.json ?? false, command, loaded }
}

/** The storage that was asked for, or that is configured, or the default, which is said aloud. The first of several. */
export async function openStorage(context: Context, bucket: string | undefined): Promise<ObjectStore> {
  const { host } = context
  if (!context.loaded) {
    context.loaded = await configure(context.command, { bucket })
    for (const plugin of context.loaded.resolved.plugins) host.use(plugin)
  }
  sayDefault(context)
  const [{ url, options }] = context.loaded.storage.value
  return await host.store(url, options)
}

/** Tells where backups go if nobody has said so. */
export function sayDefault({ log, loaded }: Context): void {
  if (loaded?.storage.origin === 'default') log.info('no storage was given', { using: loaded.storage.value[0].url })
}

/** A result of that type, whose parts need not be writable. */
type Result<T> =
  T extends ReadonlyArray<infer Item>
    ? ReadonlyArray<Result<Item>>
    : T extends object
      ? { readonly [Key in keyof T]: Result<T[Key]> }
      : T

/**
 * Writes a result: as JSON, or as the text that people read. `schemas/output/` says what the JSON of each command looks
 * like; the command that calls this names the type that is made of it.
 */
export function print<T extends Outputs[keyof Outputs] = never>(
  context: Pick<Context, 'json'>,
  value: NoInfer<Result<T>>,
  text: () => string,
): void {
  const out = redact(context.json ? JSON.stringify(value, bigintAsHex, 2) : text())
  process.stdout.write(out.endsWith('\n') ? out : `${out}\n`)
}

function bigintAsHex(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString(16).padStart(16, '0') : value
}
