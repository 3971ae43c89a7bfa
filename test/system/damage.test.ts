import assert from 'node:assert/strict'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { contents, createDatabase, sql, useFolder } from '../helpers/databases.js'
import { walrust } from '../helpers/processes.js'

describe('a backup that was damaged', function () {
  this.timeout(60_000)
  const folder = useFolder()
  const url = () => `file://${folder.file('backups')}`
  const level = (n: number, name = 'app') => folder.file(`backups/${name}/ltx/${n}`)
  const files = (n: number, name = 'app') =>
    readdirSync(level(n, name))
      .sort()
      .map((file) => join(level(n, name), file))

  /** Three transactions of a database, in three files. */
  async function ship(name = 'app'): Promise<void> {
    const path = folder.file(`${name}.db`)
    createDatabase(path, { bytes: 30_000 })
    await walrust(['watch', path, '-b', url(), '--once'])
    for (let i = 0; i < 3; i++) {
      sql(path, 'INSERT INTO rows(body) VALUES (randomblob(3000))')
      assert.equal((await walrust(['watch', path, '-b', url(), '--once'])).code, 0)
    }
    assert.equal(files(0, name).length, 3)
  }

  const flip = (path: string, at: number) => {
    const bytes = readFileSync(path)
    bytes[at < 0 ? bytes.length + at : at] ^= 0x10
    writeFileSync(path, bytes)
  }

  interface Case {
    what: string
    damage: () => string
    verify: RegExp
    /** What restore says; `undefined` if the damage does not concern it. */
    restore: { code: number; says: RegExp } | undefined
  }
  const cases: Case[] = [
    {
      what: 'a flipped byte in a page',
      damage: () => (flip(files(0)[1], 400), files(0)[1]),
      verify: /damaged|wrong-hash/,
      restore: { code: 5, says: /is damaged/ },
    },
    {
      what: 'a flipped byte in the header',
      damage: () => (flip(files(0)[1], 37), files(0)[1]),
      verify: /damaged/,
      restore: { code: 5, says: /is damaged/ },
    },
    {
      what: 'a flipped byte in the checksum at the end',
      damage: () => (flip(files(0)[2], -3), files(0)[2]),
      verify: /damaged/,
      restore: { code: 5, says: /is damaged/ },
    },
    {
      what: 'a truncated file',
      damage: () => {
        const bytes = readFileSync(files(0)[2])
        writeFileSync(files(0)[2], bytes.subarray(0, bytes.length - 40))
        return files(0)[2]
      },
      verify: /damaged/,
      restore: { code: 5, says: /ends too early|is damaged/ },
    },
    {
      what: 'a file cut to nothing',
      damage: () => (writeFileSync(files(0)[0], ''), files(0)[0]),
      verify: /damaged/,
      restore: { code: 5, says: /damaged/ },
    },
    {
      what: 'a missing file in the middle',
      damage: () => {
        const [, middle, last] = files(0)
        rmSync(middle)
        return last
      },
      verify: /gap: .*nothing holds transactions 3 to 3/,
      restore: { code: 6, says: /transaction 4 .*cannot be restored; the nearest that can: 2/ },
    },
    {
      what: 'no base',
      damage: () => (rmSync(level(9), { recursive: true }), ''),
      verify: /no-base: there is no file that holds the whole database/,
      restore: { code: 6, says: /cannot be restored/ },
    },
    {
      what: 'two files that have changed their names',
      damage: () => {
        const [one, two] = files(0)
        renameSync(one, `${one}.x`)
        renameSync(two, one)
        renameSync(`${one}.x`, two)
        return one
      },
      verify: /holds transactions 3 to 3/,
      restore: { code: 5, says: /holds transactions/ },
    },
    {
      what: 'trailing bytes',
      damage: () => (
        writeFileSync(files(0)[1], Buffer.concat([readFileSync(files(0)[1]), Buffer.from('x')])),
        files(0)[1]
      ),
      verify: /damaged/,
      restore: { code: 5, says: /goes on after its end/ },
    },
    {
      what: 'a file of another kind under a name of ours',
      damage: () => (
        writeFileSync(join(level(0), '0000000000000005-0000000000000005.ltx'), 'hello'),
        '0000000000000005'
      ),
      verify: /damaged/,
      restore: { code: 5, says: /0000000000000005-0000000000000005.ltx/ },
    },
    {
      what: 'a file that has nothing to do with it',
      damage: () => (writeFileSync(join(level(0), 'notes.txt'), 'hello'), 'notes.txt'),
      verify: /foreign/,
      restore: undefined,
    },
  ]

  for (const { what, damage, verify, restore } of cases) {
    it(`${what}: verify and restore say which file and why, and the target stays`, async () => {
      await ship()
      const file = damage()
      const verified = await walrust(['verify', 'app', '-b', url()])
      assert.equal(verified.code, 5, verified.stdout)
      assert.match(verified.stdout, verify)
      if (file)
        assert.ok(verified.stdout.includes(file.slice(file.lastIndexOf('/') + 1)), `${file}: ${verified.stdout}`)
      const json = JSON.parse((await walrust(['verify', 'app', '-b', url(), '--json'])).stdout) as {
        ok: boolean
        findings: unknown[]
      }
      assert.equal(json.ok, false)
      assert.ok(json.findings.length > 0)

      const target = folder.file('target.db')
      createDatabase(target, { bytes: 5000 })
      const before = contents(target)
      const run = await walrust(['restore', 'app', '-o', target, '--force', '-b', url()])
      if (!restore) {
        assert.equal(run.code, 0, run.text)
        return
      }
      assert.equal(run.code, restore.code, run.text)
      assert.match(run.text, restore.says)
      assert.deepEqual(contents(target), before)
      assert.deepEqual(
        readdirSync(folder.path).filter((name) => name.includes('restore-')),
        [],
      )
    })
  }

  it('a file of another database under the next name: the chain does not take it', async () => {
    await ship('app')
    await ship('other')
    const [, , last] = files(0, 'other')
    const name = last.slice(last.lastIndexOf('/') + 1)
    copyFileSync(last, join(level(0), name))
    const verified = await walrust(['verify', 'app', '-b', url()])
    assert.equal(verified.code, 5, verified.stdout)
    assert.match(verified.stdout, /made for another database/)
    const run = await walrust(['restore', 'app', '-o', folder.file('r.db'), '-b', url()])
    assert.equal(run.code, 5, run.text)
    assert.match(run.text, /made for another database/)
    assert.ok(!existsSync(folder.file('r.db')))
  })

  it('nothing there at all: exit 6 for both', async () => {
    mkdirSync(folder.file('backups'))
    const verified = await walrust(['verify', 'app', '-b', url()])
    assert.equal(verified.code, 6)
    assert.match(verified.stdout, /no backup/)
    assert.equal((await walrust(['restore', 'app', '-o', folder.file('r.db'), '-b', url()])).code, 6)
    assert.equal((await walrust(['list', 'app', '-b', url()])).code, 6)
  })

  it('names the points on both sides of one that cannot be restored', async () => {
    await ship()
    rmSync(files(0)[1])
    writeFileSync(join(level(9), '0000000000000001-0000000000000004.ltx'), readFileSync(files(9)[0]))
    const run = await walrust(['restore', 'app', '-o', folder.file('r.db'), '-b', url(), '--txid', '3'])
    assert.equal(run.code, 6)
    assert.match(run.text, /nearest that can: 2 and 4/)
  })

  it('restores moments: the newest at or before, never beyond', async () => {
    await ship()
    const list = JSON.parse((await walrust(['list', 'app', '-b', url(), '--json'])).stdout) as {
      history: Array<{ maxTxid: number; timestamp: string }>
    }
    const times = list.history.map(({ maxTxid, timestamp }) => ({ maxTxid, time: Date.parse(timestamp) }))
    times.sort((a, b) => a.maxTxid - b.maxTxid)
    const at = async (time: number) => {
      const run = await walrust([
        'restore',
        'app',
        '-b',
        url(),
        '-o',
        folder.file('r.db'),
        '--force',
        '--json',
        '--timestamp',
        new Date(time).toISOString(),
      ])
      return run.code === 0 ? (JSON.parse(run.stdout) as { txid: number }).txid : run.code
    }
    // What was shipped after a restart was found by comparing: between two of them no moment can be promised.
    for (const { maxTxid, time } of times) assert.equal(await at(time), maxTxid)
    assert.equal(await at(times[2].time - 1), 6)
    assert.equal(await at(times[0].time - 1), 6)
    assert.equal(await at(Date.now() + 60_000), 6)
    assert.equal(await at(times[3].time + 1), 4)
  })

  it('does not replace a database that is open, nor one without being told to', async () => {
    await ship()
    const target = folder.file('target.db')
    createDatabase(target, { bytes: 5000 })
    const { default: Database } = await import('better-sqlite3')
    const open = new Database(target)
    open.prepare('SELECT count(*) FROM rows').get()
    const refused = await walrust(['restore', 'app', '-o', target, '--force', '-b', url()])
    assert.equal(refused.code, 3, refused.text)
    assert.equal(open.prepare('SELECT count(*) FROM rows').pluck().get(), 5)
    open.close()
    assert.equal((await walrust(['restore', 'app', '-o', target, '-b', url()])).code, 6)
    assert.equal((await walrust(['restore', 'app', '-o', target, '--force', '-b', url()])).code, 0)
    assert.deepEqual(contents(target), contents(folder.file('app.db')))
  })

  it('replaces a database with a WAL that was never moved into it, and nothing of that is left', async () => {
    await ship()
    const target = folder.file('target.db')
    createDatabase(target, { bytes: 5000 })
    const { default: Database } = await import('better-sqlite3')
    const writer = new Database(target)
    writer.pragma('wal_autocheckpoint = 0')
    writer.exec('UPDATE rows SET body = randomblob(900)')
    copyFileSync(target, folder.file('t2.db'))
    copyFileSync(`${target}-wal`, folder.file('t2.db-wal'))
    writer.close()
    assert.equal((await walrust(['restore', 'app', '-o', folder.file('t2.db'), '--force', '-b', url()])).code, 0)
    assert.ok(!existsSync(folder.file('t2.db-wal')))
    assert.deepEqual(contents(folder.file('t2.db')), contents(folder.file('app.db')))
  })
})
