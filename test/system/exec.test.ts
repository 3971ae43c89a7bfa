import assert from 'node:assert/strict'
import { existsSync, rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { contents, createDatabase, sql, useFolder } from '../helpers/databases.js'
import type { ApplicationOptions } from '../helpers/application.js'
import { walrust, WalrustProcess } from '../helpers/processes.js'
import { restoreFrom } from '../helpers/storage.js'

const APPLICATION = fileURLToPath(new URL('../helpers/application.js', import.meta.url))

describe('watch --exec', function () {
  this.timeout(120_000)
  const folder = useFolder()
  const db = () => folder.file('app.db')
  const backups = () => folder.file('backups')
  const running: WalrustProcess[] = []

  afterEach(async () => {
    for (const run of running.splice(0)) await run.kill('SIGKILL')
  })

  function application(options: Partial<ApplicationOptions> = {}): string {
    return `'${process.execPath}' "${APPLICATION}" '${JSON.stringify({ path: db(), ...options })}'`
  }

  function start(command: string, ...args: string[]): WalrustProcess {
    const run = new WalrustProcess([
      'watch',
      db(),
      '-b',
      `file://${backups()}`,
      '--no-metrics',
      '--exec',
      command,
      ...args,
    ])
    running.push(run)
    return run
  }

  /** Resolves when the application has said something. */
  async function said(run: WalrustProcess, text: string): Promise<void> {
    let over = false
    void run.exit.then(() => (over = true))
    while (!run.stdout.includes(text)) {
      assert.ok(!over, `it ended without saying “${text}”:\n${run.stdout}${run.tail()}`)
      await sleep(20)
    }
  }

  /** After the end of walrust: everything that is in the database is in storage. */
  async function assertNothingIsMissing(): Promise<void> {
    await restoreFrom(backups(), 'app', folder.file('restored.db'))
    assert.deepEqual(contents(folder.file('restored.db')), contents(db()))
  }

  const ENDS: ReadonlyArray<[string, ApplicationOptions['end'], number]> = [
    ['exits 0', 0, 0],
    ['exits 7', 7, 7],
    ['is killed', 'SIGKILL', 137],
    ['crashes', 'SIGSEGV', 139],
    ['aborts', 'SIGABRT', 134],
  ]
  for (const [what, end, code] of ENDS) {
    it(`ends with ${code} if the application ${what}, with its last commit in storage`, async () => {
      createDatabase(db(), { bytes: 20_000 })
      const run = start(application({ rows: 50, end }))
      assert.equal(await run.exit, code, run.tail())
      assert.match(run.stdout, /ready/)
      await assertNothingIsMissing()
    })
  }

  it('waits for an application that makes its database, and takes that up even if it was made just before the end', async () => {
    const run = start(application({ rows: 3, end: 7 }))
    assert.equal(await run.exit, 7, run.tail())
    await assertNothingIsMissing()
  })

  it('tells that nothing was backed up, if there is no database when an application has ended well', async () => {
    const run = start('true')
    assert.equal(await run.exit, 3, run.tail())
  })

  it('passes SIGTERM on and ships what the application commits upon it', async () => {
    const run = start(application())
    await said(run, 'ready')
    await run.line('shipped')
    assert.equal(await run.kill('SIGTERM'), 0, run.tail())
    assert.match(run.stdout, /asked to end/)
    await assertNothingIsMissing()
    const rows = contents(db()).rows as Array<[number, string]>
    assert.equal(rows.at(-1)?.[1], 'its last words')
  })

  it('passes signals on that mean nothing to walrust', async () => {
    const run = start(application())
    await said(run, 'ready')
    await run.line('watching')
    for (const signal of ['SIGUSR2', 'SIGHUP'] as const) {
      run.child.kill(signal)
      await said(run, `got ${signal}`)
    }
    assert.equal(await run.kill('SIGTERM'), 0)
    await assertNothingIsMissing()
  })

  it('kills an application that ignores SIGTERM after the shutdown timeout, with its last commit in storage', async () => {
    const run = start(application({ stubborn: true }), '--shutdown-timeout', '1s')
    await said(run, 'ready')
    assert.equal(await run.kill('SIGTERM'), 137, run.tail())
    assert.match(run.stdout, /asked to end/)
    await assertNothingIsMissing()
  })

  it('ends at once at a second signal, and the application with it', async () => {
    const run = start(application({ stubborn: true }), '--shutdown-timeout', '1h')
    await said(run, 'ready')
    run.child.kill('SIGTERM')
    await said(run, 'asked to end')
    // Its output is closed when both have ended.
    assert.equal(await run.kill('SIGTERM'), 4)
  })

  it('cannot run what is not there, or with --once', async () => {
    createDatabase(db())
    const missing = start('/no/such/program')
    assert.equal(await missing.exit, 2)
    assert.match(missing.tail(), /cannot run .{0,20}program/)
    assert.equal(await start('true', '--once').exit, 2)
    assert.equal(await start('"true').exit, 2)
  })

  describe('--restore-if-db-not-exists', () => {
    /** What is left on a machine whose disk is new. */
    function loseTheDisk(): void {
      for (const name of ['app.db', 'app.db-wal', 'app.db-shm', '.app.db-walrust']) {
        rmSync(folder.file(name), { recursive: true, force: true })
      }
    }
    const restoring = '--restore-if-db-not-exists'

    it('brings the database back before the application starts, and ships on from there', async () => {
      const first = start(application({ rows: 5, end: 0 }))
      assert.equal(await first.exit, 0, first.tail())
      loseTheDisk()
      const second = start(application({ rows: 2, end: 0 }), restoring)
      assert.equal(await second.exit, 0, second.tail())
      assert.match(second.stdout, /found 5\n/)
      await assertNothingIsMissing()
      assert.equal(contents(db()).rows.length, 7)
    })

    it('leaves a database alone that is there', async () => {
      createDatabase(db())
      sql(db(), "INSERT INTO rows(body) VALUES ('one')")
      assert.equal(await start(application({ rows: 0, end: 0 })).exit, 0)
      sql(db(), "INSERT INTO rows(body) VALUES ('two')")
      const run = start(application({ rows: 0, end: 0 }), restoring)
      assert.equal(await run.exit, 0, run.tail())
      assert.match(run.stdout, /found 2\n/)
      await assertNothingIsMissing()
    })

    it('starts with nothing if there is no backup', async () => {
      const run = start(application({ rows: 4, end: 0 }), restoring)
      assert.equal(await run.exit, 0, run.tail())
      assert.match(run.stdout, /found 0\n/)
      await assertNothingIsMissing()
    })

    it('starts nothing if the storage cannot say what it has', async () => {
      const run = new WalrustProcess(
        ['watch', db(), '-b', 's3://bucket/prefix', '--endpoint', 'http://127.0.0.1:1', '--no-metrics'].concat(
          ['--max-retries', '1', '--exec', application({ end: 0 })],
          restoring,
        ),
        { env: { AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b', AWS_REGION: 'us-east-1' } },
      )
      running.push(run)
      assert.equal(await run.exit, 4, run.tail())
      assert.equal(run.stdout, '')
      assert.ok(!existsSync(db()))
    })

    it('does not guess which files of a pattern are missing', async () => {
      const run = await walrust(['watch', folder.file('*.db'), '-b', `file://${backups()}`, restoring])
      assert.equal(run.code, 2, run.text)
    })
  })
})
