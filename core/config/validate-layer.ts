import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { EXPECTED, expected } from './convert.js'
import type { Finding } from './finding.js'
import type { KeyType } from './keys.js'
import { isRecord, type Layer, originOf } from './layer.js'
import { isSecretName } from '../redact.js'
import { closestTo } from './suggest.js'

interface SchemaError {
  instancePath: string
  keyword: string
  params: Record<string, unknown>
}

interface Schema {
  type?: string | string[]
  enum?: unknown[]
  properties?: Record<string, Schema>
  items?: Schema | Schema[]
  then?: Schema
  else?: Schema
  'x-type'?: KeyType
  minItems?: number
  maxItems?: number
  minimum?: number
  maximum?: number
}

/** Where the files of this package that are no code lie. */
export const SCHEMAS = join(dirname(createRequire(import.meta.url).resolve('walrust/package.json')), 'schemas')

/** Holds one layer against the schema. */
export async function validateLayer(layer: Layer, findings: Finding[]): Promise<void> {
  const { default: validate } = (await import('./generated/validate.js')) as unknown as {
    default: { (value: unknown): boolean; errors: SchemaError[] | null }
  }
  if (validate(layer.config)) return
  // Read only now: a process that has nothing to complain about does without.
  const schema = JSON.parse(readFileSync(join(SCHEMAS, 'generated', 'config.json'), 'utf8')) as Schema
  findings.push(...(await findingsOf(validate.errors ?? [], layer.config, schema, (path) => originOf(layer, path))))
}

/** Tells what a validator found in words for whoever wrote the value. */
export async function findingsOf(
  errors: readonly SchemaError[],
  value: unknown,
  schema: Schema,
  sourceOf: (path: string) => string,
  prefix = '',
): Promise<Finding[]> {
  const findings = new Map<string, Finding>()
  for (const { instancePath, keyword, params } of errors) {
    // Says only that one of the others was said.
    if (keyword === 'if') continue
    const keys = instancePath.split('/').slice(1).map(decode)
    const at = schemaAt(schema, keys)
    const found = keys.reduce<unknown>((here, key) => (here as Record<string, unknown> | undefined)?.[key], value)
    const add = (path: string, message: string, suggestion?: string) => {
      if (!findings.has(path)) findings.set(path, { source: sourceOf(path), path, message, suggestion })
    }
    if (keyword === 'additionalProperties') {
      const name = String(params.additionalProperty)
      const path = joinPath(prefix, [...keys, name])
      add(path, 'is not known', await suggestionFor(name, at, schema, keys))
    } else if (keyword === 'required') {
      add(joinPath(prefix, [...keys, String(params.missingProperty)]), 'is missing')
    } else {
      add(
        joinPath(prefix, keys),
        `must be ${wanted(at, keyword)}, not ${isSecretName(keys.at(-1) ?? '') ? 'what it is' : show(found)}`,
      )
    }
  }
  return [...findings.values()]
}

const decode = (key: string) => key.replaceAll('~1', '/').replaceAll('~0', '~')

function joinPath(prefix: string, keys: readonly string[]): string {
  return keys.reduce(
    (path, key) => (/^\d+$/.test(key) ? `${path}[${key}]` : path === '' ? key : `${path}.${key}`),
    prefix,
  )
}

/** The part of a schema that a place in the data is held against. */
function schemaAt(schema: Schema, keys: readonly string[]): Schema {
  let here: Schema = schema
  for (const key of keys) {
    const options: Array<Schema | undefined> = [here, here.then, here.else, here.else?.then]
    const next = options
      .map((option) => {
        if (option?.properties?.[key]) return option.properties[key]
        if (!/^\d+$/.test(key) || !option?.items) return undefined
        return Array.isArray(option.items) ? option.items[Number(key)] : option.items
      })
      .find((found) => found !== undefined)
    if (!next) return {}
    here = next
  }
  return here
}

const propertiesOf = (schema: Schema) => ({
  ...schema.else?.then?.properties,
  ...schema.then?.properties,
  ...schema.properties,
})

function wanted(schema: Schema, keyword: string): string {
  if (schema['x-type'] === 'count' && schema.maximum !== undefined) {
    return `a whole number from ${schema.minimum ?? 0} to ${schema.maximum}`
  }
  if (schema['x-type'] && schema['x-type'] !== 'choice') return EXPECTED[schema['x-type']]
  if (schema.enum) return expected({ type: 'choice', choices: schema.enum.filter((x) => x !== null).map(String) })
  if (keyword === 'minItems') return `a list of at least ${schema.minItems}`
  if (keyword === 'maxItems') return `a list of at most ${schema.maxItems}`
  const all = propertiesOf(schema)
  const types = [schema.type ?? schema.else?.type ?? 'something else'].flat().filter((type) => type !== 'null')
  if (Object.keys(all).length > 0 && !types.includes('object')) types.push('object')
  const NAMES: Record<string, string> = {
    object: 'an object',
    string: 'a text',
    array: 'a list',
    boolean: 'false',
    number: 'a number',
    integer: 'a whole number',
  }
  return types.map((type) => NAMES[type] ?? type).join(' or ')
}

/** A name that is known at that place and alike, or at another place where it would belong. */
async function suggestionFor(
  name: string,
  at: Schema,
  schema: Schema,
  keys: readonly string[],
): Promise<string | undefined> {
  const here = await closestTo(name, Object.keys(propertiesOf(at)))
  if (here !== undefined) return here
  const elsewhere = new Map<string, string>()
  const collect = (properties: Record<string, Schema> | undefined, path: readonly string[]) => {
    for (const [key, child] of Object.entries(properties ?? {})) {
      const full = [...path, key]
      elsewhere.set(full.join('.'), full.join('.'))
      elsewhere.set(key, full.join('.'))
      // `intervalSnapshot`, `snapshotInterval`: the parts put together.
      elsewhere.set(
        full.map((part, i) => (i > 0 ? part[0].toUpperCase() + part.slice(1) : part)).join(''),
        full.join('.'),
      )
      collect(child.properties, full)
    }
  }
  collect(schema.properties, [])
  const found = await closestTo(name, [...elsewhere.keys()])
  const target = found === undefined ? undefined : elsewhere.get(found)
  return target === [...keys, name].join('.') ? undefined : target
}

function show(value: unknown): string {
  if (isRecord(value)) return 'an object'
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list'
  if (typeof value === 'function') return 'a function'
  if (value === undefined) return 'nothing'
  const text = JSON.stringify(value)
  return text.length > 60 ? `${text.slice(0, 57)}…` : text
}
