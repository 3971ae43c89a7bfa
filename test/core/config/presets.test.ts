import assert from 'node:assert/strict'
import { BUILT_IN } from '../../../cli/built-in.js'
import { DEFAULT_SETTINGS } from '../../../core/settings.js'
import { load } from '../../helpers/config.js'

const DAY = 86_400_000

/** What each preset resolves to, where that is not the default. */
const EXPECTED: Readonly<
  Record<string, { settings?: object; storages: unknown; plugins?: string[]; metrics?: unknown }>
> = {
  local: {
    settings: { compaction: { ...DEFAULT_SETTINGS.compaction, afterSnapshot: true } },
    storages: [{ url: 'file:walrust-backups', options: {} }],
  },
  s3: {
    settings: { compaction: { ...DEFAULT_SETTINGS.compaction, afterSnapshot: true } },
    storages: [{ url: 's3://bucket/db', options: {} }],
  },
  tigris: {
    settings: { compaction: { ...DEFAULT_SETTINGS.compaction, afterSnapshot: true } },
    storages: [{ url: 's3://bucket/db', options: { endpoint: 'https://t3.storage.dev', region: 'auto' } }],
  },
  gcs: {
    settings: { compaction: { ...DEFAULT_SETTINGS.compaction, afterSnapshot: true } },
    storages: [{ url: 'gs://bucket/db', options: {} }],
  },
  durable: {
    settings: {
      spool: { dir: undefined, maxSize: 20 * 2 ** 30, cacheRetention: 7 * DAY, cacheMaxSize: 5 * 2 ** 30 },
      validation: { interval: DAY, depth: 'quick' },
    },
    storages: [{ url: 'file:walrust-backups', options: {} }],
  },
  observed: { storages: [{ url: 'file:walrust-backups', options: {} }], plugins: ['walrust:log-events'] },
}

const STORAGE: Readonly<Record<string, string>> = {
  s3: 's3://bucket/db',
  tigris: 's3://bucket/db',
  gcs: 'gs://bucket/db',
}

describe('built-in presets', () => {
  it('each is in this test', () => {
    const names = Object.keys(BUILT_IN.presets).map((name) => name.replace('walrust:', ''))
    assert.deepEqual(names.sort(), Object.keys(EXPECTED).sort())
  })

  for (const [name, { settings, storages, plugins = [] }] of Object.entries(EXPECTED)) {
    it(`${name} resolves to what it says`, async () => {
      const builtIn = { ...BUILT_IN, standard: () => [] }
      const config = { presets: [`walrust:${name}`], databases: ['a.db'], storage: STORAGE[name] }
      const { resolved } = await load(config, { builtIn, cwd: process.cwd() })
      const [database] = resolved.databases
      assert.deepEqual(database.settings, { ...DEFAULT_SETTINGS, ...settings })
      assert.deepEqual(database.storages, storages)
      assert.deepEqual(
        resolved.plugins.map((plugin) => plugin.name),
        plugins,
      )
      assert.deepEqual(resolved.metrics, { port: 16_767, host: '127.0.0.1' })
    })
  }

  it('mix: one over the other', async () => {
    const builtIn = { ...BUILT_IN, standard: () => [] }
    const { resolved } = await load(
      { presets: ['walrust:local', 'walrust:durable'], databases: ['a.db'] },
      { builtIn, cwd: process.cwd() },
    )
    const { compaction, spool } = resolved.databases[0].settings
    assert.deepEqual([compaction.afterSnapshot, spool.maxSize], [true, 20 * 2 ** 30])
  })
})
