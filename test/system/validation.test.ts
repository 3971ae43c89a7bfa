import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createWalrust, type Walrust, type WalrustConfig, type WalrustEvent } from '../../core/index.js'
import { createDatabase, sql, useFolder } from '../helpers/databases.js'
import { runCli, WalrustProcess } from '../helpers/processes.js'
import { parsePrometheus } from '../helpers/prometheus.js'
import { isSigned, Receiver } from '../helpers/receiver.js'

describe('a backup that is proved by the clock', function () {
  this.timeout(120_000)
  let shipper: WalrustProcess | undefined
  let receiver: Receiver | undefined
  let walrust: Walrust | undefined
  afterEach(async () => {
    await shipper?.kill('SIGKILL')
    await receiver?.close()
    await walrust?.stop().catch(() => undefined)
    shipper = undefined
    receiver = undefined
    walrust = undefined
  })
  const folder = useFolder()
  const db = () => folder.file('app.db')

  function commit(): void {
    const code = `const D = require('better-sqlite3'); new D(process.argv[1]).exec("INSERT INTO rows(body) VALUES ('x')")`
    assert.equal(spawnSync(process.execPath, ['-e', code, db()]).status, 0)
  }

  /** The first file of the backup: the whole database. */
  function snapshot(): string {
    const level = folder.file('backups/app/ltx/9')
    return join(level, readdirSync(level).filter((name) => name.endsWith('.ltx'))[0])
  }

  /** Changes a byte in the middle of a file, which neither its size nor its ends show. Returns what it was. */
  function damage(path: string): Buffer {
    const bytes = readFileSync(path)
    const damaged = Buffer.from(bytes)
    damaged[bytes.length >> 1] ^= 1
    writeFileSync(path, damaged)
    return bytes
  }

  /** Processes that were started by another one and still run. */
  function childrenOf(pid: number | undefined): number {
    const listed = spawnSync('ps', ['-o', 'pid=', '--ppid', String(pid)], { encoding: 'utf8' })
    return listed.stdout.trim().split('\n').filter(Boolean).length
  }

  it('finds a byte that changed in storage, tells of it signed, ships on, and is well again when it is mended', async () => {
    receiver = await Receiver.listen()
    const config = {
      databases: [db()],
      storage: `file://${folder.file('backups')}`,
      validation: { interval: '1s' },
      metrics: { port: 0 },
      plugins: [['walrust:webhook', { url: receiver.origin, secret: 'key', events: ['validation_failed'] }]],
    }
    writeFileSync(folder.file('walrust.config.json'), JSON.stringify(config))
    createDatabase(db(), { bytes: 200_000 })
    shipper = new WalrustProcess(['watch'], { cwd: folder.path })
    const origin = String((await shipper.line('metrics')).url)
    const figure = async (name: string) =>
      parsePrometheus(await (await fetch(new URL('/metrics', origin))).text()).get(name)?.samples[0]?.value
    const health = async () =>
      (await (await fetch(new URL('/health', origin))).json()) as { status: string; databases: [{ error?: string }] }

    const sound = await shipper.line('validated')
    assert.ok(Number(sound.restored) > 200_000 && sound.notRestored === undefined && sound.txid === 1)
    assert.ok(Number(await figure('walrust_validation_success_total')) >= 1)
    assert.ok(Math.abs(Number(await figure('walrust_last_validation_timestamp')) - Date.now() / 1000) < 60)
    assert.equal(await figure('walrust_validation_failure_total'), 0)
    assert.equal((await health()).status, 'healthy')

    const before = damage(snapshot())
    const [told] = await receiver.requests(1)
    assert.ok(isSigned(told, 'key'))
    const { event, database, error, context } = told.event
    assert.deepEqual([event, database], ['validation_failed', 'app'])
    assert.match(String(error), /not sound.*restore-failed.*damaged/)
    assert.ok(Number(context?.problems) >= 1)
    assert.ok(Number(await figure('walrust_validation_failure_total')) >= 1)
    assert.equal(await figure('walrust_error_count_total'), await figure('walrust_validation_failure_total'))
    const bad = await health()
    assert.equal(bad.status, 'degraded')
    assert.match(String(bad.databases[0].error), /not sound/)
    commit()
    await shipper.line(({ message, txid }) => message === 'shipped' && txid === 2)

    writeFileSync(snapshot(), before)
    const found = shipper.lines.length
    await shipper.line((line) => line.message === 'validated' && Number(shipper?.lines.indexOf(line)) >= found)
    assert.equal((await health()).status, 'healthy')
    assert.equal(await shipper.kill('SIGTERM'), 0, shipper.tail())
    // Nothing is left of it: neither a process nor a trial restore.
    assert.equal(childrenOf(shipper.child.pid), 0)
    const state = folder.file('.app.db-walrust')
    const left = (readdirSync(state, { recursive: true }) as string[]).filter((name) => name.includes('validating'))
    assert.deepEqual(left, [])
  })

  it('with `depth: full` finds what the newest state does not need; storage that is away is no finding', async () => {
    createDatabase(db(), { bytes: 50_000 })
    const config = {
      databases: [db()],
      storage: `file://${folder.file('backups')}`,
      validation: { interval: '1s', depth: 'full' },
      metrics: false,
    }
    writeFileSync(folder.file('walrust.config.json'), JSON.stringify(config))
    shipper = new WalrustProcess(['watch'], { cwd: folder.path })
    await shipper.line('shipped')
    const old = snapshot()
    commit()
    await shipper.line(({ message, txid }) => message === 'shipped' && txid === 2)
    const again = new WalrustProcess(['snapshot', 'app.db'], { cwd: folder.path })
    assert.equal(await again.exit, 0, again.tail())
    damage(old)
    const { error } = await shipper.line('validation failed')
    assert.match(String(error), /damaged|wrong-hash/)
  })

  it('by the library as well, with a configuration that is an object', async () => {
    createDatabase(db(), { bytes: 20_000 })
    const config: WalrustConfig = {
      databases: [db()],
      storage: `file://${folder.file('backups')}`,
      validation: { interval: '1s' },
    }
    const failed = new Promise<WalrustEvent>((resolve) => {
      const onEvent = (event: WalrustEvent) => event.event === 'validation_failed' && resolve(event)
      walrust = createWalrust(config, { onEvent })
    })
    assert.ok(walrust)
    await walrust.start()
    await walrust.sync('app')
    damage(snapshot())
    assert.equal((await failed).database, 'app')
  })

  it('not by what ships once and ends', async () => {
    createDatabase(db())
    sql(db(), "INSERT INTO rows(body) VALUES ('x')")
    const args = ['watch', db(), '-b', `file://${folder.file('backups')}`, '--validation-interval', '10ms', '--once']
    shipper = new WalrustProcess(args)
    assert.equal(await shipper.exit, 0, shipper.tail())
    assert.ok(!shipper.lines.some(({ message }) => message.includes('validat')) && existsSync(folder.file('backups')))
  })

  it('not by `snapshot`, which takes one under a configuration for `watch` all the same', async () => {
    createDatabase(db())
    const config = folder.file('walrust.config.json')
    const storage = `file://${folder.file('backups')}`
    writeFileSync(config, JSON.stringify({ presets: ['walrust:durable'], databases: [db()], storage }))
    const taken = await runCli(['--config', config, 'snapshot', db()])
    assert.equal(taken.status, 0, taken.output)
    assert.ok(existsSync(snapshot()))
  })
})
