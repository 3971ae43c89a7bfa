import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Finding } from '../../core/verify/finding.js'
import { contents, createDatabase, sql, useFolder } from '../helpers/databases.js'
import { NAME } from '../helpers/gzip-codec.js'
import { walrust, WalrustProcess } from '../helpers/processes.js'
import { S3Server } from '../helpers/s3-server/index.js'

const CODEC = fileURLToPath(new URL('../helpers/gzip-codec.js', import.meta.url))

/** A codec as somebody else writes it, listed in a configuration, with real processes from end to end. */
describe('a codec of a third party', function () {
  this.timeout(120_000)
  const folder = useFolder()
  const db = () => folder.file('app.db')
  const insert = () => sql(db(), 'INSERT INTO rows(body) VALUES (randomblob(2000))')

  /** Writes a configuration and returns how walrust is run with it. */
  function configured(storage: string, env: NodeJS.ProcessEnv = {}, plugins: unknown[] = [CODEC]) {
    const settings = { databases: [{ path: db() }], storage, plugins, metrics: false, sync: { interval: '10ms' } }
    const file = folder.file(`walrust-${plugins.length}.json`)
    writeFileSync(file, JSON.stringify({ ...settings, compaction: { levels: ['1s'], keep: ['1s', '1d'] } }))
    const args = ['--config', file]
    return {
      run: (...more: string[]) => walrust([...args, ...more], { env, cwd: folder.path }),
      watch: () => new WalrustProcess([...args, 'watch'], { env, cwd: folder.path }),
    }
  }

  /** Ships a snapshot and three transactions, and one more after a restart. */
  async function ship({ run, watch }: ReturnType<typeof configured>): Promise<void> {
    createDatabase(db(), { bytes: 200_000 })
    const watching = watch()
    try {
      await watching.line('shipped')
      for (let txid = 2; txid <= 4; txid++) {
        insert()
        await watching.line((line) => line.message === 'shipped' && line.txid === txid)
      }
      const snapshot = await run('snapshot', db())
      assert.equal(snapshot.code, 0, snapshot.text)
    } finally {
      assert.equal(await watching.kill('SIGTERM'), 0, watching.tail())
    }
    insert()
    const again = await run('watch', '--once')
    assert.equal(again.code, 0, again.text)
    assert.ok(!again.lines.some(({ message }) => message === 'comparing with storage'), again.text)
  }

  /** Whatever reads comes back with the same database, or proves it. */
  async function readsBack({ run }: ReturnType<typeof configured>, file: string): Promise<void> {
    const restored = await run('restore', 'app', '-o', file)
    assert.equal(restored.code, 0, restored.text)
    assert.deepEqual(contents(file), contents(db()))
    for (const how of [['--restore'], ['--quick']]) {
      const verified = await run('verify', 'app', ...how)
      assert.equal(verified.code, 0, verified.text + verified.stdout)
    }
  }

  it('is around every object, recorded with each, and taken off by all that reads', async () => {
    const backups = folder.file('backups')
    mkdirSync(backups)
    const through = configured(`file://${backups}`)
    await ship(through)
    const objects = files(join(backups, 'app/ltx'))
    assert.ok(objects.length >= 6, objects.join())
    for (const path of objects) {
      assert.deepEqual([...readFileSync(path).subarray(0, 2)], [0x1f, 0x8b], `${path} is gzip`)
      const record = path.replace('/ltx/', '/walrust/').replace(/\.ltx$/, '.json')
      const facts = JSON.parse(readFileSync(record, 'utf8')) as Record<string, string>
      assert.equal(facts['walrust-codecs'], NAME)
    }
    await readsBack(through, folder.file('back.db'))
    const point = await through.run('restore', 'app', '-o', folder.file('third.db'), '--txid', '3')
    assert.equal(point.code, 0, point.text)
    const compacted = await through.run('compact', 'app', '--force', '--json')
    assert.equal(compacted.code, 0, compacted.text)
    assert.ok((JSON.parse(compacted.stdout) as { merge: unknown[] }).merge.length > 0, compacted.stdout)
    await readsBack(through, folder.file('compacted.db'))
    const replica = await through.run('replicate', 'app', '--local', folder.file('replica.db'), '--once')
    assert.equal(replica.code, 0, replica.text)
    assert.deepEqual(contents(folder.file('replica.db')), contents(db()))

    // Without it: exit 2, its name, and nothing in the place of the database.
    const without = configured(`file://${backups}`, {}, [])
    for (const args of [
      ['restore', 'app', '-o', folder.file('none.db')],
      ['verify', 'app'],
      ['verify', 'app', '--quick'],
      ['verify', 'app', '--restore'],
      ['replicate', 'app', '--local', folder.file('none.db'), '--once'],
    ]) {
      const refused = await without.run(...args)
      assert.equal(refused.code, 2, `${args.join(' ')}: ${refused.text}`)
      assert.match(refused.text, new RegExp(`written through ${NAME}, which is not installed`))
    }
    assert.ok(!existsSync(folder.file('none.db')))
    const error = JSON.parse((await without.run('restore', 'app', '-o', 'none.db', '--json')).stdout) as {
      error: { code: string; hint: string }
    }
    assert.deepEqual([error.error.code, /under `plugins`/.test(error.error.hint)], ['E_CODEC_MISSING', true])
    assert.equal((await without.run('list', 'app')).code, 0)
  })

  it('is recorded with objects that carry their metadata themselves', async () => {
    const server = await new S3Server().start()
    try {
      const through = configured('s3://bucket/backups', server.environment)
      await ship(through)
      const shipped = [...server.bucket.objects].filter(([key]) => key.includes('/0000/'))
      assert.equal(shipped.length, 4)
      for (const [key, { metadata }] of shipped) assert.equal(metadata['walrust-codecs'], NAME, key)
      await readsBack(through, folder.file('back.db'))
      const without = configured('s3://bucket/backups', server.environment, [])
      for (const how of [[], ['--quick']]) {
        const refused = await without.run('verify', 'app', ...how, '--json')
        assert.equal(refused.code, 2, refused.text)
        const { findings } = JSON.parse(refused.stdout) as { findings: Finding[] }
        assert.ok(
          findings.every(({ code }) => code === 'codec-missing'),
          refused.stdout,
        )
        assert.ok(
          shipped.every(([key]) => findings.some(({ file }) => key.endsWith(file ?? '?'))),
          refused.stdout,
        )
      }
    } finally {
      await server.stop()
    }
  })
})

function files(root: string): string[] {
  return (readdirSync(root, { recursive: true }) as string[])
    .filter((name) => name.endsWith('.ltx'))
    .map((name) => join(root, name))
}
