import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { checksum, createDatabase, sql, useFolder } from '../helpers/databases.js'
import { walrust, WalrustProcess } from '../helpers/processes.js'
import { S3Server } from '../helpers/s3-server/index.js'

const BUCKET = 's3://bucket/backups'
const LTX = /\/[0-9a-f]{4}\/[0-9a-f]{16}-[0-9a-f]{16}\.ltx$/
/** Of whoever is stopped or killed: short enough to wait for. */
const TTL = '1500ms'

/** Processes that sleep or die while a request of theirs is on the way, and what their successors make of it. */
describe('system: two writers and requests under way', function () {
  this.timeout(120_000)
  const folder = useFolder()
  const running: WalrustProcess[] = []
  let server: S3Server
  beforeEach(async () => {
    server = await new S3Server().start()
  })
  afterEach(async () => {
    for (const process of running.splice(0)) await process.kill()
    await server.stop()
  })

  const file = (machine: string) => folder.file(`${machine}/app.db`)
  // Nothing is merged meanwhile: what lies there is compared name by name, and half a minute may end at any moment.
  const env = (ttl = TTL) => ({
    ...server.environment,
    ...{ WALRUST_LEASE_TTL: ttl, WALRUST_SYNC_INTERVAL: '20ms', WALRUST_COMPACTION_LEVELS: '["365d"]' },
  })

  function watch(machine: string, ...args: string[]): WalrustProcess {
    const started = new WalrustProcess(['watch', file(machine), '-b', BUCKET, '--no-metrics', ...args], { env: env() })
    running.push(started)
    return started
  }

  async function first(...args: string[]): Promise<WalrustProcess> {
    mkdirSync(folder.file('one'))
    createDatabase(file('one'), { bytes: 20_000 })
    const one = watch('one', ...args)
    await one.line('shipped')
    return one
  }

  async function run(...args: string[]): Promise<string> {
    const { code, text, stdout } = await walrust([...args, '-b', BUCKET], { env: env() })
    assert.equal(code, 0, text)
    return stdout
  }

  /** The newest state on another machine. */
  async function moveTo(machine: string): Promise<void> {
    mkdirSync(folder.file(machine))
    await run('restore', 'app', '-o', file(machine))
    sql(file(machine), 'PRAGMA journal_mode=WAL')
  }

  const commit = (machine: string) => sql(file(machine), 'INSERT INTO rows(body) VALUES (randomblob(99))')
  const beyond = (process: WalrustProcess, txid: number) =>
    process.line((line) => line.message === 'shipped' && Number(line.txid) > txid)
  const newest = (process: WalrustProcess) => process.shipped.at(-1)?.txid ?? 0

  /** Every LTX file in storage, by name. */
  function chain(): Map<string, string> {
    const objects = [...server.bucket.objects].filter(([key]) => LTX.test(key))
    return new Map(objects.map(([key, { sha256 }]) => [key, sha256] as const).sort(([a], [b]) => (a < b ? -1 : 1)))
  }

  /** What storage gives is what a machine has, and nothing is wrong with it. */
  async function proveSame(machine: string): Promise<void> {
    await run('verify', 'app')
    await run('restore', 'app', '-o', folder.file('back.db'))
    assert.equal(checksum(folder.file('back.db')), checksum(file(machine)))
  }

  it('an upload puts nothing into the new chain', async () => {
    const one = await first()
    const held = server.hold(/^PUT .*\/0000\//)
    commit('one')
    await held.arrived
    one.child.kill('SIGSTOP')
    await moveTo('two')
    const two = watch('two')
    await beyond(two, 1)
    commit('two')
    await beyond(two, 2)
    const before = chain()
    held.release()
    one.child.kill('SIGCONT')
    assert.equal(await one.exit, 4, one.tail())
    assert.match(one.tail(), /E_FENCED/)
    assert.deepEqual(chain(), before)
    commit('two')
    await beyond(two, 3)
    assert.equal(await two.kill('SIGTERM'), 0, two.tail())
    await proveSame('two')
  })

  it('an upload that is there before the fence post is history, which the successor does not write over', async () => {
    const one = await first()
    const late = server.hold(/^PUT .*\/0000\//)
    commit('one')
    await late.arrived
    one.child.kill('SIGSTOP')
    await moveTo('two')
    const post = server.hold(/^PUT .*\/0000\//)
    const two = watch('two')
    await post.arrived
    late.release()
    while (chain().size < 2) await new Promise((resolve) => setTimeout(resolve, 20))
    const before = chain()
    post.release()
    assert.equal(await two.exit, 5, two.tail())
    assert.match(two.tail(), /E_STALE_MACHINE/)
    assert.deepEqual(chain(), before)
    await one.kill()
    await proveSame('one')
  })

  it('a removal takes nothing from the new chain that its writer does not know to be gone', async () => {
    const keepOne = ['--retain-hourly', '1', '--retain-daily', '0', '--retain-weekly', '0', '--retain-monthly', '0']
    const one = await first('--snapshot-interval', '0s', ...keepOne)
    for (let i = 0; i < 3; i++) {
      commit('one')
      await beyond(one, i + 1)
      await run('snapshot', file('one'))
    }
    const held = server.hold(/^DELETE .*ltx|^POST .*delete/)
    const compacting = walrust(['compact', 'app', '--force', '-b', BUCKET], { env: env(), cwd: folder.file('one') })
    await held.arrived
    one.child.kill('SIGSTOP')
    const whole = chain()
    await moveTo('two')
    // This one would keep everything.
    const two = watch('two', '--snapshot-interval', '0s')
    await two.line('removing what was to be removed')
    await beyond(two, newest(one))
    const before = chain()
    assert.ok([...whole.keys()].some((key) => !before.has(key)))
    held.release()
    one.child.kill('SIGCONT')
    assert.equal(await one.exit, 4, one.tail())
    await compacting
    assert.deepEqual(chain(), before)
    assert.equal(await two.kill('SIGTERM'), 0, two.tail())
    await proveSame('two')
  })

  it('an idle process makes one request in half a TTL, however many databases it has, and a sync is one PUT', async () => {
    // Long enough that a busy machine renews in time: whoever was late looks whether he was given up.
    const patient = { ...env(), WALRUST_LEASE_TTL: '6s' }
    const isBeat = ({ key }: { key: string }) => key.includes('/heartbeats/')
    await Promise.all(
      [1, 5].map(async (count) => {
        const names = Array.from({ length: count }, (_, i) => `d${i}`)
        const paths = names.map((name) => folder.file(`${count}/${name}.db`))
        mkdirSync(folder.file(String(count)))
        for (const path of paths) createDatabase(path, { bytes: 4096 })
        const args = ['watch', ...paths, '-b', `${BUCKET}/${count}`, '--no-metrics']
        const watching = new WalrustProcess(args, { env: patient })
        running.push(watching)
        const log = () => server.log.filter(({ key }) => key.includes(`backups/${count}/`))
        const waitFor = async (from: number, beats: number) => {
          while (log().slice(from).filter(isBeat).length < beats) await sleep(50)
        }
        const shipped = (name: string, txid: number) =>
          watching.line((line) => line.message === 'shipped' && line.database === name && line.txid === txid)
        for (const name of names) await shipped(name, 1)
        await waitFor(log().length, 1)

        let from = log().length
        for (const [index, name] of names.entries()) {
          sql(paths[index], 'INSERT INTO rows(body) VALUES (randomblob(99))')
          await shipped(name, 2)
        }
        await waitFor(log().length, 1)
        const syncs = log().slice(from).filter((request) => !isBeat(request)) // prettier-ignore
        const put = (name: string) => `PutObject backups/${count}/${name}/0000/0000000000000002-0000000000000002.ltx`
        assert.deepEqual(syncs.map(({ operation, key }) => `${operation} ${key}`), names.map(put)) // prettier-ignore

        from = log().length
        await waitFor(from, 6)
        const idle = log().slice(from)
        assert.deepEqual(new Set(idle.map(({ operation, key }) => `${operation} ${isBeat({ key })}`)), new Set(['PutObject true'])) // prettier-ignore
        assert.equal(new Set(idle.map(({ key }) => key)).size, 1)
        assert.equal(await watching.kill('SIGTERM'), 0, watching.tail())
      }),
    )
    assert.ok(![...server.bucket.objects.keys()].some((key) => key.includes('/heartbeats/')))
  })
})
