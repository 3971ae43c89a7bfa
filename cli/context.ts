import type { Command } from 'commander'
import type { ResolvedConfig } from '../core/config/resolved.js'
import { WalrustError } from '../core/errors.js'
import { Host } from '../core/host.js'
import type { Log, LogLevel } from '../core/log.js'
import type { ObjectStore } from '../core/object-store.js'
import { storageFile } from '../plugins/storage-file/index.js'
import { storageMemory } from '../plugins/storage-memory/index.js'
import { storageS3 } from '../plugins/storage-s3/index.js'
import { stderrLog } from './log.js'

/** Where backups go when nobody says anything. */
export const DEFAULT_STORAGE = 'file:walrust-backups'

/** Options that every command has. */
export interface GlobalOptions {
  json?: boolean
  logLevel: LogLevel
  logFormat?: 'text' | 'json'
}

/** What a command works with. */
export interface Context {
  log: Log
  host: Host
  json: boolean
}

/** Prepares log, hooks and plugins for a command: those of a configuration, or the built-in storages. */
export function createContext(command: Command, config?: ResolvedConfig): Context {
  const options = command.optsWithGlobals<GlobalOptions>()
  const format = options.logFormat ?? (process.stderr.isTTY ? 'text' : 'json')
  const log = stderrLog({ level: options.logLevel, format })
  const host = new Host(log)
  for (const plugin of config?.plugins ?? [storageFile(), storageMemory(), storageS3()]) host.use(plugin)
  return { log, host, json: options.json ?? false }
}

/** The storage that was asked for, or the default, which is said aloud. */
export async function openStorage({ host, log }: Context, url: string | undefined): Promise<ObjectStore> {
  if (url === undefined) log.info('no storage was given', { using: DEFAULT_STORAGE })
  return await host.store(asUrl(url ?? DEFAULT_STORAGE))
}

/** A bare path is a folder. */
export function asUrl(text: string): string {
  if (/^[a-z][a-z0-9+.-]*:/i.test(text)) return text
  if (/^[./~]/.test(text)) return `file:${text}`
  throw new WalrustError('E_USAGE', `"${text}" is not a storage URL`, {
    hint: 'Write it as file:///folder, s3://bucket/prefix or gs://bucket/prefix.',
  })
}

/** Writes a result: as JSON, or as the text that people read. */
export function print(context: Pick<Context, 'json'>, value: unknown, text: () => string): void {
  const out = context.json ? JSON.stringify(value, bigintAsHex, 2) : text()
  process.stdout.write(out.endsWith('\n') ? out : `${out}\n`)
}

function bigintAsHex(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString(16).padStart(16, '0') : value
}
