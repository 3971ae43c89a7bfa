import Database from 'better-sqlite3'
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, readdirSync, rmSync, statSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { AuditorOptions, AuditorReport } from '../helpers/auditor.js'
import { auditBank, type BankOptions, type BankReport, openBank } from '../helpers/bank.js'
import { Chain } from '../helpers/chain.js'
import { checksum, contents, integrity, useFolder } from '../helpers/databases.js'
import { HelperProcess, walrust, WalrustProcess } from '../helpers/processes.js'
import type { StepOptions } from '../helpers/replica-step.js'

/** Seconds of writing; `WALRUST_REPLICA_SECONDS=300` is the campaign. */
const SECONDS = Number(process.env.WALRUST_REPLICA_SECONDS ?? 10)

describe('a replica under its readers', function () {
  this.timeout((SECONDS + 120) * 1000)
  const folder = useFolder()
  const running: Array<{ kill: () => Promise<unknown> }> = []
  afterEach(async () => {
    for (const one of running.splice(0)) await one.kill()
  })

  function started<T extends { kill: () => Promise<unknown> }>(one: T): T {
    running.push(one)
    return one
  }

  it('shows whole states only, ever newer ones, whatever is written, removed and killed meanwhile', async () => {
    const source = folder.file('bank.db')
    const copy = folder.file('copy/bank.db')
    const url = `file://${folder.file('backups')}`
    openBank(source)
    const gfs = ['--retain-hourly', '2', '--retain-daily', '0', '--retain-weekly', '0', '--retain-monthly', '0']
    // Levels of seconds, so that merged files lie in the way of the replica from the beginning.
    const env = { WALRUST_COMPACTION_LEVELS: '["1s", "5s"]' }
    const watch = started(new WalrustProcess(['watch', source, '-b', url, '--sync-interval', '100ms', ...gfs], { env }))
    await watch.line('shipped')
    const replicate = () =>
      started(new WalrustProcess(['replicate', 'bank', '-b', url, '--local', copy, '--interval', '50ms']))
    let replica = replicate()
    await replica.line('made')
    // Two readers: one that hardly pauses, and one between whose looks every lock is free.
    const readers = [0, 100].map((pause) =>
      started(
        new HelperProcess<AuditorReport>('auditor', {
          path: copy,
          busyTimeout: 60_000,
          pause,
        } satisfies AuditorOptions),
      ),
    )
    const bank = started(
      new HelperProcess<BankReport>('bank', {
        path: source,
        rate: 200,
        seconds: SECONDS,
        vacuumEvery: 500,
      } satisfies BankOptions),
    )
    const start = performance.now()
    let kills = 0
    let removed = 0
    let compacted = 0
    let applied = 0
    const appliedBy = ({ lines }: WalrustProcess) => lines.filter(({ message }) => message === 'applied').length
    const merged = () => ['1', '2'].flatMap((level) => filesIn(folder.file(`backups/bank/ltx/${level}`))).length
    // For as long as was asked for, and until each has happened, however slow the machine is.
    const enough = () => kills > 0 && removed > 0 && compacted > 0 && merged() > 0 && applied + appliedBy(replica) >= 10
    for (let round = 0; performance.now() - start < SECONDS * 1000 || !enough(); round++) {
      await sleep(300 + Math.random() * 700)
      if (round % 3 === 2) {
        const run = await walrust(['compact', 'bank', '-b', url, '--force'], { cwd: folder.path })
        // The other rounds take files away behind the back of the watch: it looks again, and so do we.
        assert.ok(run.code === 0 || run.code === 5, run.text)
        if (run.code === 0) compacted++
      } else if (round % 3 === 0) {
        await replica.kill('SIGKILL')
        applied += appliedBy(replica)
        kills++
        replica = replicate()
      } else {
        const run = await walrust(['snapshot', source, '-b', url])
        assert.equal(run.code, 0, run.text)
        removed += retain(folder.file('backups/bank/ltx'))
      }
    }
    const { commits } = await bank.end()
    assert.equal(await watch.kill('SIGTERM'), 0, watch.tail())
    const shipped = watch.shipped.at(-1)?.txid
    await replica.line(({ txid }) => Number(txid) >= Number(shipped))
    const lags = replica.lines.filter(({ message }) => message === 'applied').map(({ lag }) => Number(lag))
    assert.equal(await replica.kill('SIGTERM'), 0, replica.tail())
    const seen = await Promise.all(readers.map((reader) => reader.end()))
    const said = JSON.stringify({ commits, kills, removed, compacted, merged: merged(), lags: lags.slice(-3), seen })
    assert.deepEqual(
      seen.flatMap(({ wrong }) => wrong),
      [],
      said,
    )
    assert.ok(
      seen.every(({ states, looks }) => states > 2 && looks > 5),
      said,
    )
    assert.ok(commits > 0, said)
    if (process.env.WALRUST_REPLICA_SECONDS !== undefined) console.log(summary(said, lags))
    assert.deepEqual(contents(copy), contents(source))
    assert.equal((JSON.parse((await once(copy, url)).stdout) as { checksum: string }).checksum, checksum(source))
  })

  const once = (copy: string, url: string) =>
    walrust(['replicate', 'bank', '-b', url, '--local', copy, '--once', '--json'])

  it('is whole after a kill at every step of an apply, for a reader and for itself', () => {
    const chain = new Chain(folder.file('backups'), folder.file('scratch'))
    const rows = (first: number, last: number) =>
      `WITH n(i) AS (VALUES (${first}) UNION ALL SELECT i + 1 FROM n WHERE i < ${last})
       INSERT INTO t SELECT i, randomblob(900) FROM n`
    chain.commit(`CREATE TABLE t(id INTEGER PRIMARY KEY, v); ${rows(1, 200)}`)
    const copy = folder.file('copy/app.db')
    const run = (killAt: number, torn: boolean) =>
      step({ backups: chain.folder, name: 'app', path: copy, killAt, torn })
    assert.ok(run(0, false))
    cpSync(folder.file('copy'), folder.file('before'), { recursive: true })
    // Pages that change, that come, that go: in two files that are applied as one.
    chain.commit("UPDATE t SET v = 'changed' WHERE id % 10 = 0")
    chain.commit(`DELETE FROM t WHERE id > 100; VACUUM; ${rows(300, 320)}`)
    const reset = () => {
      rmSync(folder.file('copy'), { recursive: true })
      cpSync(folder.file('before'), folder.file('copy'), { recursive: true })
    }
    const [old, now] = [contents(chain.state(1)), contents(chain.state(3))]
    const whole = run(0, false)
    assert.ok(whole)
    const kinds = new Set<string>()
    for (const torn of [false, true]) {
      for (let killAt = 1; killAt <= whole.calls; killAt++) {
        if (torn && whole.what[killAt - 1] !== 'write') continue
        const at: string = `${torn ? 'in' : 'before'} call ${killAt}, ${whole.what[killAt - 1]}`
        reset()
        assert.equal(run(killAt, torn), undefined, at)
        const hot = existsSync(`${copy}-journal`)
        // After a torn write the replica itself finds the journal: no reader has put things right before.
        if (!torn) {
          assert.equal(integrity(copy), 'ok', at)
          const found = contents(copy)
          const isOld = JSON.stringify(found) === JSON.stringify(old)
          assert.ok(isOld || JSON.stringify(found) === JSON.stringify(now), at)
          if (hot) assert.ok(isOld, at)
          kinds.add(hot ? 'rolled back' : isOld ? 'not begun' : 'done')
        }
        assert.ok(run(0, false), at)
        assert.equal(integrity(copy), 'ok', at)
        assert.deepEqual(contents(copy), now, at)
        assert.deepEqual(readdirSync(folder.file('copy')).sort(), ['.app.db-walrust', 'app.db'], at)
      }
    }
    assert.deepEqual([...kinds].sort(), ['done', 'not begun', 'rolled back'])
    chain.close()
  })

  it('says what is wrong on the command line, with the right exit code', async () => {
    const chain = new Chain(folder.file('backups'), folder.file('scratch'))
    chain.commit('CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 2)')
    const url = `file://${chain.folder}`
    const copy = folder.file('copy.db')
    const replicate = (source: string, ...more: string[]) => walrust(['replicate', source, '--once', ...more])
    const made = await replicate(`${url}/app`, '--local', copy)
    assert.equal(made.code, 0, made.text)
    assert.match(made.stdout, /is at transaction 1 of app/)
    assert.equal((await replicate(`${url}/nobody`, '--local', folder.file('x.db'))).code, 6)
    assert.equal((await replicate('app', '-b', url, '--local', chain.state(1))).code, 3)
    assert.equal((await replicate('app', '-b', url)).code, 2)
    chain.commit('INSERT INTO t VALUES (2, 2)')
    chain.commit('INSERT INTO t VALUES (3, 2)')
    chain.remove(2)
    const gap = await replicate('app', '-b', url, '--local', copy, '--interval', '10ms')
    assert.equal(gap.code, 5, gap.text)
    assert.match(gap.text, /nothing leads from transaction 1 to 3/)
    const db = new Database(copy)
    assert.equal(db.prepare('SELECT count(*) FROM t').pluck().get(), 1)
    db.close()
    chain.close()
  })

  it('audits: the check of this test sees a mixed state', () => {
    const path = folder.file('bank.db')
    openBank(path)
    const db = new Database(path)
    assert.equal(auditBank(db).wrong, undefined)
    db.exec('UPDATE a SET money = money + 1 WHERE id = 1')
    assert.match(auditBank(db).wrong ?? '', /200001 where 200000/)
    db.close()
  })
})

/** For whoever runs the campaign: what happened, and how far behind the replica was. */
function summary(said: string, lags: readonly number[]): string {
  const sorted = [...lags].sort((a, b) => a - b)
  const at = (part: number) => sorted[Math.floor((sorted.length - 1) * part)]
  return `${said}\nlag of ${lags.length} applies in ms: median ${at(0.5)}, p99 ${at(0.99)}, most ${at(1)}`
}

const filesIn = (path: string) => (existsSync(path) ? readdirSync(path).filter((name) => name.endsWith('.ltx')) : [])

/** Milliseconds after which a file has been merged, if the watch is to merge anything at all. */
const MERGED_AFTER = 4000

/**
 * What retention does: files of level 0 that the newest snapshot holds go, apart from the newest file. Not before they
 * can have been merged: merged files are to lie in the way of the replica, too.
 */
function retain(root: string): number {
  const end = (name: string) => Number.parseInt(name.slice(17, 33), 16)
  const snapshot = Math.max(...readdirSync(`${root}/9`).map(end))
  const files = readdirSync(`${root}/0`).filter((name) => name.endsWith('.ltx'))
  const age = (name: string) => Date.now() - statSync(`${root}/0/${name}`).mtimeMs
  const old = files.sort().slice(0, -1).filter((name) => end(name) <= snapshot && age(name) > MERGED_AFTER) // prettier-ignore
  for (const name of old) rmSync(`${root}/0/${name}`)
  return old.length
}

/** `undefined` if the process was killed. */
type Steps = { calls: number; what: string[] } | undefined

function step(options: StepOptions): Steps {
  const program = fileURLToPath(new URL('../helpers/replica-step.js', import.meta.url))
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [program, JSON.stringify(options)], {
    encoding: 'utf8',
  })
  if (signal === 'SIGKILL') return undefined
  assert.equal(status, 0, stderr)
  return JSON.parse(stdout) as { calls: number; what: string[] }
}
