/** Configurations: files, variables, URLs, and those of other tools. */
import assert from 'node:assert/strict'
import { fromLitestream, fromToml } from '../../cli/carry-over.js'
import { environmentLayer } from '../../core/config/environment.js'
import { expandVariables } from '../../core/config/expand.js'
import { ConfigError, type Finding } from '../../core/config/finding.js'
import { KEYS } from '../../core/config/generated/keys.js'
import { environmentName } from '../../core/config/keys.js'
import { loadConfig } from '../../core/config/load.js'
import { WalrustError } from '../../core/errors.js'
import { parseStorageUrl, splitDatabaseUrl } from '../../core/storage-url.js'
import { placeOf as gcsPlace } from '../../plugins/storage-gcs/place.js'
import { placeOf as s3Place } from '../../plugins/storage-s3/place.js'
import { bareBuiltIn } from '../helpers/config.js'
import type { Random } from '../helpers/ltx-random.js'
import { damage } from './damage.js'
import type { Target } from './target.js'

const TEXTS = [
  '1s',
  '500ms',
  '30d',
  '7 d',
  '-1s',
  '1e9s',
  `${'9'.repeat(400)}d`,
  '5GiB',
  '64MiB',
  '99999999TiB',
  'off',
  'true',
  'null',
  '',
  ' ',
  '1h, 24h',
  '[',
  '{"a":1}',
  'file:/x',
  's3://bucket/prefix',
  's3://user:pass@bucket',
  '${HOME}',
  '${',
  '$${X}',
  '${X:-y}',
  '__proto__',
  'constructor',
  '../..',
  'a\u0000b',
  '%zz',
  'walrust:nothing',
]
const NUMBERS = [0, 1, -1, 0.5, 2 ** 31, 2 ** 53, Number.MAX_VALUE, 65_536]
const KEY_PARTS = [...new Set(KEYS.flatMap(({ path }) => path.split('.')))]
const ODD_KEYS = [
  '__proto__',
  'constructor',
  'toString',
  'intervall',
  'snapshotInterval',
  'path',
  'name',
  'url',
  'env',
  '',
]

function someValue(random: Random, depth = 0): unknown {
  switch (random.below(depth > 3 ? 4 : 7)) {
    case 0:
      return random.pick(TEXTS)
    case 1:
      return random.pick(NUMBERS)
    case 2:
      return random.pick([true, false, null])
    case 3:
      return random.pick(TEXTS) + random.pick(TEXTS)
    case 4:
      return Array.from({ length: random.below(4) }, () => someValue(random, depth + 1))
    default:
      return someObject(random, depth + 1)
  }
}

/** An object whose keys may be any, as those of parsed JSON may. */
function someObject(random: Random, depth = 0): Record<string, unknown> {
  const entries = Array.from({ length: random.below(5) }, () => [
    random.chance(0.8) ? random.pick(KEY_PARTS) : random.pick(ODD_KEYS),
    someValue(random, depth),
  ])
  return Object.fromEntries(entries) as Record<string, unknown>
}

/** Something that could be a configuration: known keys, and mostly values of the right kind. */
function someConfig(random: Random): Record<string, unknown> {
  const config = random.chance(0.3) ? someObject(random) : {}
  for (let n = random.below(8); n > 0; n--) {
    const { path, type, default: usual } = random.pick(KEYS)
    const [section, name] = path.split('.')
    const kind: string = type
    let value = random.chance(0.4) ? usual : someValue(random, 2)
    if (random.chance(0.4)) {
      if (kind.startsWith('duration')) value = random.pick(['1s', '5m', '30d', 'off', 3, 0])
      else if (kind === 'size') value = random.pick(['5GiB', 100, '1KB'])
      else if (kind.includes('ount')) value = random.pick([0, 1, 7, 'off', 1e9])
    }
    if (value === undefined) continue
    if (path === section) config[section] = value
    else {
      const before = config[section]
      const object = typeof before === 'object' && before !== null && !Array.isArray(before) ? before : {}
      config[section] = { ...object, [name]: value }
    }
  }
  // They are made by code that is loaded in another process, which is not what is looked at here.
  delete config.plugins
  delete config.presets
  if (random.chance(0.5))
    config.databases = random.chance(0.5) ? ['a.db'] : [{ path: 'a.db', ...someObject(random, 2) }]
  return config
}

function assertUsual(): void {
  assert.deepEqual(Object.keys(Object.prototype), [], 'the prototype of everything was changed')
}

function assertFindings(findings: readonly Finding[]): void {
  for (const { source, path, message } of findings)
    assert.ok([source, path, message].every((text) => typeof text === 'string') && message !== '')
}

/** Numbers in what comes out are numbers. */
function assertNumbers(value: unknown, path: string): void {
  if (typeof value === 'number') assert.ok(!Number.isNaN(value) && value >= 0, `${path} is ${value}`)
  else if (typeof value === 'object' && value !== null)
    for (const [key, item] of Object.entries(value)) assertNumbers(item, `${path}.${key}`)
}

/** Whatever stands in a configuration: it is resolved, or every mistake in it is told. */
async function configs(random: Random): Promise<void> {
  const config = JSON.parse(JSON.stringify(someConfig(random))) as never
  try {
    const { resolved } = await loadConfig({ builtIn: bareBuiltIn(), cwd: '/nowhere', env: {}, config })
    for (const { settings } of resolved.databases) assertNumbers(settings, 'settings')
    assertNumbers({ ...resolved, plugins: [], databases: [] }, 'resolved')
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    assertFindings(error.findings)
    assert.ok(error.findings.length > 0)
  }
  assertUsual()
}

/** Variables of any name and content. */
async function variables(random: Random): Promise<void> {
  const name = () =>
    random.chance(0.7)
      ? environmentName(random.pick(KEYS).path)
      : `WALRUST_${random.pick(['STORAGE___PROTO__', 'STORAGE_SECRET_ACCESS_KEY', 'STORAGE_CONSTRUCTOR', 'X', '__PROTO__', 'STORAGE_'])}`
  const env = Object.fromEntries(
    Array.from({ length: random.below(6) }, () => [name(), random.pick(TEXTS) + random.pick(['', ...TEXTS])]),
  )
  const findings: Finding[] = []
  try {
    const { config } = await environmentLayer(env, '/nowhere', findings)
    expandVariables(config, 'a file', env, findings)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
  }
  assertFindings(findings)
  assertUsual()
}

const URLS = [
  's3://bucket/prefix/app?endpoint=http%3A%2F%2F127.0.0.1%3A9000&region=auto&forcePathStyle=true',
  's3://user:pass@bucket/prefix',
  'gs://bucket/a/b/c',
  'file:///a/b/c.db',
  'file:./x',
]

/** URLs of storages: taken apart or refused, and no secret of theirs is in the refusal. */
function urls(random: Random): void {
  const url = Buffer.from(damage(random, Buffer.from(random.pick(URLS)))).toString('latin1')
  for (const work of [
    () => parseStorageUrl(url),
    () => splitDatabaseUrl(url),
    () => s3Place({ scheme: 's3', url, options: {} }, {}),
    () => gcsPlace({ scheme: 'gs', url, options: {} }, {}),
  ]) {
    try {
      work()
    } catch (error) {
      if (!(error instanceof WalrustError)) throw error
    }
  }
}

const LITESTREAM = {
  dbs: [
    {
      path: '/var/app.db',
      'sync-interval': '1s',
      replica: { type: 's3', bucket: 'b', path: 'p/app', endpoint: 'http://x', 'secret-access-key': 'a-secret-key' },
    },
  ],
  snapshot: { interval: '1h' },
  logging: { level: 'info' },
}

/** Configurations of other tools, or what somebody takes for one. */
function carried(random: Random): void {
  const text = Buffer.from(damage(random, Buffer.from(JSON.stringify(LITESTREAM)))).toString('latin1')
  let source: unknown = someValue(random)
  if (random.chance(0.5)) {
    try {
      source = JSON.parse(text)
    } catch {
      // As it is.
    }
  }
  for (const carry of [fromLitestream, fromToml]) {
    const { config, lost } = carry(source)
    assert.ok(typeof config === 'object' && lost.every((line) => typeof line === 'string'))
    assert.ok(!JSON.stringify(lost).includes('a-secret-key') || !text.includes('secret-access-key'), lost.join('\n'))
  }
  assertUsual()
}

export const targets: readonly Target[] = [
  { name: 'config', share: 2, run: configs },
  { name: 'variables', share: 3, run: variables },
  { name: 'urls', share: 5, run: urls },
  { name: 'carry-over', share: 3, run: carried },
]
