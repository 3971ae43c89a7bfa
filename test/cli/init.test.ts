import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { ExplainOutput } from '../../cli/generated/outputs.js'
import { contents, createDatabase, sql, useFolder } from '../helpers/databases.js'

const MAIN = fileURLToPath(new URL('../../cli/main.js', import.meta.url))

describe('init and explain', function () {
  this.timeout(120_000)
  const folder = useFolder()
  const walrust = (...args: string[]) => {
    const { PATH } = process.env
    const env = { PATH, HOOK_SECRET: 'not-to-be-seen' }
    const done = spawnSync(process.execPath, [MAIN, ...args], { cwd: folder.path, encoding: 'utf8', env })
    return { code: done.status, out: done.stdout, err: done.stderr }
  }
  const explained = (...args: string[]) => {
    const { code, out, err } = walrust('explain', '--json', ...args)
    assert.equal(code, 0, err)
    return JSON.parse(out) as {
      settings: Array<{ key: string; value: unknown; origin: string }>
      storages: Array<{ url: string; options: object; origin: string }>
      plugins: Array<{ name: string; origin: string; hooks: string[]; options: unknown }>
      databases: Array<{ name: string; storages: string[]; schedule: string[]; history: string[] }>
      estimate: ExplainOutput['estimate']
      warnings: string[]
    }
  }

  it('a new user comes from nothing to a restored database', () => {
    createDatabase(folder.file('app.db'))
    sql(folder.file('app.db'), 'INSERT INTO rows(body) VALUES (1)')
    assert.equal(walrust('init', '--preset', 'local').code, 0)
    const watched = walrust('watch', 'app.db', '--once', '--no-metrics')
    assert.equal(watched.code, 0, watched.err)
    const restored = walrust('restore', 'app', '-o', 'back.db')
    assert.equal(restored.code, 0, restored.err)
    assert.deepEqual(contents(folder.file('back.db')), contents(folder.file('app.db')))
    assert.deepEqual(explained().warnings, [])
  })

  it('never overwrites', () => {
    writeFileSync(folder.file('walrust.config.ts'), '// mine')
    assert.equal(walrust('init').code, 2)
    assert.equal(readFileSync(folder.file('walrust.config.ts'), 'utf8'), '// mine')
  })

  it('carries a litestream.yml of 0.3 over, to the same place, and says what it could not', () => {
    writeFileSync(
      folder.file('litestream.yml'),
      [
        'access-key-id: AKIAXX',
        'secret-access-key: do-not-repeat-me',
        'dbs:',
        '  - path: /data/app.db',
        '    replicas:',
        '      - url: s3://bucket/backups/shop',
        '        region: eu-1',
        '        sync-interval: 5s',
        '        retention: 24h',
      ].join('\n'),
    )
    const { code, out, err } = walrust('init', '--from', 'litestream.yml', '--json')
    assert.equal(code, 0, err)
    assert.match(out, /retention/)
    assert.ok(!(out + readFileSync(folder.file('walrust.config.ts'), 'utf8')).includes('do-not-repeat-me'))
    const [database] = explained().databases
    assert.deepEqual([database.name, database.storages], ['shop', ['s3://bucket/backups']])
    assert.match(database.schedule.join(), /every 5s/)
  })

  it('carries a litestream.yml of 0.5 over', () => {
    writeFileSync(
      folder.file('litestream.yml'),
      [
        'snapshot: { interval: 2h, retention: 48h }',
        'dbs:',
        '  - path: /data/app.db',
        '    checkpoint-interval: 30s',
        '    replica: { type: s3, bucket: b, path: x/app, endpoint: "https://s3.example", force-path-style: true }',
      ].join('\n'),
    )
    assert.equal(walrust('init', '--from', 'litestream.yml').code, 0)
    const [{ name, storages, schedule }] = explained().databases
    assert.deepEqual([name, storages], ['app', ['s3://b/x']])
    assert.match(schedule.join(), /after 30s.*every 2h/)
  })

  it('carries a walrust.toml over', () => {
    writeFileSync(
      folder.file('walrust.toml'),
      '[s3]\nbucket = "b/p"\n[sync]\nsnapshot_interval = 1800\nstrange = 1\n[[databases]]\npath = "/data/app.db"\nmax_changes = 5\n',
    )
    const { out } = walrust('init', '--from', 'walrust.toml', '--json')
    assert.deepEqual((JSON.parse(out) as { notCarriedOver: string[] }).notCarriedOver, ['sync.strange: 1'])
    const [{ storages, schedule }] = explained().databases
    assert.deepEqual(storages, ['s3://b/p'])
    assert.match(schedule.join(), /every 30m.*after 5 transactions/)
  })

  it('explain tells where each value came from, and masks secrets', () => {
    writeFileSync(
      folder.file('walrust.config.yaml'),
      [
        'presets: ["walrust:local"]',
        'databases: [app.db]',
        'snapshot: { interval: 2h }',
        'plugins: [["walrust:webhook", { url: "https://x.example", secret: { env: HOOK_SECRET } }]]',
      ].join('\n'),
    )
    const { settings, plugins } = explained('--sync-interval', '5s')
    const origin = (path: string) => settings.find(({ key }) => key === path)?.origin
    assert.deepEqual(['sync.interval', 'snapshot.interval', 'compaction.afterSnapshot', 'lease.ttl'].map(origin), [
      '--sync-interval',
      'walrust.config.yaml',
      'preset walrust:local',
      'default',
    ])
    const hook = plugins.find(({ name }) => name === 'walrust:webhook')
    assert.deepEqual(hook?.hooks, ['notify'])
    assert.ok(!walrust('explain').out.includes('not-to-be-seen'))
    assert.equal((hook.options as { secret: string }).secret, '********')
  })

  it('explain estimates a month by real sizes and stated prices, tells what it assumes, and takes other figures', () => {
    createDatabase(folder.file('app.db'), { bytes: 1_000_000 })
    writeFileSync(
      folder.file('walrust.config.json'),
      JSON.stringify({ presets: ['walrust:gcs'], databases: ['app.db'] }),
    )
    const estimate = (...args: string[]) => explained('-b', 'gs://bucket/db', ...args).estimate
    const { databases, storages, assumptions } = estimate()
    assert.equal(databases[0].bytes, statSync(folder.file('app.db')).size)
    assert.ok(Number(databases[0].snapshots) > 20)
    const [{ monthly, prices, restore }] = storages
    assert.match(prices?.name ?? '', /Google/)
    assert.ok(
      monthly &&
        monthly.total > 0 &&
        Math.abs(monthly.total - monthly.stored - monthly.requests - monthly.egress) < 0.001,
    )
    assert.ok(Number(restore.cost) > 0)
    assert.deepEqual(
      assumptions.map(({ name, origin }) => [name, origin]),
      ['busyHours', 'runningHours', 'turnover', 'compressed'].map((name) => [name, 'assumed']),
    )
    const other = estimate('--assume', 'busyHours=0', 'runningHours=0', 'price.stored=1')
    const [{ monthly: cheaper }] = other.storages
    assert.ok(cheaper && cheaper.requests === 0 && cheaper.stored > 0)
    // A month of one every ten seconds, for the storage, not for each database; a longer lease takes fewer.
    createDatabase(folder.file('second.db'), { bytes: 100_000 })
    for (const [args, ttl, databases, heartbeats] of [
      [[], '20s', 1, 262_980],
      [['app.db', 'second.db'], '20s', 2, 262_980],
      [[], '1m', 1, 87_660],
      [['--assume', 'runningHours=12'], '20s', 1, 131_490],
    ] as const) {
      writeFileSync(
        folder.file('walrust.config.json'),
        JSON.stringify({ presets: ['walrust:gcs'], databases: ['app.db'], lease: { ttl } }),
      )
      const [{ databases: there, requests }] = estimate(...args, '--assume', 'busyHours=0').storages
      assert.deepEqual([there, requests], [databases, { writes: heartbeats, heartbeats, reads: 0 }])
    }
    assert.deepEqual(other.assumptions.at(-1), {
      ...{ name: 'price.stored', value: 1, origin: '--assume' },
      meaning: 'price of a GB kept a month',
    })
    const text = walrust('explain', '-b', 'gs://bucket/db').out
    assert.match(
      text,
      /gs:\/\/bucket\/db: \d+\.\d\d USD a month[^]*\(262,980 of them heartbeats\)[^]*one restore reads[^]*assumed: busyHours = 8[^]*assumed: runningHours = 24/,
    )
    assert.equal(walrust('explain', '--assume', 'nonsense=1').code, 2)
  })

  it('explain of a storage whose prices nobody states says so', () => {
    createDatabase(folder.file('app.db'), { bytes: 100_000 })
    const [{ monthly, prices, stored }] = explained('app.db').estimate.storages
    assert.deepEqual([monthly, prices], [null, null])
    assert.ok(stored.changes > 0)
  })

  it('explain warns of a backup that grows for ever', () => {
    assert.match(explained('app.db').warnings.join('\n'), /app\.db: the backup grows for ever/)
  })

  it('flags of the Rust tool are understood and not shown', () => {
    const { settings } = explained('app.db', '--wal-sync-interval', '2', '--base-delay-ms', '250', '--hourly', '3')
    const value = (path: string) => settings.find(({ key }) => key === path)?.value
    assert.deepEqual(['sync.interval', 'resilience.baseDelay', 'retention.hourly'].map(value), ['2', '250ms', 3])
    assert.ok(!walrust('watch', '--help').out.includes('--wal-sync-interval'))
  })
})
