import { isAbsolute } from 'node:path'
import { messageOf } from '../errors.js'
import { keepSecret } from '../redact.js'
import type { Plugin } from '../plugin.js'
import { VERSION } from '../version.js'
import type { PluginEntry } from './entries.js'
import type { Finding } from './finding.js'
import { isRecord, type Layer, originOf } from './layer.js'
import type { LoadContext } from './presets.js'
import { closestTo } from './suggest.js'
import { findingsOf } from './validate-layer.js'

/** A plugin with where it came from. */
export interface LoadedPlugin {
  readonly name: string
  readonly plugin: Plugin
  /** What listed it; `standard` for those that are there by themselves. */
  readonly origin: string
  /** Where the one came from that it replaced. */
  readonly replaced?: string
  readonly options: unknown
}

interface Listed {
  readonly entry: PluginEntry
  readonly source: string
  readonly path: string
  readonly origin: string
  readonly folder: string
}

/** All entries of `plugins`, weakest first. `null` takes away those before it. */
function listed(layers: readonly Layer[]): Listed[] {
  let all: Listed[] = []
  for (const layer of layers) {
    const { plugins } = layer.config
    if (plugins === null) all = []
    for (const [index, entry] of (plugins ?? []).entries()) {
      const { source, folder } = layer
      all.push({ entry, source, folder, path: `plugins[${index}]`, origin: originOf(layer, 'plugins') })
    }
  }
  return all
}

/**
 * Makes the plugins of a configuration. One listed again under its name replaces the earlier one in its place, with its
 * options; what is replaced is not even made.
 *
 * @param standard those that are there without being listed
 */
export async function loadPlugins(
  standard: ReadonlyArray<readonly [name: string, options?: unknown]>,
  layers: readonly Layer[],
  context: LoadContext,
): Promise<LoadedPlugin[]> {
  const entries: Listed[] = [
    ...standard.map(([name, options]): Listed => ({
      entry: options === undefined ? name : [name, options],
      source: 'standard',
      path: name,
      origin: 'standard',
      folder: '/',
    })),
    ...listed(layers),
  ]
  const slots = new Map<string, { at: Listed; replaced?: string }>()
  for (const at of entries) {
    const name = nameOf(at.entry)
    const before = slots.get(name)
    slots.set(name, before ? { at, replaced: before.at.origin } : { at })
  }
  const made = new Map<string, LoadedPlugin>()
  for (const { at, replaced } of slots.values()) {
    const found = await make(at, context)
    if (!found) continue
    // A package is named after itself, its plugin maybe otherwise: that name counts.
    const before = made.get(found.plugin.name)
    made.set(found.plugin.name, {
      ...found,
      name: found.plugin.name,
      origin: at.origin,
      replaced: before?.origin ?? replaced,
    })
  }
  const all = [...made.values()]
  await checkNeeds(all, context.findings)
  return all
}

function nameOf(entry: PluginEntry): string {
  if (typeof entry === 'string') return entry
  return Array.isArray(entry) ? String(entry[0]) : entry.name
}

async function make(
  { entry, source, path, folder }: Listed,
  context: LoadContext,
): Promise<{ plugin: Plugin; options: unknown } | undefined> {
  const { builtIn, modules, findings } = context
  const problem = (message: string, suggestion?: string) => findings.push({ source, path, message, suggestion })
  if (isRecord(entry)) return checked(entry, undefined, problem)
  const [name, options] = (Array.isArray(entry) ? entry : [entry]) as [string, unknown]
  try {
    if (name.startsWith('walrust:')) {
      if (!Object.hasOwn(builtIn.plugins, name)) {
        problem(`${name} is not known`, await closestTo(name, Object.keys(builtIn.plugins)))
        return undefined
      }
      if (options !== undefined && source !== 'standard') {
        const request = { value: options, builtIn: name.slice(8) }
        const { errors, schema, secrets } = await modules.helper.ask('validate', request)
        secrets.forEach(keepSecret)
        if (await report(errors, options, schema, source, `${path}[1]`, findings)) return undefined
      }
      const factory = (await builtIn.plugins[name]()) as (options: unknown) => Plugin
      return checked(factory(options ?? {}), options, problem)
    }
    const { main, all } = await modules.load(name, folder)
    const schema = all.schema ?? (main as { schema?: unknown } | undefined)?.schema
    if (isRecord(schema)) {
      const value = options ?? {}
      const { errors, secrets } = await modules.helper.ask('validate', { value, schema })
      secrets.forEach(keepSecret)
      if (await report(errors, value, schema, source, `${path}[1]`, findings)) return undefined
    }
    if (typeof main === 'function') {
      return checked(await (main as (options: unknown) => unknown)(options ?? {}), options, problem)
    }
    if (options !== undefined) {
      problem(`${name} takes no options`)
      return undefined
    }
    return checked(main, options, problem, name)
  } catch (error) {
    const missing = !isAbsolute(name) && !name.startsWith('.') ? ` (is it installed? npm install ${name})` : ''
    const text = messageOf(error)
    problem(`${name} cannot be used: ${text}${/could not resolve/i.test(text) ? missing : ''}`)
    return undefined
  }
}

async function report(
  errors: readonly unknown[],
  value: unknown,
  schema: unknown,
  source: string,
  prefix: string,
  findings: Finding[],
): Promise<boolean> {
  const found = await findingsOf(errors as never, value, schema as never, () => source, prefix)
  findings.push(...found)
  return found.length > 0
}

function checked(
  made: unknown,
  options: unknown,
  problem: (message: string) => void,
  name?: string,
): { plugin: Plugin; options: unknown } | undefined {
  const plugin = made as Partial<Plugin> | undefined
  if (typeof plugin?.name === 'string' && plugin.name !== '' && typeof plugin.apply === 'function') {
    return { plugin: plugin as Plugin, options }
  }
  problem(
    `${name === undefined ? 'is' : `${name} is`} no plugin: what its default export is or makes needs a \`name\` and an \`apply\` function`,
  )
  return undefined
}

/** Whether what plugins need is there: this version of walrust, and other plugins. */
async function checkNeeds(all: readonly LoadedPlugin[], findings: Finding[]): Promise<void> {
  const names = new Set(all.map(({ name }) => name))
  for (const { name, origin, plugin } of all) {
    if (plugin.walrust !== undefined) {
      // Only third-party plugins say for which versions they are made.
      const { default: satisfies } = await import('semver/functions/satisfies.js')
      if (!satisfies(VERSION, plugin.walrust, { includePrerelease: true })) {
        const message = `${name} works with walrust ${plugin.walrust}, this is ${VERSION}`
        findings.push({ source: origin, path: 'plugins', message })
      }
    }
    for (const needed of plugin.needs ?? []) {
      if (!names.has(needed)) {
        findings.push({
          source: origin,
          path: 'plugins',
          message: `${name} needs the plugin ${needed}, which is not listed`,
        })
      }
    }
  }
}
