import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { checksum, createDatabase, sql, useFolder } from '../helpers/databases.js'
import { WalrustProcess } from '../helpers/processes.js'
import { restoreFrom, stored, verifyFolder } from '../helpers/storage.js'

/** Of those that are expected to be alive: long enough that a busy machine renews in time. */
const LONG = 8000
/** Of those that are stopped, killed or alone: short enough to wait for. */
const SHORT = 1500

describe('system: two writers', function () {
  this.timeout(120_000)
  const folder = useFolder()
  const running: WalrustProcess[] = []
  afterEach(async () => {
    for (const process of running.splice(0)) await process.kill()
  })

  let ttl = SHORT
  beforeEach(() => (ttl = SHORT))
  // Nothing is merged meanwhile: what lies there is compared name by name, and half a minute may end at any moment.
  const env = () => ({
    ...{ WALRUST_LEASE_TTL: `${ttl}ms`, WALRUST_SYNC_INTERVAL: '20ms', WALRUST_COMPACTION_LEVELS: '["365d"]' },
  })
  const bucket = () => `file://${folder.file('backups')}`
  const file = (name: string) => folder.file(`${name}/app.db`)

  /** A `watch` on a machine of its own: `name` is the folder of its database. */
  function watch(name: string, ...args: string[]): WalrustProcess {
    const started = new WalrustProcess(['watch', file(name), '-b', bucket(), '--no-metrics', ...args], { env: env() })
    running.push(started)
    return started
  }

  /** The newest state on another machine. */
  async function moveTo(name: string): Promise<void> {
    mkdirSync(folder.file(name), { recursive: true })
    await restoreFrom(folder.file('backups'), 'app', file(name))
    sql(file(name), 'PRAGMA journal_mode=WAL')
  }

  const insert = (name: string) => sql(file(name), 'CREATE TABLE IF NOT EXISTS more(x); INSERT INTO more VALUES (1)')
  const beside = (kind: string) => readdirSync(join(folder.file('backups'), 'app/walrust', kind)).sort()
  const shippedBeyond = (process: WalrustProcess, txid: number) =>
    process.line((line) => line.message === 'shipped' && Number(line.txid) > txid)

  async function first(): Promise<WalrustProcess> {
    mkdirSync(folder.file('one'), { recursive: true })
    createDatabase(file('one'), { bytes: 20_000 })
    const one = watch('one')
    await one.line('shipped')
    return one
  }

  it('the second one on a prefix ends with exit 4 and says who is there; the first ships on', async () => {
    ttl = LONG
    const one = await first()
    await moveTo('two')
    const two = watch('two')
    assert.equal(await two.exit, 4, two.tail())
    assert.match(two.tail(), /E_FENCED/)
    assert.match(two.tail(), new RegExp(`process ${one.child.pid}`))
    assert.deepEqual(two.shipped, [])
    insert('one')
    await shippedBeyond(one, 1)
  })

  it('goes on at once elsewhere after a clean end, and nothing is shipped twice', async () => {
    const one = await first()
    assert.equal(await one.kill('SIGTERM'), 0, one.tail())
    assert.deepEqual(readdirSync(join(folder.file('backups'), '.walrust/heartbeats')), [])
    await moveTo('two')
    const two = watch('two')
    await two.line('storage holds this state already')
    insert('two')
    await shippedBeyond(two, 1)
    assert.ok(!two.lines.some(({ message }) => message.startsWith('taking')), two.tail())
    assert.equal(await two.kill('SIGTERM'), 0, two.tail())
    assert.equal(stored(folder.file('backups')).snapshots, 1)
  })

  it('goes on at once on the same machine after a kill', async () => {
    const one = await first()
    await one.kill()
    insert('one')
    const again = watch('one')
    await shippedBeyond(again, 1)
    assert.ok(!again.lines.some(({ message }) => message.includes('watching whether')), again.tail())
    assert.deepEqual(beside('claims').length, 2)
  })

  it('takes over from a killed one elsewhere after one silent TTL, with a fence post and without a snapshot', async () => {
    const one = await first()
    await one.kill()
    await moveTo('two')
    const two = watch('two')
    await two.line('taking the database over: no sign of life')
    await shippedBeyond(two, 1)
    assert.deepEqual(beside('fences'), ['0000000000000002.json'])
    insert('two')
    await shippedBeyond(two, 2)
    assert.equal(await two.kill('SIGTERM'), 0, two.tail())
    const { snapshots } = stored(folder.file('backups'))
    assert.equal(snapshots, 1)
    await restoreFrom(folder.file('backups'), 'app', folder.file('back.db'))
    assert.equal(checksum(folder.file('back.db')), checksum(file('two')))
    assert.deepEqual((await verifyFolder(folder.file('backups'), 'app')).findings, [])
  })

  it('one that was stopped and goes on after the takeover ships nothing more and ends with exit 4', async () => {
    const one = await first()
    one.child.kill('SIGSTOP')
    await moveTo('two')
    insert('one')
    const two = watch('two')
    await shippedBeyond(two, 1)
    insert('two')
    await shippedBeyond(two, 2)
    const before = contentsOf(folder.file('backups'))
    one.child.kill('SIGCONT')
    assert.equal(await one.exit, 4, one.tail())
    assert.match(one.tail(), /E_FENCED/)
    const after = contentsOf(folder.file('backups'))
    for (const [name, bytes] of before) assert.equal(after.get(name), bytes, name)
    assert.deepEqual([...after.keys()], [...before.keys()])
    insert('two')
    await shippedBeyond(two, 3)
    assert.equal(await two.kill('SIGTERM'), 0, two.tail())
    await restoreFrom(folder.file('backups'), 'app', folder.file('back.db'))
    assert.equal(checksum(folder.file('back.db')), checksum(file('two')))
  })

  it('an idle one that was stopped notices by itself that it was given up', async () => {
    const one = await first()
    one.child.kill('SIGSTOP')
    await moveTo('two')
    await shippedBeyond(watch('two'), 1)
    one.child.kill('SIGCONT')
    assert.equal(await one.exit, 4, one.tail())
  })

  it('two storages have a claim each: fenced in one, it ships on to the other', async () => {
    mkdirSync(folder.file('one'), { recursive: true })
    createDatabase(file('one'), { bytes: 20_000 })
    const urls = [bucket(), `file://${folder.file('second')}`]
    const both = { ...env(), WALRUST_STORAGE: JSON.stringify(urls) }
    const one = new WalrustProcess(['watch', file('one'), '--no-metrics'], { env: both })
    running.push(one)
    const shippedTo = (url: string, txid: number) =>
      one.line((line) => line.message === 'shipped' && String(line.storage).startsWith(url) && Number(line.txid) > txid)
    for (const url of urls) await shippedTo(url, 0)
    one.child.kill('SIGSTOP')
    await moveTo('two')
    await shippedBeyond(watch('two'), 1)
    one.child.kill('SIGCONT')
    const halted = await one.line('halted')
    assert.ok(String(halted.storage).startsWith(urls[0]))
    insert('one')
    await shippedTo(urls[1], 1)
    for (const place of ['backups', 'second'])
      assert.notDeepEqual(readdirSync(folder.file(`${place}/app/walrust/claims`)), [])
  })

  it('one fenced database of a hundred halts alone; the others ship on, with one heartbeat for all', async () => {
    for (const name of ['one', 'two']) mkdirSync(folder.file(name), { recursive: true })
    const names = Array.from({ length: 100 }, (_, i) => `d${i}`)
    for (const name of names) createDatabase(folder.file(`one/${name}.db`), { bytes: 4096 })
    const own = new WalrustProcess(
      ['watch', ...names.map((name) => folder.file(`one/${name}.db`)), '-b', bucket(), '--no-metrics'],
      { env: env() },
    )
    running.push(own)
    const shipped = (name: string) => own.line((line) => line.message === 'shipped' && line.database === name)
    for (const name of names) await shipped(name)
    assert.equal(readdirSync(join(folder.file('backups'), '.walrust/heartbeats')).length, 1)
    own.child.kill('SIGSTOP')
    await restoreFrom(folder.file('backups'), 'd3', folder.file('two/d3.db'))
    sql(folder.file('two/d3.db'), 'PRAGMA journal_mode=WAL')
    const other = new WalrustProcess(['watch', folder.file('two/d3.db'), '-b', bucket(), '--no-metrics'], {
      env: env(),
    })
    running.push(other)
    await shippedBeyond(other, 1)
    own.child.kill('SIGCONT')
    const halted = await own.line('halted')
    assert.equal(halted.database, 'd3')
    const others = names.filter((name) => name !== 'd3')
    for (const name of names) sql(folder.file(`one/${name}.db`), 'CREATE TABLE more(x)')
    for (const name of others)
      await own.line((line) => line.message === 'shipped' && line.database === name && Number(line.txid) > 1)
    assert.deepEqual(
      own.lines.filter(({ message }) => message === 'halted').map(({ database }) => database),
      ['d3'],
    )
    assert.ok(!own.lines.some((line) => line.database === 'd3' && line.message === 'shipped' && Number(line.txid) > 1))
    sql(folder.file('two/d3.db'), 'CREATE TABLE more(x)')
    await shippedBeyond(other, 2)
    assert.equal(await other.kill('SIGTERM'), 0, other.tail())
    assert.equal(await own.kill('SIGTERM'), 4, own.tail())
    for (const [name, machine] of [
      ['d3', 'two'],
      ['d4', 'one'],
    ]) {
      // prettier-ignore
      await restoreFrom(folder.file('backups'), name, folder.file(`${name}.db`))
      assert.equal(checksum(folder.file(`${name}.db`)), checksum(folder.file(`${machine}/${name}.db`)))
    }
  })
})

/** Every LTX file below a folder, by name. */
function contentsOf(folder: string): Map<string, string> {
  const names = (readdirSync(folder, { recursive: true }) as string[]).filter((name) => name.endsWith('.ltx')).sort()
  return new Map(names.map((name) => [name, readFileSync(join(folder, name)).toString('base64')]))
}
