import Database from 'better-sqlite3'
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { contents, integrity } from '../helpers/databases.js'
import { walrust } from '../helpers/processes.js'
import { S3Service } from './s3-service.js'
import { runWith } from './tools.js'

/** Tables that Litestream adds to a database lie in its backup, too. */
function applicationTables(path: string): Record<string, unknown[]> {
  return Object.fromEntries(Object.entries(contents(path)).filter(([name]) => !name.startsWith('_litestream')))
}

for (const storage of ['file', 's3'] as const) {
  describe(`a replica of what Litestream writes, ${storage}://`, function () {
    this.timeout(120_000)
    let service: S3Service | undefined
    before(async () => {
      if (storage === 's3') service = await S3Service.start()
    })
    after(() => service?.stop())
    const env = () => service?.env ?? {}
    let tests = 0
    let folder: string
    let source: string
    let copy: string
    let url: string
    /** The same place, as Litestream calls it. */
    let theirs: string
    let reader: Database.Database | undefined
    beforeEach(() => {
      folder = mkdtempSync(join(tmpdir(), 'walrust-replica-'))
      source = join(folder, 'app.db')
      copy = join(folder, 'copy/app.db')
      const prefix = `backups-${tests++}`
      url = service ? `s3://bucket/${prefix}` : `file://${join(folder, prefix)}`
      theirs = service?.litestreamUrl(`${prefix}/app`) ?? `${url}/app`
    })
    afterEach(() => {
      reader?.close()
      reader = undefined
      rmSync(folder, { recursive: true, force: true })
    })

    /** Changes the database while nobody else has it open. */
    function change(sql: string): void {
      const db = new Database(source)
      db.pragma('journal_mode = WAL')
      db.exec(sql)
      db.close()
    }

    async function ours(...args: string[]): Promise<void> {
      const { code, text } = await walrust(args, { env: env() })
      assert.equal(code, 0, text)
    }

    /** The replica comes up to the source, under a connection that has been open since its beginning. */
    async function follows(): Promise<void> {
      await ours('replicate', 'app', '-b', url, '--local', copy, '--once', '--interval', '50ms')
      assert.deepEqual(applicationTables(copy), applicationTables(source))
      assert.equal(integrity(copy), 'ok')
      reader ??= new Database(copy)
      assert.deepEqual(reader.prepare('SELECT count(*), max(id) FROM t').raw().get(), [
        applicationTables(source).t.length,
        Math.max(...applicationTables(source).t.map((row) => (row as number[])[0])),
      ])
    }

    for (const program of ['litestream', 'litestream-frames'] as const) {
      const litestream = () => runWith(env(), program, 'replicate', '-once', source, theirs)

      it(`${program}: from its first file on, through inserts, deletes and a VACUUM`, async () => {
        change('CREATE TABLE t(id INTEGER PRIMARY KEY, v)')
        for (let round = 1; round <= 4; round++) {
          change(`WITH n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 60)
          INSERT INTO t(v) SELECT randomblob(400) FROM n`)
          if (round === 3) change('DELETE FROM t WHERE id BETWEEN 20 AND 150; VACUUM')
          litestream()
          await follows()
        }
      })

      it(`${program}: handed over to us in the middle`, async () => {
        change('CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t(v) VALUES (1), (2)')
        litestream()
        await follows()
        change('INSERT INTO t(v) VALUES (3)')
        litestream()
        change('INSERT INTO t(v) VALUES (4)')
        await ours('watch', source, '-b', url, '--once', '--adopt')
        await follows()
        change('INSERT INTO t(v) VALUES (5)')
        await ours('watch', source, '-b', url, '--once')
        await follows()
      })
    }

    it('of ours, handed over to Litestream in the middle', async () => {
      change('CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t(v) VALUES (1), (2)')
      for (let i = 3; i < 6; i++) {
        await ours('watch', source, '-b', url, '--once')
        await follows()
        change(`INSERT INTO t(v) VALUES (${i})`)
      }
      for (let i = 6; i < 9; i++) {
        runWith(env(), 'litestream', 'replicate', '-once', source, theirs)
        await follows()
        change(`INSERT INTO t(v) VALUES (${i})`)
      }
    })
  })
}
