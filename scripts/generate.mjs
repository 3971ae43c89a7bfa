// Makes from the schemas what follows from them: TypeScript types, the table of keys, a validator that needs no ajv, the
// bundled schema for editors, and docs/options.md. `--check` only compares, for `npm run lint`.
import Ajv from 'ajv'
import standalone from 'ajv/dist/standalone/index.js'
import { build } from 'esbuild'
import { compile } from 'json-schema-to-typescript'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { format, resolveConfig } from 'prettier'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const MADE = 'Made by scripts/generate.mjs from schemas/; `npm run generate` makes it anew.'

const read = async (path) => JSON.parse(await readFile(join(root, path), 'utf8'))
const shared = await read('schemas/shared.json')
const source = await read('schemas/config.json')

/** Copies a schema with its references put in place. One thing referred to twice stays one object: it is one type. */
function inline(schema, seen = new Map()) {
  if (Array.isArray(schema)) return schema.map((item) => inline(item, seen))
  if (typeof schema !== 'object' || schema === null) return schema
  const { $ref, ...own } = schema
  if ($ref === undefined) {
    return Object.fromEntries(Object.entries(own).map(([key, value]) => [key, inline(value, seen)]))
  }
  const [file, pointer] = $ref.split('#/definitions/')
  const key = `${file || 'own'}:${pointer}`
  if (!seen.has(key)) {
    const definitions = file === '' && source.definitions[pointer] ? source.definitions : shared.definitions
    if (!definitions[pointer]) throw new Error(`${$ref} does not exist`)
    seen.set(key, inline(definitions[pointer], seen))
  }
  const target = seen.get(key)
  return Object.keys(own).length === 0 ? target : { ...target, ...own }
}

const camel = (flag) =>
  flag
    .replace(/^--/, '')
    .replace(/ .*$/, '')
    .replace(/-(\w)/g, (_, letter) => letter.toUpperCase())

/** Every leaf of a schema with what is known about it. */
function* leaves(properties, path = []) {
  for (const [name, schema] of Object.entries(properties)) {
    const here = [...path, name]
    if (name.startsWith('$')) continue
    if (schema['x-switch']) yield { path: here, schema: { ...schema, 'x-type': 'switch' } }
    if (schema['x-type']) yield { path: here, schema }
    else if (schema.properties) yield* leaves(schema.properties, here)
  }
}

const { definitions: _definitions, ...config } = inline(source)
const database = config.properties.databases.items.then
const nested = [...leaves(database.properties)]

// A setting of a database may be written flat, by the name of its flag.
const flat = {}
for (const { path, schema } of nested) {
  const flag = schema['x-flag']
  if (path.length < 2 || !flag) continue
  const name = camel(flag)
  const { 'x-flag': _flag, 'x-alias': _alias, default: _default, ...rest } = schema
  flat[name] = { path, schema: { ...rest, description: `The same as \`${path.join('.')}\`.` } }
}
for (const [name, { schema }] of Object.entries(flat)) database.properties[name] = schema

const keys = [...leaves(config.properties)].map(({ path, schema }) => ({
  path: path.join('.'),
  type: schema['x-type'],
  description: schema.description,
  ...(schema.default === undefined ? {} : { default: schema.default }),
  ...(schema['x-type'] === 'choice' ? { choices: schema.enum.filter((choice) => choice !== null) } : {}),
  ...(schema['x-flag'] ? { flag: schema['x-flag'] } : {}),
  ...(schema['x-off-flag'] ? { offFlag: schema['x-off-flag'] } : {}),
  ...(schema['x-alias'] ? { alias: schema['x-alias'] } : {}),
  perDatabase: Object.hasOwn(database.properties, path[0]) && path[0] !== 'storage',
}))

const prettierConfig = await resolveConfig(join(root, 'package.json'))
const pretty = (text, parser) => format(text, { ...prettierConfig, parser })

/** A schema as the type generator should see it: a section that can be switched off is an object or `false`. */
function forTypes(schema, seen = new Map()) {
  if (Array.isArray(schema)) return schema.map((item) => forTypes(item, seen))
  if (typeof schema !== 'object' || schema === null) return schema
  if (seen.has(schema)) return seen.get(schema)
  const copy = {}
  seen.set(schema, copy)
  for (const [key, value] of Object.entries(schema)) {
    if (['if', 'then', 'else', 'not'].includes(key) && typeof value === 'object') continue
    // Which of the properties have to be there together is more than a type says.
    if (key === 'anyOf' && value.every((option) => option.required)) continue
    copy[key] = forTypes(value, seen)
  }
  if (schema['x-switch']) {
    const { description, default: _default, ...object } = copy
    for (const key of Object.keys(copy)) delete copy[key]
    Object.assign(copy, { description, anyOf: [{ ...object, type: 'object' }, { tsType: 'false' }, { type: 'null' }] })
  }
  return copy
}

async function types() {
  const options = {
    bannerComment: '',
    format: false,
    ignoreMinAndMaxItems: true,
    additionalProperties: false,
    unreachableDefinitions: false,
  }
  const entry = await compile(forTypes(database), 'DatabaseEntry', options)
  const whole = await compile(forTypes(config), 'WalrustConfig', options)
  const imports =
    "import type { Duration, PluginEntry, PresetEntry, Size, StorageEntry, StorageObject } from '../entries.js'\n"
  const used = imports.replace(/\{ (.*) \}/, (_, names) => {
    const kept = names.split(', ').filter((name) => new RegExp(`\\b${name}\\b`).test(entry + whole))
    return `{ ${kept.join(', ')} }`
  })
  return await pretty(`// ${MADE}\n${used}\n${entry}\n${whole}`, 'typescript')
}

async function validator() {
  const ajv = new Ajv({
    allErrors: true,
    strict: true,
    strictTypes: false,
    strictTuples: false,
    messages: false,
    inlineRefs: false,
    code: { source: true, esm: true, lines: false },
  })
  ajv.addVocabulary(['tsType', 'x-type', 'x-flag', 'x-off-flag', 'x-alias', 'x-switch', 'x-secret'])
  ajv.addSchema(shared)
  // References stay references here: each group of settings is checked by one function, wherever it stands.
  const own = structuredClone(source)
  for (const [name, { path }] of Object.entries(flat)) {
    const leaf = path.reduce((schema, key) => schema.properties[key], { properties: shared.definitions })
    own.definitions.database.properties[name] = leaf.$ref ? { $ref: `shared.json${leaf.$ref}` } : leaf
  }
  const code = standalone(ajv, ajv.compile(own))
  const { outputFiles } = await build({
    stdin: { contents: code, resolveDir: root, loader: 'js' },
    bundle: true,
    format: 'esm',
    platform: 'node',
    minify: true,
    write: false,
    target: 'node20',
  })
  return `// @ts-nocheck\n/* ${MADE} */\n${outputFiles[0].text}`
}

async function keyTable() {
  const shorthands = Object.fromEntries(Object.entries(flat).map(([name, { path }]) => [name, path.join('.')]))
  return await pretty(
    `// ${MADE}
import type { ConfigKey } from '../keys.js'

/** Every key of the configuration. */
export const KEYS: readonly ConfigKey[] = ${JSON.stringify(keys)}

/** What a setting of a database is called when it is written flat. */
export const SHORTHANDS: Readonly<Record<string, string>> = ${JSON.stringify(shorthands)}
`,
    'typescript',
  )
}

const environmentName = (path) =>
  `WALRUST_${path
    .replace(/([a-z])([A-Z])/g, '$1_$2')
    .replaceAll('.', '_')
    .toUpperCase()}`

const KINDS = {
  duration: 'time',
  durationOrOff: 'time or `off`',
  size: 'size',
  count: 'number',
  positiveCount: 'number from 1',
  countOrOff: 'number or `off`',
  flag: '`true` or `false`',
  text: 'text',
  path: 'path',
  durations: 'list of times',
  storage: 'URL, object or list',
  list: 'list',
  switch: '`false`',
}

function showDefault(value) {
  if (value === undefined) return '–'
  if (value === false) return 'off'
  return Array.isArray(value) ? value.map((item) => `\`${item}\``).join(', ') : `\`${value}\``
}

const cell = (text) => text.replaceAll('|', '\\|').replace(/\s+/g, ' ')

function optionsOf(plugin) {
  const rows = Object.entries(plugin.properties ?? {}).map(([name, schema]) => {
    const kind =
      KINDS[schema['x-type']] ??
      (schema.enum ? schema.enum.map((v) => `\`${v}\``).join(', ') : [schema.type ?? 'any'].flat().join(' or '))
    const needed = plugin.required?.includes(name) ? 'needed' : showDefault(schema.default)
    return `| \`${name}\` | ${cell(kind)} | ${cell(needed)} | ${cell(schema.description ?? '')} |`
  })
  if (rows.length === 0) return ''
  return `\n| option | what it takes | default | meaning |\n| --- | --- | --- | --- |\n${rows.join('\n')}\n`
}

async function options(plugins) {
  const sections = new Map([['', []]])
  for (const key of keys) {
    const section = key.path.includes('.') || key.type === 'switch' ? key.path.split('.')[0] : ''
    sections.set(section, [...(sections.get(section) ?? []), key])
  }
  const parts = [
    `<!-- ${MADE} -->

# Options

Every key of the configuration, with its flag (where it has one), its environment variable, what it takes and its
default. Times are \`500ms\`, \`5s\`, \`1h\`, \`7d\`, or a bare number of seconds; sizes are \`64MiB\`, \`5GiB\`, or a bare number
of bytes. \`null\` resets a key to its default.

Keys marked with \`*\` can also be set for one database, in its entry under \`databases\`: as at the top level, or flat, by
the name of the flag in camel case (\`snapshotInterval\`).`,
  ]
  for (const [section, list] of sections) {
    const schema = config.properties[section]
    parts.push(section === '' ? '## Top level' : `## ${section}\n\n${schema.description}`)
    const rows = list.map(({ path, type, choices, flag, offFlag, description, perDatabase, default: value }) => {
      const kind = choices ? choices.map((choice) => `\`${choice}\``).join(', ') : KINDS[type]
      const flags = [flag, offFlag].filter(Boolean).map((text) => `\`${text.replace(/ <.*/, '')}\``)
      const star = perDatabase ? ' *' : ''
      return `| \`${path}\`${star} | ${flags.join(', ') || '–'} | \`${environmentName(path)}\` | ${cell(kind)} | ${cell(showDefault(value))} | ${cell(description)} |`
    })
    parts.push(
      `| key | flag | environment | what it takes | default | meaning |\n| --- | --- | --- | --- | --- | --- |\n${rows.join('\n')}`,
    )
  }
  parts.push('## Built-in plugins')
  for (const [name, schema] of plugins)
    parts.push(`### walrust:${name}\n\n${schema.description ?? ''}\n${optionsOf(schema)}`)
  return await pretty(`${parts.join('\n\n')}\n`, 'markdown')
}

async function pluginSchemas() {
  const names = (await readdir(join(root, 'schemas/plugins'))).filter((name) => name.endsWith('.json')).sort()
  return await Promise.all(
    names.map(async (name) => [name.replace(/\.json$/, ''), inline(await read(`schemas/plugins/${name}`))]),
  )
}

async function pluginTypes(plugins, presets) {
  const options = { bannerComment: '', format: false, ignoreMinAndMaxItems: true, additionalProperties: false }
  const pascal = (name) => name.replace(/(^|-)(\w)/g, (_, _dash, letter) => letter.toUpperCase())
  const compiled = await Promise.all(
    plugins.map(async ([name, schema]) => {
      const title = `${pascal(name)}Options`
      return await compile({ ...forTypes(schema), title }, title, options)
    }),
  )
  const storages = plugins.filter(([name]) => name.startsWith('storage-')).map(([name]) => `${pascal(name)}Options`)
  const others = plugins.filter(([name]) => !name.startsWith('storage-'))
  const table = others.map(([name]) => `'walrust:${name}': ${pascal(name)}Options`)
  const shared = ['Duration', 'SecretReference', 'Size'].filter((name) =>
    new RegExp(`\\b${name}\\b`).test(compiled.join('')),
  )
  const imports = shared.length > 0 ? `import type { ${shared.join(', ')} } from '../../core/config/entries.js'\n` : ''
  return await pretty(
    `// ${MADE}\n/* eslint-disable @typescript-eslint/no-empty-object-type */\n${imports}
${compiled.join('\n')}
declare module '../../core/config/entries.js' {
  /** What an editor offers as options of the built-in plugins. */
  interface PluginOptions { ${table.join('\n')} }

  interface PresetNames { ${presets.map((name) => `'walrust:${name}': true`).join('\n')} }

  /** What an editor offers as settings of a storage. */
  interface StorageOptions extends ${storages.join(', ')} {}
}
`,
    'typescript',
  )
}

/** What commands print with --json, and events: types that the commands themselves are held against. */
async function outputTypes() {
  const names = (await readdir(join(root, 'schemas/output'))).filter((name) => name.endsWith('.json')).sort()
  const schemas = await Promise.all(
    [...names.map((name) => `output/${name}`), 'event.json'].map((name) => read(`schemas/${name}`)),
  )
  const options = { bannerComment: '', format: false, additionalProperties: false }
  const compiled = await Promise.all(schemas.map((schema) => compile(schema, schema.title, options)))
  const members = names.map((name, index) => `${name.replace(/\.json$/, '')}: ${schemas[index].title}`)
  return await pretty(
    `// ${MADE}
${compiled.join('\n')}
/** What each command prints with \`--json\`, and every command when it fails. */
export interface Outputs { ${members.join('\n')} }
`,
    'typescript',
  )
}

const plugins = await pluginSchemas()
const outputs = {
  'schemas/generated/config.json': await pretty(JSON.stringify({ ...config, $id: undefined, $comment: MADE }), 'json'),
  'core/config/generated/types.ts': await types(),
  'core/config/generated/keys.ts': await keyTable(),
  'core/config/generated/validate.ts': await validator(),
  'cli/generated/outputs.ts': await outputTypes(),
  'plugins/generated/options.ts': await pluginTypes(
    plugins,
    (await readdir(join(root, 'presets'))).map((name) => name.replace(/\.ts$/, '')).sort(),
  ),
  'plugins/generated/walrust.ts': `// ${MADE}
/** The public surface, with what editors should know of the built-in plugins. Only its types are used. */
export type { Outputs } from '../../cli/generated/outputs.js'
export * from '../../core/index.js'
import './options.js'
`,
  'docs/options.md': await options(plugins),
}

const stale = []
for (const [path, text] of Object.entries(outputs)) {
  const file = join(root, path)
  const old = await readFile(file, 'utf8').catch(() => '')
  if (old === text) continue
  stale.push(relative(root, file))
  if (!process.argv.includes('--check')) await writeFile(file, text)
}
if (stale.length > 0 && process.argv.includes('--check')) {
  console.error(`Not made from the present schemas: ${stale.join(', ')}. Run: npm run generate`)
  process.exit(1)
}
