/** Real walrust and real Litestream on one backup: each reads what the other wrote, and goes on where it stopped. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { checksum, contents, createDatabase, integrity, useFolder } from '../helpers/databases.js'
import { walrust } from '../helpers/processes.js'
import { run, tool } from './tools.js'

for (const pageSize of [512, 4096, 65536]) {
  describe(`one backup, two tools, ${pageSize}-byte pages`, function () {
    this.timeout(120_000)
    const folder = useFolder()
    const db = () => folder.file('app.db')
    const url = () => `file://${folder.file('backups')}`
    const replica = () => `file://${folder.file('backups/app')}`
    const level = (n: number) => folder.file(`backups/app/ltx/${n}`)
    const hex = (txid: number) => txid.toString(16).padStart(16, '0')

    const sql = (text: string) => {
      const app = new Database(db(), { timeout: 10_000 })
      app.exec(text)
      app.close()
    }

    /** Ships what is pending with walrust; says what lies there afterwards. */
    async function ship(...args: string[]): Promise<number> {
      const result = await walrust(['watch', db(), '-b', url(), '--once', ...args])
      assert.equal(result.code, 0, result.text)
      return newest()
    }

    async function newest(): Promise<number> {
      const { stdout } = await walrust(['list', 'app', '-b', url(), '--json'])
      return (JSON.parse(stdout) as { txid: number }).txid
    }

    /** Runs Litestream until it has shipped what was committed, and stops it as a user would. */
    async function replicate(work: () => void): Promise<void> {
      const program = tool('litestream')
      const child = spawn(program, ['replicate', db(), replica()], { stdio: 'ignore' })
      await sleep(2500)
      work()
      await sleep(3500)
      child.kill('SIGTERM')
      await once(child, 'exit')
    }

    function assertLitestreamRestores(expected: Record<string, unknown[]>, ...flags: string[]): void {
      const out = folder.file('litestream.db')
      for (const suffix of ['', '-wal', '-shm', '-txid']) rmSync(out + suffix, { force: true })
      run('litestream', 'restore', ...flags, '-o', out, replica())
      assert.equal(integrity(out), 'ok')
      assert.deepEqual(contents(out), expected)
    }

    async function assertWalrustRestores(expected: Record<string, unknown[]>, ...flags: string[]): Promise<void> {
      const out = folder.file('walrust.db')
      const result = await walrust(['restore', 'app', '-b', url(), '-o', out, '--force', ...flags])
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
      const verified = await walrust(['verify', 'app', '-b', url()])
      assert.equal(verified.code, 0, verified.stdout)
      await assertWalrustRestores(before)
      for (const file of readdirSync(level(0))) {
        const txid = Number.parseInt(file.slice(0, 16), 16)
        const result = await walrust(['restore', 'app', '-b', url(), '-o', folder.file('point.db'), '--force', '--txid', String(txid)]) // prettier-ignore
        assert.equal(result.code, 0, result.text)
        assert.equal(integrity(folder.file('point.db')), 'ok')
      }
      // Litestream is gone for good; its bookkeeping stays in the database.
      rmSync(folder.file('.app.db-litestream'), { recursive: true, force: true })
      sql("INSERT INTO rows(body) VALUES ('by walrust')")
      const refused = await walrust(['watch', db(), '-b', url(), '--once'])
      assert.equal(refused.code, 5, refused.text)
      assert.ok((await ship('--adopt')) > last)
      sql("INSERT INTO rows(body) VALUES ('and again')")
      await ship()
      await assertWalrustRestores(contents(db()))
      await assertWalrustRestores(before, '--txid', String(last))
      assertLitestreamRestores(contents(db()))
      const proof = await walrust(['verify', 'app', '-b', url()])
      assert.equal(proof.code, 0, proof.stdout)
    })

    it('walrust writes, Litestream goes on, and walrust after it', async () => {
      createDatabase(db(), { pageSize, bytes: 30_000 })
      await ship()
      sql("INSERT INTO rows(body) VALUES ('one')")
      const ours = await ship()
      const first = contents(db())
      rmSync(folder.file('.app.db-walrust'), { recursive: true, force: true })
      await replicate(() => sql("INSERT INTO rows(body) VALUES ('by Litestream')"))
      const theirs = await newest()
      assert.ok(theirs > ours)
      const second = contents(db())
      assertLitestreamRestores(second)
      await assertWalrustRestores(second)
      await assertWalrustRestores(first, '--txid', String(ours))
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
