/** Real walrust and real Litestream on one backup: each reads what the other wrote, and goes on where it stopped. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { checksum, contents, createDatabase, integrity, useFolder } from '../helpers/databases.js'
import { walrust } from '../helpers/processes.js'
import { S3Service } from './s3-service.js'
import { run, runWith, tool, toolEnvironment } from './tools.js'

for (const [storage, pageSize] of [
  ['file', 512],
  ['file', 4096],
  ['file', 65536],
  ['s3', 4096],
] as const) {
  describe(`one backup, two tools, ${pageSize}-byte pages, ${storage}://`, function () {
    this.timeout(120_000)
    const folder = useFolder()
    let service: S3Service | undefined
    before(async () => {
      if (storage === 's3') service = await S3Service.start()
    })
    let prefix = 'backups'
    let tests = 0
    beforeEach(() => (prefix = `backups-${tests++}`))
    after(() => service?.stop())
    const env = () => service?.env ?? {}
    const db = () => folder.file('app.db')
    const url = () => (service ? `s3://bucket/${prefix}` : `file://${folder.file(prefix)}`)
    const replica = () => service?.litestreamUrl(`${prefix}/app`) ?? `file://${folder.file(`${prefix}/app`)}`
    const level = (n: number) => service?.files(`${prefix}/app/000${n}`) ?? folder.file(`${prefix}/app/ltx/${n}`)
    const ours = (args: readonly string[]) => walrust(args, { env: env() })
    const hex = (txid: number) => txid.toString(16).padStart(16, '0')

    const sql = (text: string) => {
      const app = new Database(db(), { timeout: 10_000 })
      app.exec(text)
      app.close()
    }

    /** Ships what is pending with walrust; says what lies there afterwards. */
    async function ship(...args: string[]): Promise<number> {
      const result = await ours(['watch', db(), '-b', url(), '--once', ...args])
      assert.equal(result.code, 0, result.text)
      return newest()
    }

    async function newest(): Promise<number> {
      const { stdout } = await ours(['list', 'app', '-b', url(), '--json'])
      return (JSON.parse(stdout) as { txid: number }).txid
    }

    /** Runs Litestream until it has shipped what was committed, and stops it as a user would. */
    async function replicate(work: () => void): Promise<void> {
      const program = tool('litestream')
      const child = spawn(program, ['replicate', db(), replica()], { stdio: 'ignore', env: toolEnvironment(env()) })
      await sleep(2500)
      work()
      await sleep(3500)
      child.kill('SIGTERM')
      await once(child, 'exit')
    }

    function assertLitestreamRestores(expected: Record<string, unknown[]>, ...flags: string[]): void {
      const out = folder.file('litestream.db')
      for (const suffix of ['', '-wal', '-shm', '-txid']) rmSync(out + suffix, { force: true })
      runWith(env(), 'litestream', 'restore', ...flags, '-o', out, replica())
      assert.equal(integrity(out), 'ok')
      assert.deepEqual(contents(out), expected)
    }

    async function assertWalrustRestores(expected: Record<string, unknown[]>, ...flags: string[]): Promise<void> {
      const out = folder.file('walrust.db')
      const result = await ours(['restore', 'app', '-b', url(), '-o', out, '--force', ...flags])
      assert.equal(result.code, 0, result.text)
      assert.deepEqual(contents(out), expected)
    }

    it('walrust writes: Litestream brings back the newest, every transaction and every moment', async () => {
      createDatabase(db(), { pageSize, bytes: 30_000 })
      const states: Array<{ txid: number; rows: Record<string, unknown[]>; at: number }> = []
      const steps = [
        'SELECT 1',
        "INSERT INTO rows(body) VALUES ('two')",
        'DELETE FROM rows WHERE id % 2 = 0',
        'VACUUM',
        'CREATE TABLE more(a); INSERT INTO more VALUES (zeroblob(100000))',
      ]
      for (const step of steps) {
        sql(step)
        const txid = await ship()
        states.push({ txid, rows: contents(db()), at: Date.now() })
        await sleep(30)
      }
      assert.equal(new Set(states.map(({ txid }) => txid)).size, steps.length)
      const taken = await ours(['snapshot', db(), '-b', url()])
      assert.equal(taken.code, 0, taken.text)
      const files = [0, 9].flatMap((n) => readdirSync(level(n)).map((name) => join(level(n), name)))
      assert.equal(run('ltx', 'verify', ...files), 'ok')
      assertLitestreamRestores(states[states.length - 1].rows)
      for (const { txid, rows } of states) assertLitestreamRestores(rows, '-txid', hex(txid))
      // Litestream takes what is strictly before a moment, and has no answer for one after the last file.
      for (const { rows, at } of states.slice(0, -1)) {
        assertLitestreamRestores(rows, '-timestamp', new Date(at + 15).toISOString())
      }
    })

    it('Litestream writes: walrust lists, verifies, restores every transaction, and takes over', async () => {
      createDatabase(db(), { pageSize, bytes: 30_000 })
      await replicate(() => sql("INSERT INTO rows(body) VALUES ('by Litestream'); DELETE FROM rows WHERE id % 3 = 0"))
      const before = contents(db())
      const last = await newest()
      assert.ok(last >= 2, `${last}`)
      const verified = await ours(['verify', 'app', '-b', url()])
      assert.equal(verified.code, 0, verified.stdout)
      await assertWalrustRestores(before)
      await assertWalrustRestores(before, '--timestamp', new Date().toISOString())
      const copied = await ours(['replicate', 'app', '-b', url(), '--local', folder.file('copy.db'), '--once'])
      assert.equal(copied.code, 0, copied.text)
      assert.deepEqual(contents(folder.file('copy.db')), before)
      for (const file of readdirSync(level(0))) {
        const txid = Number.parseInt(file.slice(0, 16), 16)
        const result = await ours(['restore', 'app', '-b', url(), '-o', folder.file('point.db'), '--force', '--txid', String(txid)]) // prettier-ignore
        assert.equal(result.code, 0, result.text)
        assert.equal(integrity(folder.file('point.db')), 'ok')
      }
      // Litestream is gone for good; its bookkeeping stays in the database.
      rmSync(folder.file('.app.db-litestream'), { recursive: true, force: true })
      sql("INSERT INTO rows(body) VALUES ('by walrust')")
      const refused = await ours(['watch', db(), '-b', url(), '--once'])
      assert.equal(refused.code, 5, refused.text)
      assert.ok((await ship('--adopt')) > last)
      sql("INSERT INTO rows(body) VALUES ('and again')")
      await ship()
      await assertWalrustRestores(contents(db()))
      await assertWalrustRestores(before, '--txid', String(last))
      assertLitestreamRestores(contents(db()))
      const proof = await ours(['verify', 'app', '-b', url()])
      assert.equal(proof.code, 0, proof.stdout)
    })

    it('walrust writes, Litestream goes on, and walrust after it', async () => {
      createDatabase(db(), { pageSize, bytes: 30_000 })
      await ship()
      sql("INSERT INTO rows(body) VALUES ('one')")
      const shipped = await ship()
      const first = contents(db())
      rmSync(folder.file('.app.db-walrust'), { recursive: true, force: true })
      await replicate(() => sql("INSERT INTO rows(body) VALUES ('by Litestream')"))
      const theirs = await newest()
      assert.ok(theirs > shipped)
      const second = contents(db())
      assertLitestreamRestores(second)
      await assertWalrustRestores(second)
      await assertWalrustRestores(first, '--txid', String(shipped))
      rmSync(folder.file('.app.db-litestream'), { recursive: true, force: true })
      sql("INSERT INTO rows(body) VALUES ('by walrust')")
      assert.ok((await ship('--adopt')) > theirs)
      await assertWalrustRestores(contents(db()))
      assertLitestreamRestores(contents(db()))
      assert.equal(checksum(folder.file('walrust.db')), checksum(db()))
      assert.ok(existsSync(level(0)))
    })
  })
}
