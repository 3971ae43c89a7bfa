/**
 * Puts layers together. Objects are merged key by key, everything else is replaced by what comes later, `null` takes a
 * key back to its default, and so does `null` for a whole section. A section that was switched off (`metrics: false`) is
 * on again when a later layer says anything about it.
 */
import { KEYS, SHORTHANDS } from './generated/keys.js'
import type { DatabaseEntry } from './generated/types.js'
import { setPath } from './environment.js'
import { isRecord, type Layer, originOf, type Sourced } from './layer.js'

/** What was set, by path. What is not in it is at its default. */
export type Values = Map<string, Sourced>

const SWITCHES = new Set(KEYS.filter(({ type }) => type === 'switch').map(({ path }) => path))
const LEAVES = new Set(KEYS.filter(({ type }) => type !== 'switch').map(({ path }) => path))

/** Keys that are put together in their own way. */
const OWN_WAY = new Set(['presets', 'databases', 'plugins', 'storage'])

/** Merges what layers say about plain settings. */
export function mergeSettings(layers: readonly Layer[]): Values {
  const values: Values = new Map()
  layers.forEach((layer, index) => {
    applySection(values, layer.config as Record<string, unknown>, '', (value, path) => ({
      value,
      origin: originOf(layer, path),
      layer: index,
    }))
  })
  return values
}

type Stamp = (value: unknown, path: string) => Sourced

function applySection(values: Values, section: Record<string, unknown>, prefix: string, stamp: Stamp): void {
  for (const [key, value] of Object.entries(section)) {
    const path = `${prefix}${key}`
    if (value === undefined || OWN_WAY.has(path)) continue
    if (value === null) {
      for (const known of values.keys()) if (known === path || known.startsWith(`${path}.`)) values.delete(known)
    } else if (SWITCHES.has(path) && value === false) {
      values.set(path, stamp(false, path))
    } else if (LEAVES.has(path)) {
      values.set(path, stamp(value, path))
    } else if (isRecord(value)) {
      values.delete(path)
      applySection(values, value, `${path}.`, stamp)
    }
  }
}

/**
 * The settings of one database: those of its entry over the global ones of its own layer and weaker ones. What a
 * stronger layer says globally (a flag that was typed, say) holds for every database.
 */
export function databaseValues(globals: Values, entry: DatabaseEntry, source: Omit<Sourced, 'value'>): Values {
  const values: Values = new Map([...globals].filter(([, { layer }]) => layer <= source.layer))
  const stamp: Stamp = (value) => ({ value, ...source })
  applySection(values, withoutShorthands(entry), '', stamp)
  for (const [path, sourced] of globals) {
    if (sourced.layer <= source.layer) continue
    // A section that a stronger layer switches on or off is so whatever the entry says.
    const section = path.slice(0, path.lastIndexOf('.'))
    if (SWITCHES.has(section) && values.get(section)?.value === false) values.delete(section)
    values.set(path, sourced)
  }
  return values
}

/** `snapshotInterval` in an entry is `snapshot: { interval }`. What is written in full wins. */
function withoutShorthands(entry: DatabaseEntry): Record<string, unknown> {
  const full: Record<string, unknown> = {}
  const flat: Array<[string, unknown]> = []
  for (const [key, value] of Object.entries(entry)) {
    const path = Object.hasOwn(SHORTHANDS, key) ? SHORTHANDS[key] : undefined
    if (path !== undefined) flat.push([path, value])
    else if (key !== 'path' && key !== 'name') full[key] = isRecord(value) ? structuredClone(value) : value
  }
  for (const [path, value] of flat) {
    if (!has(full, path)) setPath(full, path, value)
  }
  return full
}

function has(tree: Record<string, unknown>, path: string): boolean {
  const value = path.split('.').reduce<unknown>((here, key) => (isRecord(here) ? here[key] : undefined), tree)
  return value !== undefined
}

/** The value of one of the lists: the last layer that has one. `null` and the layers before it count as none. */
export function lastOf<T>(layers: readonly Layer[], key: 'databases'): Sourced<T> | undefined {
  let last: Sourced<T> | undefined
  layers.forEach((layer, index) => {
    const value = layer.config[key]
    if (value === null) last = undefined
    else if (value !== undefined) last = { value: value as T, origin: originOf(layer, key), layer: index }
  })
  return last
}
