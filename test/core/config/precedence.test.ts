import assert from 'node:assert/strict'
import { DEFAULT_SETTINGS } from '../../../core/settings.js'
import { load } from '../../helpers/config.js'

/** One test for each rule of precedence and merging. */

const one = { databases: ['a.db'] }

describe('precedence of configuration', () => {
  const settingsOf = async (...args: Parameters<typeof load>) => (await load(...args)).resolved.databases[0].settings
  const syncOf = async (...args: Parameters<typeof load>) => (await settingsOf(...args)).sync.interval

  it('what nobody says is at its default', async () => {
    assert.deepEqual(await settingsOf(one), { ...DEFAULT_SETTINGS, adopt: false, giveUp: false })
  })

  it('a preset wins over the default', async () => {
    const presets = { five: { sync: { interval: '5s' } } }
    assert.equal(await syncOf({ ...one, presets: ['walrust:five'] }, { presets }), 5000)
  })

  it('a preset to the right wins over one to its left', async () => {
    const presets = { five: { sync: { interval: '5s' } }, six: { sync: { interval: '6s' } } }
    assert.equal(await syncOf({ ...one, presets: ['walrust:five', 'walrust:six'] }, { presets }), 6000)
    assert.equal(await syncOf({ ...one, presets: ['walrust:six', 'walrust:five'] }, { presets }), 5000)
  })

  it('a preset wins over the presets that it lists itself', async () => {
    const presets = {
      inner: { sync: { interval: '5s' } },
      outer: { presets: ['walrust:inner'], sync: { interval: '6s' } },
    }
    assert.equal(await syncOf({ ...one, presets: ['walrust:outer'] }, { presets }), 6000)
  })

  it('the file wins over presets', async () => {
    const presets = { five: { sync: { interval: '5s' } } }
    const config = { ...one, presets: ['walrust:five'], sync: { interval: '7s' as const } }
    assert.equal(await syncOf(config, { presets }), 7000)
  })

  it('the environment wins over the file', async () => {
    const env = { WALRUST_SYNC_INTERVAL: '8s' }
    assert.equal(await syncOf({ ...one, sync: { interval: '7s' } }, { env }), 8000)
  })

  it('a typed flag wins over the environment', async () => {
    const env = { WALRUST_SYNC_INTERVAL: '8s' }
    assert.equal(await syncOf(one, { env, typed: { 'sync.interval': '9s' } }), 9000)
  })

  it('an empty variable says nothing', async () => {
    assert.equal(await syncOf({ ...one, sync: { interval: '7s' } }, { env: { WALRUST_SYNC_INTERVAL: '' } }), 7000)
  })

  it('presets named in the environment take the place of those in the file', async () => {
    const presets = { five: { sync: { interval: '5s' } }, six: { sync: { interval: '6s' } } }
    const env = { WALRUST_PRESETS: '["walrust:six"]' }
    assert.equal(await syncOf({ ...one, presets: ['walrust:five'] }, { presets, env }), 6000)
  })

  it('a preset that is a function gets its options', async () => {
    const presets = { every: ({ seconds }: { seconds: number }) => ({ sync: { interval: seconds } }) }
    assert.equal(await syncOf({ ...one, presets: [['walrust:every', { seconds: 11 }]] }, { presets }), 11_000)
  })

  it('sections are merged key by key', async () => {
    const presets = { some: { snapshot: { interval: '2h', onIdle: '5m' } } }
    const { snapshot } = await settingsOf(
      { ...one, presets: ['walrust:some'], snapshot: { onIdle: '1m' } },
      { presets },
    )
    assert.deepEqual([snapshot.interval, snapshot.onIdle], [7_200_000, 60_000])
  })

  it('lists are replaced, not merged', async () => {
    const presets = { some: { compaction: { levels: ['1m', '10m', '1h'] }, databases: ['x.db', 'y.db'] } }
    const { resolved } = await load(
      { presets: ['walrust:some'], databases: ['a.db'], compaction: { levels: ['2m'] } },
      { presets },
    )
    assert.deepEqual(
      resolved.databases.map(({ path }) => path),
      ['a.db'],
    )
    assert.deepEqual(resolved.databases[0].settings.compaction.levels, [120_000])
  })

  it('null takes a key back to its default', async () => {
    const presets = { five: { sync: { interval: '5s' } } }
    assert.equal(await syncOf({ ...one, presets: ['walrust:five'], sync: { interval: null } }, { presets }), 1000)
  })

  it('null takes a whole section back to its defaults', async () => {
    const presets = { some: { retention: { hourly: 1, daily: 1 } } }
    const settings = await settingsOf({ ...one, presets: ['walrust:some'], retention: null }, { presets })
    assert.deepEqual(settings.retention, DEFAULT_SETTINGS.retention)
  })

  it('null in the environment takes a key back to its default', async () => {
    assert.equal(await syncOf({ ...one, sync: { interval: '7s' } }, { env: { WALRUST_SYNC_INTERVAL: 'null' } }), 1000)
  })

  it('undefined says nothing', async () => {
    const presets = { five: { sync: { interval: '5s' } } }
    assert.equal(await syncOf({ ...one, presets: ['walrust:five'], sync: { interval: undefined } }, { presets }), 5000)
  })

  it('a section that is off is on again when a later layer says something about it', async () => {
    const presets = { never: { retention: false }, none: { metrics: false } }
    const given = { ...one, presets: ['walrust:never', 'walrust:none'] }
    const off = (await load(given, { presets })).resolved
    assert.deepEqual([off.databases[0].settings.retention, off.metrics], [false, false])
    const on = (await load({ ...given, retention: { hourly: 5 }, metrics: {} }, { presets })).resolved
    assert.deepEqual(on.databases[0].settings.retention, { hourly: 5, daily: 7, weekly: 12, monthly: 12 })
    assert.deepEqual(on.metrics, { port: 16_767, host: '127.0.0.1' })
  })

  it('a section can be switched off by a variable and by a flag', async () => {
    const file = { ...one, resilience: { circuitBreaker: { threshold: 3 } }, metrics: { port: 1 } }
    const { resolved } = await load(file, {
      env: { WALRUST_RESILIENCE_CIRCUIT_BREAKER: 'false' },
      typed: { metrics: false },
    })
    assert.equal(resolved.databases[0].settings.resilience.circuitBreaker, false)
    assert.equal(resolved.metrics, false)
  })

  it('durations, sizes and counts turned off are 0', async () => {
    const settings = await settingsOf({
      ...one,
      snapshot: { interval: 'off', maxChanges: false },
      checkpoint: { interval: 0 },
    })
    assert.deepEqual(
      [settings.snapshot.interval, settings.snapshot.maxChanges, settings.checkpoint.interval],
      [0, 0, 0],
    )
  })

  it('the origin of every value is kept', async () => {
    const presets = { five: { sync: { interval: '5s' }, spool: { maxSize: '1GiB' }, lease: { ttl: '5s' } } }
    const { values } = await load(
      { ...one, presets: ['walrust:five'], spool: { maxSize: '2GiB' } },
      { presets, env: { WALRUST_LEASE_TTL: '30s' }, typed: { 'upload.concurrency': 2 } },
    )
    const origins = Object.fromEntries([...values].map(([path, { origin }]) => [path, origin]))
    assert.deepEqual(origins, {
      'sync.interval': 'preset walrust:five',
      'spool.maxSize': 'configuration',
      'lease.ttl': 'WALRUST_LEASE_TTL',
      'upload.concurrency': '--upload.concurrency',
    })
  })
})

describe('settings of one database', () => {
  const entry = { path: 'a.db', snapshot: { interval: '30m' } } as const
  const snapshotOf = async (...args: Parameters<typeof load>) =>
    (await load(...args)).resolved.databases[0].settings.snapshot.interval

  it('win over the global ones of the same file', async () => {
    assert.equal(await snapshotOf({ databases: [entry], snapshot: { interval: '2h' } }), 1_800_000)
  })

  it('win over presets', async () => {
    const presets = { two: { snapshot: { interval: '2h' } } }
    assert.equal(await snapshotOf({ databases: [entry], presets: ['walrust:two'] }, { presets }), 1_800_000)
  })

  it('lose to a typed flag and to the environment, as the whole file does', async () => {
    assert.equal(await snapshotOf({ databases: [entry] }, { typed: { 'snapshot.interval': '3h' } }), 10_800_000)
    assert.equal(await snapshotOf({ databases: [entry] }, { env: { WALRUST_SNAPSHOT_INTERVAL: '4h' } }), 14_400_000)
  })

  it('of a preset lose to the global ones of the file', async () => {
    const presets = { data: { databases: [entry] } }
    assert.equal(await snapshotOf({ presets: ['walrust:data'], snapshot: { interval: '2h' } }, { presets }), 7_200_000)
  })

  it('can be written flat, by the name of the flag', async () => {
    assert.equal(await snapshotOf({ databases: [{ path: 'a.db', snapshotInterval: '45m' }] }), 2_700_000)
  })

  it('written in full win over flat ones', async () => {
    assert.equal(await snapshotOf({ databases: [{ ...entry, snapshotInterval: '45m' }] }), 1_800_000)
  })

  it('null takes one back to its default', async () => {
    const databases = [{ path: 'a.db', snapshot: { interval: null } }]
    assert.equal(await snapshotOf({ databases, snapshot: { interval: '2h' } }), 3_600_000)
  })

  it('stay with that database', async () => {
    const { resolved } = await load({ databases: [entry, 'b.db'] })
    assert.deepEqual(
      resolved.databases.map(({ settings }) => settings.snapshot.interval),
      [1_800_000, 3_600_000],
    )
  })

  it('retention of one can be off, and a flag turns it on for all', async () => {
    const databases = [{ path: 'a.db', retention: false as const }]
    assert.equal((await load({ databases })).resolved.databases[0].settings.retention, false)
    const { settings } = (await load({ databases }, { typed: { 'retention.daily': 3 } })).resolved.databases[0]
    assert.deepEqual(settings.retention, { hourly: 24, daily: 3, weekly: 12, monthly: 12 })
  })
})

describe('databases that are typed', () => {
  it('take the place of those in the file', async () => {
    const { resolved } = await load({ databases: ['a.db', 'b.db'] }, { databases: ['c.db'] })
    assert.deepEqual(
      resolved.databases.map(({ path }) => path),
      ['c.db'],
    )
  })

  it('keep the name and the settings of the entry with their path', async () => {
    const config = { databases: [{ path: 'data/a.db', name: 'shop', syncInterval: '9s' as const }, 'b.db'] }
    const { resolved } = await load(config, { databases: ['./data/a.db', 'b.db'] })
    assert.deepEqual(
      resolved.databases.map(({ name, path, settings }) => [name, path, settings.sync.interval]),
      [
        ['shop', './data/a.db', 9000],
        [undefined, 'b.db', 1000],
      ],
    )
  })
})

describe('storages', () => {
  const storagesOf = async (...args: Parameters<typeof load>) => (await load(...args)).resolved.databases[0].storages

  it('are the default when nobody says anything, and that is known', async () => {
    const { storage } = await load(one)
    assert.deepEqual(storage, {
      value: [{ url: 'file:/work-folder/default', options: {} }],
      origin: 'default',
      layer: -1,
    })
  })

  it('a text is the same as an object with that url', async () => {
    assert.deepEqual(
      await storagesOf({ ...one, storage: 's3://b/p' }),
      await storagesOf({ ...one, storage: { url: 's3://b/p' } }),
    )
  })

  it('settings of a preset go with the URL of the file', async () => {
    const presets = { place: { storage: { endpoint: 'https://one.example', region: 'auto' } } }
    const config = { ...one, presets: ['walrust:place'], storage: 's3://bucket/db' }
    assert.deepEqual(await storagesOf(config, { presets }), [
      { url: 's3://bucket/db', options: { endpoint: 'https://one.example', region: 'auto' } },
    ])
  })

  it('settings go with another place at the same service, and not to another service', async () => {
    const config = { ...one, storage: { url: 's3://bucket/db', endpoint: 'https://one.example' } }
    assert.deepEqual(await storagesOf(config, { typed: { 'storage.url': 's3://other/db' } }), [
      { url: 's3://other/db', options: { endpoint: 'https://one.example' } },
    ])
    assert.deepEqual(await storagesOf(config, { typed: { 'storage.url': 'file:/x' } }), [
      { url: 'file:/x', options: {} },
    ])
  })

  it('a typed one replaces a list, and keeps the settings of the entry with its URL', async () => {
    const config = { ...one, storage: [{ url: 's3://a/b', region: 'x' }, 'file:/y'] }
    assert.deepEqual(await storagesOf(config, { typed: { 'storage.url': 's3://a/b' } }), [
      { url: 's3://a/b', options: { region: 'x' } },
    ])
    assert.equal((await storagesOf(config)).length, 2)
  })

  it('a setting can be taken away with null', async () => {
    const presets = { place: { storage: { endpoint: 'https://one.example' } } }
    const config = { ...one, presets: ['walrust:place'], storage: { url: 's3://b/p', endpoint: null } as never }
    assert.deepEqual(await storagesOf(config, { presets }), [{ url: 's3://b/p', options: {} }])
  })

  it('of one database: its own, with the settings of the service', async () => {
    const config = {
      databases: [{ path: 'a.db', storage: 's3://mine/a' }, 'b.db'],
      storage: { url: 's3://all/db', region: 'x' },
    }
    const { resolved } = await load(config)
    assert.deepEqual(
      resolved.databases.map(({ storages }) => storages[0]),
      [
        { url: 's3://mine/a', options: { region: 'x' } },
        { url: 's3://all/db', options: { region: 'x' } },
      ],
    )
  })

  it('one that is typed holds for every database', async () => {
    const config = { databases: [{ path: 'a.db', storage: 's3://mine/a' }] }
    assert.deepEqual(await storagesOf(config, { typed: { 'storage.url': 'file:/x' } }), [
      { url: 'file:/x', options: {} },
    ])
  })

  it('settings in the environment are laid over those of the file', async () => {
    const config = { ...one, storage: { url: 's3://b/p', endpoint: 'https://one.example' } }
    assert.deepEqual(await storagesOf(config, { env: { WALRUST_STORAGE_ENDPOINT: 'https://two.example' } }), [
      { url: 's3://b/p', options: { endpoint: 'https://two.example' } },
    ])
  })
})
