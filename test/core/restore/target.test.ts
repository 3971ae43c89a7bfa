import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { type ErrorCode, isError } from '../../../core/errors.js'
import { DatabaseTarget } from '../../../core/restore/database-target.js'
import { Remote } from '../../../core/remote.js'
import { restorePoint } from '../../../core/restore/restore-point.js'
import { Chain } from '../../helpers/chain.js'
import { contents, createDatabase, integrity, sql, useFolder } from '../../helpers/databases.js'
import type { StepOptions } from '../../helpers/restore-step.js'
import { remoteIn } from '../../helpers/storage.js'

const STEP = fileURLToPath(new URL('../../helpers/restore-step.js', import.meta.url))
const SQLITE = createRequire(import.meta.url).resolve('better-sqlite3')

describe('the place where a restored database goes', function () {
  this.timeout(120_000)
  const folder = useFolder()
  const target = () => folder.file('place/app.db')

  /** A backup of two transactions; its newest state is in `state`. */
  async function backup(): Promise<{ remote: Remote; state: string }> {
    const chain = new Chain(folder.file('backups'), folder.file('scratch'))
    chain.commit('CREATE TABLE rows(id INTEGER PRIMARY KEY, body)')
    chain.commit("INSERT INTO rows(body) VALUES ('restored')")
    const state = chain.state()
    chain.close()
    mkdirSync(folder.file('place'), { recursive: true })
    return { remote: await remoteIn(folder.file('backups'), 'app'), state }
  }

  /** A database whose newest commit is only in its WAL: its application was killed. */
  function killedDatabase(path: string): void {
    createDatabase(path)
    run(path, "db.pragma('wal_autocheckpoint = 0'); db.exec(`INSERT INTO rows(body) VALUES ('old')`); process.kill(process.pid, 'SIGKILL')") // prettier-ignore
    assert.ok(statSync(`${path}-wal`).size > 0)
  }

  /** Runs code beside an open connection in another process, to its end. */
  function run(path: string, code: string): void {
    spawnSync(process.execPath, ['-e', `const db = new (require('${SQLITE}'))('${path}'); ${code}`])
  }

  /** A program that has the database open and does nothing. */
  async function user(path: string): Promise<() => Promise<void>> {
    const code = `const db = new (require('${SQLITE}'))('${path}'); db.prepare('SELECT count(*) FROM rows').get(); console.log('open'); setInterval(() => db, 1000)`
    const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(child.stdout, 'data')
    return async () => {
      child.kill('SIGKILL')
      await once(child, 'close')
    }
  }

  const bring = async (remote: Remote, path = target(), force = true) =>
    await restorePoint(remote, await remote.inventory(), {}, { target: path, force, integrityCheck: 'full' })
  const refused = (work: Promise<unknown>, code: ErrorCode) => assert.rejects(work, (error) => isError(error, code))
  const names = () => readdirSync(folder.file('place')).sort()

  it('refuses to replace what somebody has open, and leaves no trace', async () => {
    const { remote } = await backup()
    createDatabase(target())
    sql(target(), "INSERT INTO rows(body) VALUES ('old')")
    const close = await user(target())
    const before = names()
    try {
      await refused(bring(remote), 'E_DATABASE_BUSY')
      assert.deepEqual(names(), before)
    } finally {
      await close()
    }
    assert.equal(integrity(target()), 'ok')
    await bring(remote)
    assert.deepEqual(names(), ['app.db'])
  })

  it('leaves an old database with all its commits if the backup is damaged', async () => {
    const { remote } = await backup()
    killedDatabase(target())
    const [, file] = [...(await remote.inventory()).files()]
    const path = folder.file(`backups/${file.key}`)
    const bytes = readFileSync(path)
    bytes[bytes.length >> 1] ^= 1
    writeFileSync(path, bytes)
    await refused(bring(remote), 'E_OBJECT_DAMAGED')
    assert.deepEqual(contents(target()).rows, [[1, 'old']])
  })

  it('leaves nothing of the old database beside the new one, and its WAL not even while it is locked', async () => {
    const { remote, state } = await backup()
    killedDatabase(target())
    writeFileSync(`${target()}-journal`, '')
    await bring(remote)
    assert.deepEqual(names(), ['app.db'])
    assert.deepEqual(contents(target()), contents(state))
  })

  it('takes nothing away from whoever uses the new database at once', async () => {
    const { state } = await backup()
    for (const journal of ['WAL', 'DELETE']) {
      if (existsSync(target())) renameSync(target(), folder.file('gone'))
      killedDatabase(target())
      if (journal === 'DELETE') sql(target(), 'PRAGMA journal_mode = DELETE')
      const place = DatabaseTarget.claim(target(), true, folder.file('place/.alias'))
      const made = folder.file('place/.made')
      copyFileSync(state, made)
      await place.replaceWith(made)
      // Its commit is in the WAL alone.
      run(target(), "db.pragma('wal_autocheckpoint = 0'); db.exec(`INSERT INTO rows(body) VALUES ('newer')`); process.kill(process.pid, 'SIGKILL')") // prettier-ignore
      place.release()
      assert.deepEqual(contents(target()).rows, [
        [1, 'restored'],
        [2, 'newer'],
      ])
      assert.deepEqual(names(), ['app.db'])
    }
  })

  it('does not take the place of a database that was made while it restored', async () => {
    const { remote } = await backup()
    const making = new Proxy(remote, {
      get: (of, name) => {
        const value = Reflect.get(of, name, of) as unknown
        if (name !== 'openPart') return typeof value === 'function' ? (value.bind(of) as unknown) : value
        return async (...args: Parameters<Remote['openPart']>) => {
          if (!existsSync(target())) createDatabase(target())
          return await of.openPart(...args)
        }
      },
    })
    for (const force of [false, true]) {
      await refused(bring(making, target(), force), 'E_TARGET_EXISTS')
      assert.deepEqual(contents(target()), { rows: [] })
      assert.deepEqual(names(), ['app.db'])
      renameSync(target(), folder.file('gone'))
    }
  })

  it('keeps the permissions of the old database, and follows a link to it', async () => {
    const { remote, state } = await backup()
    const real = folder.file('real.db')
    createDatabase(real)
    chmodSync(real, 0o640)
    symlinkSync(real, target())
    await bring(remote)
    assert.ok(lstatSync(target()).isSymbolicLink())
    assert.equal(statSync(real).mode & 0o777, 0o640)
    assert.deepEqual(contents(real), contents(state))
  })

  it('replaces what is no database any more, and an empty file', async () => {
    const { remote, state } = await backup()
    for (const old of [
      'no database at all, but something that is longer than a header of SQLite would be. '.repeat(9),
      '',
    ]) {
      writeFileSync(target(), old)
      await refused(bring(remote, target(), false), 'E_TARGET_EXISTS')
      await bring(remote)
      assert.deepEqual(contents(target()), contents(state))
      assert.deepEqual(names(), ['app.db'])
    }
  })

  it('leaves alone what another restore may be making just now', async () => {
    const { remote } = await backup()
    const left = folder.file('place/.app.db.restore-0123456789ab')
    writeFileSync(left, 'half a database')
    utimesSync(left, 0, 0)
    await bring(remote)
    // When it was last changed is nothing that can be set, and that was just now.
    assert.ok(existsSync(left))
  })

  for (const force of [true, false]) {
    const what = force ? 'leaves the old or the new database' : 'leaves nothing or the new database'
    it(`SIGKILL at every step ${what}`, async () => {
      const { state } = await backup()
      const setup = { backups: folder.file('backups'), name: 'app', path: target(), force }
      const step = (killAt: number) => {
        const options: StepOptions = { ...setup, killAt }
        return spawnSync(process.execPath, [STEP, JSON.stringify(options)], { encoding: 'utf8' })
      }
      const old = folder.file('old.db')
      killedDatabase(old)
      const fresh = () => {
        for (const name of names()) renameSync(folder.file(`place/${name}`), folder.file(`gone-${name}`))
        if (force) for (const suffix of ['', '-wal']) copyFileSync(old + suffix, target() + suffix)
      }
      fresh()
      const all = step(0)
      assert.equal(all.status, 0, all.stderr)
      const calls = JSON.parse(all.stdout) as string[]
      assert.ok(calls.includes(force ? 'renameSync' : 'linkSync') && calls.includes('sync') && calls.includes('write'))
      let replaced = 0
      for (let killAt = 1; killAt <= calls.length; killAt++) {
        fresh()
        assert.equal(step(killAt).signal, 'SIGKILL')
        const where = `killed at ${killAt}, ${calls[killAt - 1]}`
        if (!existsSync(target())) assert.ok(!force && replaced === 0, where)
        else {
          const rows = contents(target()).rows as Array<[number, string]>
          assert.equal(integrity(target()), 'ok', where)
          if (rows[0][1] === 'restored') replaced++
          assert.deepEqual(rows, [[1, replaced > 0 ? 'restored' : 'old']], where)
          assert.ok(force || replaced > 0, where)
        }
        // And whatever is left does not keep the next one from succeeding.
        if (killAt % 10 === 0) {
          const again = spawnSync(process.execPath, [STEP, JSON.stringify({ ...setup, force: true, killAt: 0 })])
          assert.equal(again.status, 0, where)
          assert.deepEqual(contents(target()), contents(state), where)
        }
      }
      assert.ok(replaced > 0 && replaced < calls.length)
    })
  }
})
