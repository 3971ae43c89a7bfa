import { extname, isAbsolute, dirname, resolve } from 'node:path'
import { messageOf } from '../errors.js'
import type { BuiltIn } from './built-in.js'
import { expandVariables } from './expand.js'
import type { Finding } from './finding.js'
import type { PresetEntry } from './entries.js'
import { isRecord, type Layer } from './layer.js'
import type { Modules } from './modules.js'
import { closestTo } from './suggest.js'

export interface LoadContext {
  readonly modules: Modules
  readonly builtIn: BuiltIn
  readonly env: Readonly<Record<string, string | undefined>>
  readonly findings: Finding[]
}

/** Presets within presets within presets: more is a circle. */
const DEEPEST = 10

/** The layers that presets stand for, weakest first. A preset is a configuration, and may have presets itself. */
export async function presetLayers(
  entries: readonly PresetEntry[],
  owner: Pick<Layer, 'source' | 'folder'> & { path?: string },
  context: LoadContext,
  depth = 0,
): Promise<Layer[]> {
  const layers: Layer[] = []
  for (const [index, entry] of entries.entries()) {
    const path = `${owner.path ?? 'presets'}[${index}]`
    const problem = (message: string, suggestion?: string) =>
      context.findings.push({ source: owner.source, path, message, suggestion })
    if (depth > DEEPEST) {
      problem('lists presets that list each other')
      continue
    }
    const layer = await presetLayer(entry, owner, context, problem)
    if (!layer) continue
    const inner = isRecord(layer.config) && Array.isArray(layer.config.presets) ? layer.config.presets : []
    layers.push(...(await presetLayers(inner, layer, context, depth + 1)), layer)
  }
  return layers
}

type Problem = (message: string, suggestion?: string) => void

async function presetLayer(
  entry: PresetEntry,
  owner: Pick<Layer, 'source' | 'folder'>,
  context: LoadContext,
  problem: Problem,
): Promise<Layer | undefined> {
  if (isRecord(entry)) return { source: `preset in ${owner.source}`, folder: owner.folder, config: entry }
  const [name, options] = (Array.isArray(entry) ? entry : [entry]) as [string, unknown]
  const source = `preset ${name}`
  try {
    const loaded = await loadPreset(name, owner.folder, context, problem)
    if (!loaded) return undefined
    const { main, folder } = loaded
    if (typeof main !== 'function' && options !== undefined) {
      problem(`${name} takes no options`)
      return undefined
    }
    const config: unknown =
      typeof main === 'function' ? await (main as (options: unknown) => unknown)(options ?? {}) : main
    if (isRecord(config)) return { source, folder, config: config }
    problem(`${name} must be a configuration, or a function that returns one`)
  } catch (error) {
    problem(`${name} cannot be used: ${messageOf(error)}`)
  }
  return undefined
}

async function loadPreset(
  name: string,
  folder: string,
  { modules, builtIn, env, findings }: LoadContext,
  problem: Problem,
): Promise<{ main: unknown; folder: string } | undefined> {
  if (name.startsWith('walrust:')) {
    if (Object.hasOwn(builtIn.presets, name)) return { main: await builtIn.presets[name](), folder }
    problem(`${name} is not known`, await closestTo(name, Object.keys(builtIn.presets)))
    return undefined
  }
  if (!name.startsWith('.') && !isAbsolute(name)) return { main: (await modules.load(name, folder)).main, folder }
  const file = resolve(folder, name)
  if (!/^\.(json|ya?ml)$/.test(extname(file))) {
    return { main: (await modules.load(file, folder)).main, folder: dirname(file) }
  }
  const found = await modules.read(file)
  return { main: expandVariables(found?.data, `preset ${name}`, env, findings), folder: dirname(file) }
}
