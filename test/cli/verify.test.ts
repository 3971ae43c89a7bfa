import assert from 'node:assert/strict'
import { copyFileSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createDatabase, sql, useFolder } from '../helpers/databases.js'
import { walrust, WalrustProcess } from '../helpers/processes.js'

interface Answer {
  ok: boolean
  depth: string
  txid: number
  bytes: number
  bytesRead: number
  findings: Array<{ code: string; what: string; file?: string }>
  restored?: { txid: number; checksumCompared: boolean }
  against?: { txid: number; shipped: boolean }
}

describe('walrust verify', function () {
  this.timeout(120_000)
  const folder = useFolder()
  const url = () => `file://${folder.file('backups')}`
  const database = () => folder.file('app.db')
  const watchOnce = async () => assert.equal((await walrust(['watch', database(), '-b', url(), '--once'])).code, 0)

  async function verify(...args: string[]): Promise<{ code: number; answer: Answer }> {
    const { code, stdout, text } = await walrust(['verify', 'app', '-b', url(), '--json', ...args])
    assert.ok(stdout.startsWith('{'), text)
    return { code, answer: JSON.parse(stdout) as Answer }
  }

  it('--quick reads no pages, --restore restores and leaves nothing behind', async () => {
    createDatabase(database(), { bytes: 300_000 })
    await watchOnce()
    const quick = await verify('--quick')
    assert.deepEqual([quick.code, quick.answer.depth, quick.answer.findings], [0, 'quick', []])
    assert.ok(quick.answer.bytesRead < 1000 && quick.answer.bytes > 100_000)
    const restored = await verify('--restore', '--scratch', folder.path)
    assert.deepEqual([restored.code, restored.answer.depth, restored.answer.ok], [0, 'full', true])
    assert.deepEqual([restored.answer.restored?.txid, restored.answer.restored?.checksumCompared], [1, true])
    assert.deepEqual(
      readdirSync(folder.path).filter((name) => name.startsWith('walrust-verify-')),
      [],
    )
  })

  it('--restore tells what a restore meets: exit 5', async () => {
    createDatabase(database(), { bytes: 300_000 })
    await watchOnce()
    const level = folder.file('backups/app/ltx/9')
    const [name] = readdirSync(level)
    const bytes = readFileSync(join(level, name))
    bytes[50_000] ^= 1
    writeFileSync(join(level, name), bytes)
    // Both ends are right, so that a glance sees nothing.
    const { code, answer } = await verify('--quick', '--restore')
    assert.equal(code, 5)
    assert.deepEqual(
      answer.findings.map((finding) => finding.code),
      ['restore-failed'],
    )
    assert.match(answer.findings[0].what, /0000000000000001/)
  })

  it('--against tells whether a database that nobody watches is exactly what storage has', async () => {
    createDatabase(database(), { bytes: 50_000 })
    await watchOnce()
    sql(database(), 'INSERT INTO rows(body) VALUES (randomblob(2000))')
    await watchOnce()
    const same = await verify('--against', database())
    assert.deepEqual([same.code, same.answer.against?.txid, same.answer.findings], [0, 2, []])

    copyFileSync(database(), folder.file('old.db'))
    sql(database(), 'INSERT INTO rows(body) VALUES (randomblob(2000))')
    const ahead = await verify('--against', database())
    assert.equal(ahead.code, 5)
    assert.match(ahead.answer.findings[0].what, /not as transaction 2.*not shipped/)

    await watchOnce()
    assert.equal((await verify('--against', database())).code, 0)
    const older = await verify('--against', folder.file('old.db'))
    assert.equal(older.code, 5)
    assert.match(older.answer.findings[0].what, /as it was at transaction 2, and storage has 3/)

    // The newest file is gone: nothing in storage tells, but the database does.
    for (const place of ['ltx/0', 'walrust/0']) {
      const files = readdirSync(folder.file(`backups/app/${place}`)).sort()
      rmSync(folder.file(`backups/app/${place}/${files.at(-1)}`))
    }
    assert.equal((await verify()).code, 0)
    assert.equal((await verify('--against', database())).code, 5)
  })

  it('--against a database that is watched and written: what was committed before is shipped first', async () => {
    createDatabase(database(), { bytes: 50_000 })
    const watching = new WalrustProcess(['watch', database(), '-b', url(), '--no-metrics', '--sync-interval', '1h'])
    try {
      await watching.line('shipped')
      for (let i = 0; i < 3; i++) {
        sql(database(), 'INSERT INTO rows(body) VALUES (randomblob(2000))')
        const { code, answer } = await verify('--quick', '--against', database())
        assert.deepEqual([code, answer.findings, answer.against?.shipped], [0, [], true])
      }
    } finally {
      assert.equal(await watching.kill('SIGTERM'), 0)
    }
  })
})
