import assert from 'node:assert/strict'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createDatabase, sql, useFolder } from '../helpers/databases.js'
import { walrust, WalrustProcess } from '../helpers/processes.js'
import { assertMatches } from '../helpers/schemas.js'

/** What commands print with `--json`, held against the schemas they are documented by. */
describe('--json', function () {
  this.timeout(120_000)
  const folder = useFolder()
  const database = () => folder.file('app.db')
  const url = () => `file://${folder.file('backups')}`
  const seen = new Set<string>()

  /** One command with `--json`, whose output is one document as the schema says. */
  async function json(schema: string, args: readonly string[], code = 0): Promise<Record<string, unknown>> {
    const run = await walrust(['--json', ...args], { cwd: folder.path })
    assert.equal(run.code, code, `${run.text}\n${run.stdout}`)
    const value = JSON.parse(run.stdout) as Record<string, unknown>
    assertMatches(`output/${schema}.json`, value)
    seen.add(schema)
    return value
  }

  async function ship(): Promise<void> {
    createDatabase(database(), { bytes: 50_000 })
    for (let i = 0; i < 2; i++) {
      sql(database(), 'INSERT INTO rows(body) VALUES (randomblob(2000))')
      const { code, text } = await walrust(['watch', database(), '-b', url(), '--once', '--no-metrics'])
      assert.equal(code, 0, text)
    }
  }

  it('init, explain and pragma', async () => {
    createDatabase(database())
    writeFileSync(folder.file('walrust.toml'), '[s3]\nbucket = "b/p"\nstrange = 1\n')
    await json('init', ['init', '--from', 'walrust.toml'])
    rmSync(folder.file('walrust.config.ts'))
    await json('init', ['init'])
    await json('explain', ['explain'])
    writeFileSync(
      folder.file('walrust.config.yaml'),
      'plugins: [["walrust:webhook", { url: "http://127.0.0.1:9" }], "walrust:log-events"]\nmetrics: false\n',
    )
    rmSync(folder.file('walrust.config.ts'))
    await json('explain', ['explain', 'app.db', '-b', url()])
    await json('pragma', ['pragma'])
  })

  it('list, verify, restore and compact', async () => {
    await ship()
    await json('list', ['list', '-b', url()])
    await json('list', ['list', 'app', '-b', url()])
    await json('verify', ['verify', 'app', '-b', url(), '--quick'])
    await json('verify', ['verify', 'app', '-b', url(), '--restore', '--against', database()])
    await json('restore', ['restore', 'app', '-o', 'back.db', '-b', url(), '--dry-run'])
    await json('restore', ['restore', 'app', '-o', 'back.db', '-b', url()])
    await json('restore', ['restore', 'app', '-o', 'back.db', '-b', url(), '--if-db-not-exists'])
    await json('restore', ['restore', 'no', '-o', 'no.db', '-b', url(), '--if-replica-exists'])
    await json('compact', ['compact', 'app', '-b', url()])
    await json('compact', ['compact', 'app', '-b', url(), '--force', '--retain-hourly', '1'])
  })

  it('restore --all, with one that cannot be had; replicate', async () => {
    await ship()
    const databases = [{ path: 'new.db', name: 'app' }, { path: 'other.db' }]
    writeFileSync(folder.file('walrust.config.json'), JSON.stringify({ databases, storage: url() }))
    const all = await json('restore', ['restore', '--all'], 6)
    assert.deepEqual(
      (all.databases as Array<{ action: string }>).map(({ action }) => action),
      ['restored', 'failed'],
    )
    await json('replicate', ['replicate', 'app', '--local', 'replica.db', '--once', '-b', url()])
  })

  it('verify of a damaged backup', async () => {
    await ship()
    const level = folder.file('backups/app/ltx/0')
    const [name] = readdirSync(level)
    const bytes = readFileSync(`${level}/${name}`)
    bytes[bytes.length >> 1] ^= 1
    writeFileSync(`${level}/${name}`, bytes)
    const { findings } = await json('verify', ['verify', 'app', '-b', url()], 5)
    assert.notDeepEqual(findings, [])
  })

  it('sync, snapshot and compact of a running watch', async () => {
    createDatabase(database(), { bytes: 50_000 })
    const watching = new WalrustProcess(['watch', database(), '-b', url(), '--no-metrics'])
    try {
      await watching.line('shipped')
      await json('sync', ['sync', 'app'])
      await json('snapshot', ['snapshot', 'app.db'])
      await json('compact', ['compact', 'app', '-b', url(), '--force'])
    } finally {
      assert.equal(await watching.kill('SIGTERM'), 0)
    }
    await json('snapshot', ['snapshot', 'app.db', '-b', url()])
  })

  it('errors: of what was asked for, of the configuration, of the command line', async () => {
    await json('error', ['list', 'nothing', '-b', url()], 6)
    await json('error', ['list', '--no-such-flag'], 2)
    writeFileSync(folder.file('walrust.config.json'), '{ "sink": {}, "sync": { "interval": true } }')
    const { error } = await json('error', ['explain'], 2)
    assert.equal((error as { findings: unknown[] }).findings.length, 2)
  })

  it('every schema was held against something', () => {
    const schemas = readdirSync(new URL('../../../schemas/output', import.meta.url))
    assert.deepEqual([...seen].sort(), schemas.map((name) => name.replace('.json', '')).sort())
  })
})
