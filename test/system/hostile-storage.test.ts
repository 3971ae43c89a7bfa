/** What a storage may answer must not make anybody take all the memory there is, wait for ever, or write elsewhere. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { type ObjectStore, StoreError } from '../../core/object-store.js'
import { GcsStore } from '../../plugins/storage-gcs/gcs-store.js'
import { placeOf as gcsPlace } from '../../plugins/storage-gcs/place.js'
import { placeOf as s3Place } from '../../plugins/storage-s3/place.js'
import { S3Store } from '../../plugins/storage-s3/s3-store.js'
import { bounded } from '../helpers/bounded.js'
import { checksum, contents, createDatabase, useFolder } from '../helpers/databases.js'
import { GcsServer } from '../helpers/gcs-server/index.js'
import { HostileServer } from '../helpers/hostile-server.js'
import { walrust } from '../helpers/processes.js'
import type { Bucket } from '../helpers/s3-server/objects.js'
import { S3Server } from '../helpers/s3-server/index.js'

const CREDENTIALS = { accessKeyId: 'AKIATEST', secretAccessKey: 'a-secret-of-the-test', region: 'us-east-1' }

/** How the services say things. */
interface Dialect {
  open: (endpoint: string) => ObjectStore
  type: string
  /** A page of a listing that says that there is more. */
  page: (entries: number, token: string) => string
  /** How a page begins, and what can follow without end. */
  listing: readonly [string, string]
  error: readonly [string, string]
}

const DIALECTS: Readonly<Record<'s3' | 'gcs', Dialect>> = {
  s3: {
    open: (endpoint) =>
      new S3Store(s3Place({ scheme: 's3', url: 's3://bucket/prefix', options: { endpoint, ...CREDENTIALS } }, {})),
    type: 'application/xml',
    page: (entries, token) =>
      `<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>${token}</NextContinuationToken>${'<Contents><Key>prefix/x</Key><Size>1</Size><LastModified>2026-01-01T00:00:00Z</LastModified></Contents>'.repeat(entries)}</ListBucketResult>`,
    listing: [
      '<ListBucketResult>',
      '<Contents><Key>prefix/x</Key><Size>1</Size><LastModified>2026-01-01T00:00:00Z</LastModified></Contents>',
    ],
    error: ['<Error><Code>InternalError</Code><Message>', 'no '],
  },
  gcs: {
    open: (endpoint) =>
      new GcsStore(
        gcsPlace({ scheme: 'gs', url: 'gs://bucket/prefix', options: {} }, { STORAGE_EMULATOR_HOST: endpoint }),
      ),
    type: 'application/json',
    page: (entries, token) =>
      JSON.stringify({
        items: Array.from({ length: entries }, () => ({ name: 'prefix/x', size: '1', generation: '1' })),
        nextPageToken: token,
      }),
    listing: ['{"items":[', '{"name":"prefix/x","size":"1","generation":"1"},'],
    error: ['{"error":{"message":"', 'no '],
  },
}

async function listed(store: ObjectStore): Promise<number> {
  let count = 0
  for await (const _ of store.list({ prefix: '' })) count++
  return count
}

for (const [service, dialect] of Object.entries(DIALECTS)) {
  describe(`an answer without measure from ${service}`, function () {
    this.timeout(60_000)
    let server: HostileServer
    let store: ObjectStore
    beforeEach(async () => {
      server = await HostileServer.listen()
      store = dialect.open(server.endpoint)
    })
    afterEach(async () => {
      await store.close?.()
      await server.close()
    })
    const refused = (work: () => Promise<unknown>, message?: RegExp) =>
      bounded(() =>
        assert.rejects(
          work,
          (error) => error instanceof StoreError && (message?.test(error.message) ?? true),
          `${server.sent} bytes`,
        ),
      )

    it('a page of a listing that does not end', async () => {
      server.answer = server.endless(200, dialect.type, ...dialect.listing)
      await refused(() => listed(store), /more than 16777216 bytes/)
    })

    it('an error that does not end', async () => {
      server.answer = server.endless(500, dialect.type, ...dialect.error)
      await refused(() => listed(store))
      await refused(() => store.get('x'))
    })

    it('headers without end', async () => {
      server.answer = (_request, response) => {
        response.socket?.write('HTTP/1.1 200 OK\r\n')
        const line = `x-amz-meta-${'a'.repeat(1000)}: ${'b'.repeat(1000)}\r\n`
        const go = () => {
          while (response.socket?.writable) if (!response.socket.write(line)) return
        }
        response.socket?.on('drain', go)
        go()
      }
      await refused(() => store.head('x'))
    })

    it('a listing that goes round in circles, with entries and without', async () => {
      for (const entries of [0, 1]) {
        server.answer = (_request, response) =>
          response.writeHead(200, { 'content-type': dialect.type }).end(dialect.page(entries, 'again'))
        await refused(() => listed(store), /does not get on/)
      }
    })

    it('a listing of empty pages', async () => {
      let page = 0
      server.answer = (_request, response) =>
        response.writeHead(200, { 'content-type': dialect.type }).end(dialect.page(0, `page-${page++}`))
      await refused(() => listed(store), /does not get on/)
    })

    it('an object whose body does not end where it was said', async () => {
      server.answer = (request, response) => {
        if (request.method === 'HEAD' || request.url?.includes('alt=media') === false) {
          const about = JSON.stringify({ name: 'prefix/x', size: '10', generation: '1' })
          response.writeHead(200, { 'content-type': 'application/json' }).end(about)
          return
        }
        server.endless(200, 'application/octet-stream', '', 'x')(request, response)
      }
      const answer = await store.get('x')
      await refused(async () => {
        for await (const _ of answer?.body ?? []) continue
      }, /the answer has more than/)
    })
  })
}

/** Names that would lead somewhere else if anybody made a path of them, or command a terminal. */
const HOSTILE_NAMES = ['..', '../..', '../../outside', '', '/etc', 'a/../../b', './app', 'a\\..\\b', 'n'.repeat(900)]
const FILE = '0000000000000001-0000000000000001.ltx'

describe('keys in storage that lead elsewhere', function () {
  this.timeout(120_000)
  const folder = useFolder()

  const storages = {
    s3: async () => {
      const server = await new S3Server().start()
      const keys = HOSTILE_NAMES.map((name) => `backups/${name}/0000/${FILE}`)
      const own = [
        `backups/app/0000/../../../outside/${FILE}`,
        `backups/app/0000//${FILE}`,
        'backups/app/0000/ffffffffffffffff-ffffffffffffffff.ltx',
        'backups/app/0009/0000000000000009-0000000000000001.ltx',
        `backups/app/000a/${FILE}`,
      ]
      return { server, bucket: server.bucket, url: 's3://bucket/backups', hostile: [...keys, ...own] }
    },
    gcs: async () => {
      const server = await new GcsServer().start()
      const names = [...HOSTILE_NAMES, 'a\u0000b', '\u001b[2J', 'x\r\ny']
      const keys = names.map((name) => `backups/${name}/ltx/0/${FILE}`)
      const own = [
        `backups/app/ltx/0/../../../outside/${FILE}`,
        `backups/app/ltx/10/${FILE}`,
        `backups/app/ltx/0/\u0000`,
      ]
      return { server, bucket: server.bucket, url: 'gs://bucket/backups', hostile: [...keys, ...own] }
    },
  }

  for (const [service, start] of Object.entries(storages)) {
    it(`${service}: list, verify, restore and replicate leave them alone`, async () => {
      const { server, bucket, url, hostile } = await start()
      try {
        const env = server.environment
        const path = folder.file('app.db')
        createDatabase(path, { bytes: 20_000 })
        const shipped = await walrust(['watch', path, '-b', url, '--once'], { env })
        assert.equal(shipped.code, 0, shipped.text)
        plant(bucket, hostile)
        const before = tree(folder.path)
        const run = async (...args: string[]) => {
          const result = await walrust([...args, '-b', url], { env, cwd: folder.path })
          // eslint-disable-next-line no-control-regex -- they are what must not be there
          assert.doesNotMatch(result.stdout, /[\u0000\u001b\r]/)
          return result
        }
        const all = await run('list', '--json')
        assert.equal(all.code, 0, all.text)
        const { databases } = JSON.parse(all.stdout) as { databases: Array<{ name: string; files: number }> }
        assert.deepEqual(
          databases.map(({ name }) => name),
          ['app'],
        )
        const history = await run('list', 'app')
        assert.equal(history.code, 0, history.text)
        const verified = await run('verify', 'app', '--json')
        const { findings } = JSON.parse(verified.stdout) as { findings: Array<{ code: string }> }
        assert.ok(findings.length > 0 && findings.every(({ code }) => code === 'foreign'), verified.stdout)
        assert.deepEqual(tree(folder.path), before, 'something was written')
        const restored = await run('restore', 'app', '-o', 'restored.db')
        assert.equal(restored.code, 0, restored.text)
        const followed = await run('replicate', 'app', '--local', 'copy/copy.db', '--once')
        assert.equal(followed.code, 0, followed.text)
        assert.equal(checksum(folder.file('restored.db')), checksum(path))
        assert.deepEqual(contents(folder.file('copy/copy.db')), contents(path))
        for (const args of [
          ['restore', '../outside', '-o', 'x.db'],
          ['verify', '..'],
          ['replicate', '/etc', '--local', 'x.db', '--once'],
          ['list', 'n'.repeat(900)],
        ]) {
          const result = await run(...args)
          assert.equal(result.code, 2, `${args.join(' ')}: ${result.text}`)
        }
        const after = tree(folder.path).filter((name) => !before.includes(name))
        assert.ok(
          after.every((name) => name === 'restored.db' || name.startsWith('copy')),
          after.join('\n'),
        )
      } finally {
        await server.stop()
      }
    })
  }
})

/** Puts whole, valid files under keys where none belongs. */
function plant(bucket: Bucket, keys: readonly string[]): void {
  const [base] = bucket.keys().filter((key) => key.endsWith('.ltx'))
  const { bytes, size, etag, sha256, metadata } = bucket.objects.get(base)!
  for (const key of keys) bucket.store(key, { bytes, size, etag, sha256, metadata })
}

/** Everything below a folder. */
function tree(folder: string): string[] {
  return (readdirSync(folder, { recursive: true }) as string[]).sort()
}
