import { readFile } from 'node:fs/promises'
import { basename, dirname, isAbsolute, relative, resolve } from 'node:path'
import { discover } from '../discover.js'
import { messageOf, WalrustError } from '../errors.js'
import { keepSecret } from '../redact.js'
import type { BuiltIn } from './built-in.js'
import { environmentLayer } from './environment.js'
import { expandVariables, resolveReferences } from './expand.js'
import { ConfigError, type Finding, throwFindings } from './finding.js'
import type { DatabaseEntry, WalrustConfig } from './generated/types.js'
import { isRecord, type Layer, type Sourced } from './layer.js'
import { databaseValues, lastOf, mergeSettings, type Values } from './merge.js'
import { HelperProblem, Modules } from './modules.js'
import { type LoadedPlugin, loadPlugins } from './plugins.js'
import { type LoadContext, presetLayers } from './presets.js'
import { namedSecrets } from './secrets.js'
import type { DatabaseSource, ResolvedConfig, StorageSource } from './resolved.js'
import { processSettingsOf, settingsOf } from './settings-of.js'
import { mergeStorages, storagesOf } from './storages.js'
import { validateLayer } from './validate-layer.js'

export interface LoadOptions {
  builtIn: BuiltIn
  /** The folder to look in, and where relative paths of flags and variables start. */
  cwd: string
  env: Readonly<Record<string, string | undefined>>
  /** The file to read, instead of looking for one. */
  file?: string
  /** A configuration that a program gives, instead of a file; `folder` is where its paths start. */
  config?: WalrustConfig
  /** What was typed, as a layer. */
  flags?: Layer
  /** Databases that were typed: they replace `databases`, and keep the settings of entries that match. */
  databases?: readonly string[]
  /** Databases that a program adds to those of the configuration; one of the same path replaces the one there. */
  more?: ReadonlyArray<string | DatabaseEntry>
  adopt?: boolean
  giveUp?: boolean
}

/** A configuration with how it came to be. */
export interface LoadedConfig {
  readonly resolved: ResolvedConfig
  /** The file it was read from. */
  readonly file: string | undefined
  /** Weakest first. */
  readonly layers: readonly Layer[]
  /** What was set globally, by path. */
  readonly values: Values
  /** What was set for each database, in the order of `resolved.databases`. */
  readonly databaseValues: readonly Values[]
  readonly storage: Sourced<readonly StorageSource[]>
  /** Where `databases` came from. */
  readonly databases: Omit<Sourced, 'value'> | undefined
  readonly plugins: readonly LoadedPlugin[]
}

/**
 * Reads everything that a configuration is put together from, and resolves it: defaults < presets from left to right <
 * file < environment < flags.
 *
 * Errors: {@link ConfigError} with everything that is wrong, at once
 */
export async function loadConfig(options: LoadOptions): Promise<LoadedConfig> {
  const modules = new Modules()
  try {
    return await load(options, modules)
  } finally {
    modules.close()
  }
}

async function load(options: LoadOptions, modules: Modules): Promise<LoadedConfig> {
  const { builtIn, cwd, env } = options
  const findings: Finding[] = []
  const context: LoadContext = { modules, builtIn, env, findings }
  const file = await fileLayer(options, context)
  const environment = await environmentLayer(env, cwd, findings)
  const owner = environment.config.presets === undefined ? file?.layer : environment
  const presets = owner?.config.presets
  const entries = Array.isArray(presets) ? presets : []
  const upper = [file?.layer, environment, options.flags].filter((layer) => layer !== undefined)
  const raw = [...(owner && entries.length > 0 ? await presetLayers(entries, owner, context) : []), ...upper]
  for (const layer of raw) {
    // Before anything is said about what is in it.
    for (const secret of namedSecrets(layer.config)) keepSecret(secret)
    if (layer !== options.flags && Object.keys(layer.config).length > 0) await validateLayer(layer, findings)
  }
  const added: Layer = { source: 'add()', folder: cwd, config: { databases: [...(options.more ?? [])] } }
  for (const secret of namedSecrets(options.more)) keepSecret(secret)
  if (options.more) await validateLayer(added, findings)
  throwFindings(findings)
  const layers = raw.map((layer) => resolveReferences(layer, env, findings))
  const more = resolveReferences(added, env, findings).config.databases ?? undefined
  throwFindings(findings)
  return await resolveLayers(layers, file?.file, { ...options, more }, context)
}

async function resolveLayers(
  layers: readonly Layer[],
  file: string | undefined,
  options: LoadOptions,
  context: LoadContext,
): Promise<LoadedConfig> {
  const { builtIn, cwd } = options
  const { findings } = context
  const values = mergeSettings(relativeTo(layers, cwd))
  const merged = mergeStorages(layers, builtIn.storageUrl)
  if (merged?.value.length === 0) {
    findings.push({
      source: merged.origin,
      path: 'storage.url',
      message: 'is missing: settings of a storage were given, but not where it is',
    })
  }
  const storage = merged ?? {
    value: [{ url: builtIn.storageUrl(builtIn.defaultStorage, cwd), options: {} }],
    origin: 'default',
    layer: -1,
  }
  const listed = lastOf<ReadonlyArray<string | DatabaseEntry>>(layers, 'databases')
  const own = await databaseEntries(options, layers, listed)
  const perDatabase = own.map(({ entry, at }) => databaseValues(values, entry, at))
  const databases: DatabaseSource[] = own.map(({ entry, at, folder, path }, index) => {
    const settings = settingsOf(perDatabase[index])
    const others = storage.value
    // What a stronger layer says about storage holds for every database, as with everything else.
    const mine = at.layer >= storage.layer ? entry.storage : undefined
    return {
      path,
      name: entry.name ?? undefined,
      settings: { ...settings, adopt: options.adopt ?? false, giveUp: options.giveUp ?? false },
      storages: mine === undefined || mine === null ? others : storagesOf(mine, folder, others, builtIn.storageUrl),
    }
  })
  const processWide = { databases, ...processSettingsOf(values) }
  const plugins = await loadPlugins(builtIn.standard(processWide), layers, context)
  await checkStorages(
    [...storage.value, ...databases.flatMap(({ storages }) => storages)],
    plugins,
    context,
    storage.origin,
  )
  throwFindings(findings)
  return {
    resolved: { ...processWide, plugins: plugins.map(({ plugin }) => plugin) },
    file,
    layers,
    values,
    databaseValues: perDatabase,
    storage,
    databases: listed,
    plugins,
  }
}

/** The layer of the file, or of what a program gave instead. */
async function fileLayer(
  { cwd, env, file, config }: LoadOptions,
  { modules, findings }: LoadContext,
): Promise<{ layer: Layer; file: string | undefined } | undefined> {
  if (config) return { layer: { source: 'configuration', folder: cwd, config }, file: undefined }
  const named = file ?? (env.WALRUST_CONFIG === '' ? undefined : env.WALRUST_CONFIG)
  const path = named === undefined ? undefined : resolve(cwd, named)
  try {
    if (path !== undefined) await readFile(path)
    const found = path === undefined ? await modules.find(cwd) : await modules.read(path)
    if (!found) return undefined
    const source = relative(cwd, found.file).startsWith('..') ? found.file : relative(cwd, found.file)
    const folder = dirname(found.file)
    let data = found.data
    if (found.module) data = (await modules.load(found.file, folder)).main
    else data = expandVariables(data, source, env, findings)
    if (typeof data === 'function') data = await (data as () => unknown)()
    if (!isRecord(data)) {
      throw new ConfigError([{ source, path: '', message: 'has to have a configuration as its default export' }])
    }
    return { layer: { source, folder, config: data }, file: found.file }
  } catch (error) {
    if (error instanceof WalrustError) throw error
    const source =
      named ?? (error instanceof HelperProblem ? 'the configuration' : `the configuration in ${basename(cwd)}`)
    const hint = path?.endsWith('.toml') ? '; `walrust init --from` makes a configuration of a walrust.toml' : ''
    throw new ConfigError([{ source, path: '', message: `cannot be read: ${messageOf(error)}${hint}` }])
  }
}

/** Paths of a layer start from its folder. Those of the working folder stay as they were written. */
function relativeTo(layers: readonly Layer[], cwd: string): Layer[] {
  return layers.map((layer) => {
    if (layer.folder === cwd) return layer
    const { stateDir, spool } = layer.config
    const moved = (path: string | null | undefined) => (path ? resolve(layer.folder, path) : path)
    return {
      ...layer,
      config: {
        ...layer.config,
        ...(stateDir ? { stateDir: moved(stateDir) } : {}),
        ...(spool?.dir ? { spool: { ...spool, dir: moved(spool.dir) } } : {}),
      },
    }
  })
}

interface OwnEntry {
  entry: DatabaseEntry
  path: string
  folder: string
  at: Omit<Sourced, 'value'>
}

async function databaseEntries(
  { cwd, databases, more = [] }: LoadOptions,
  layers: readonly Layer[],
  listed: Sourced<ReadonlyArray<string | DatabaseEntry>> | undefined,
): Promise<OwnEntry[]> {
  const folder = listed ? layers[listed.layer].folder : cwd
  const entries: OwnEntry[] = (listed?.value ?? []).map((item, index) => {
    const entry = typeof item === 'string' ? { path: item } : item
    const path = isAbsolute(entry.path) || folder === cwd ? entry.path : resolve(folder, entry.path)
    return {
      entry: fromFolder(entry, folder, cwd),
      path,
      folder,
      at: { origin: `${listed?.origin ?? ''} databases[${index}]`, layer: listed?.layer ?? -1 },
    }
  })
  if (!databases || databases.length === 0) {
    const added = more.map((item) => addedEntry(item, cwd, layers.length))
    const replaced = new Set(added.map(({ path }) => resolve(cwd, path)))
    return [...entries.filter(({ path }) => !replaced.has(resolve(cwd, path))), ...added]
  }
  return await Promise.all(databases.map((path) => typed(path, cwd, entries)))
}

function addedEntry(item: string | DatabaseEntry, cwd: string, layer: number): OwnEntry {
  const entry = typeof item === 'string' ? { path: item } : item
  return { entry, path: resolve(cwd, entry.path), folder: cwd, at: { origin: 'add()', layer } }
}

/** Paths of an entry start from the folder of its file too. */
function fromFolder(entry: DatabaseEntry, folder: string, cwd: string): DatabaseEntry {
  if (folder === cwd) return entry
  const { stateDir, spool, spoolDir } = entry
  return {
    ...entry,
    ...(stateDir ? { stateDir: resolve(folder, stateDir) } : {}),
    ...(spoolDir ? { spoolDir: resolve(folder, spoolDir) } : {}),
    ...(spool?.dir ? { spool: { ...spool, dir: resolve(folder, spool.dir) } } : {}),
  }
}

/** A database that was typed, with the settings of the entry it matches: of the same path, or of a pattern that finds it. */
async function typed(path: string, cwd: string, entries: readonly OwnEntry[]): Promise<OwnEntry> {
  const full = resolve(cwd, path)
  const same = entries.find((entry) => resolve(cwd, entry.path) === full)
  if (same) return { ...same, path }
  for (const { entry, path: pattern, folder, at } of entries) {
    const all = await discover([{ path: pattern, name: entry.name ?? undefined }])
    const found = all.find((database) => database.path === full)
    // Under the name it has by the pattern: it is the same backup.
    if (found) return { entry: { ...entry, name: found.name }, path, folder, at }
  }
  return { entry: { path }, path, folder: cwd, at: { origin: 'argument', layer: -1 } }
}

/** Holds the settings of storages against what the plugins behind their schemes say about them. */
async function checkStorages(
  storages: readonly StorageSource[],
  plugins: readonly LoadedPlugin[],
  { modules, builtIn, findings }: LoadContext,
  origin: string,
): Promise<void> {
  for (const { url, options } of new Set(storages)) {
    const scheme = /^[a-z][a-z0-9+.-]*(?=:)/i.exec(url)?.[0].toLowerCase() ?? ''
    if (Object.keys(options).length === 0) continue
    const name = Object.hasOwn(builtIn.storages, scheme) ? builtIn.storages[scheme] : undefined
    const schema = plugins.map(({ plugin }) => plugin.storageOptions?.[scheme]).find((found) => found !== undefined)
    if (schema === undefined && name === undefined) continue
    const builtInName = schema === undefined ? name?.replace(/^walrust:/, '') : undefined
    const checked = await modules.helper.ask('validate', { value: options, schema, builtIn: builtInName })
    checked.secrets.forEach(keepSecret)
    const { findingsOf } = await import('./validate-layer.js')
    findings.push(
      ...(await findingsOf(checked.errors as never, options, checked.schema as never, () => origin, 'storage')),
    )
  }
}
