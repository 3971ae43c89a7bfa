import Database from 'better-sqlite3'
import assert from 'node:assert/strict'
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type Server } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Engine } from '../../core/engine.js'
import { WalrustError } from '../../core/errors.js'
import type { WalrustEvent } from '../../core/events.js'
import { openRemoval } from '../../core/fence/entry.js'
import { Heartbeats } from '../../core/fence/heartbeats.js'
import { heartbeatKey } from '../../core/fence/keys.js'
import { Host } from '../../core/host.js'
import { SILENT } from '../../core/log.js'
import { CHECKSUM_FLAG } from '../../core/ltx/index.js'
import { isName, parseKey } from '../../core/object-keys.js'
import { type ObjectInfo, StoreError } from '../../core/object-store.js'
import { redact } from '../../core/redact.js'
import { Remote } from '../../core/remote.js'
import { Replica } from '../../core/replica/replica.js'
import { planRestore } from '../../core/restore/plan.js'
import { readRemoteTable } from '../../core/restore/remote-table.js'
import { restore } from '../../core/restore/restore.js'
import { verify } from '../../core/verify/verify.js'
import { keepSecretVariables } from '../../core/secret-environment.js'
import { FileStore } from '../../plugins/storage-file/file-store.js'
import { MemoryStore } from '../../plugins/storage-memory/index.js'
import { bounded } from '../helpers/bounded.js'
import { Chain } from '../helpers/chain.js'
import { contents, createDatabase, useFolder } from '../helpers/databases.js'
import { forge } from '../helpers/ltx-forge.js'
import { runCli, walrust, WalrustProcess } from '../helpers/processes.js'
import { bodyOf } from '../../core/store-rules.js'
import { close, listen, originOf } from '../helpers/loopback.js'

const modeOf = (path: string) => statSync(path).mode & 0o777
const hooks = new Host(SILENT).hooks
const signal = new AbortController().signal

describe('security', function () {
  this.timeout(60_000)
  const folder = useFolder()

  describe('names and keys', () => {
    it('no name leads anywhere else', async () => {
      for (const name of [
        '..',
        '../x',
        'a/../../x',
        '/etc',
        'a//b',
        './a',
        'a/.',
        'a\\b',
        'a\u0000',
        '\u001b[2J',
        'a\u009b',
        '',
      ]) {
        assert.equal(isName(name), false, JSON.stringify(name))
        assert.throws(() => new Remote(new MemoryStore(), name, hooks), WalrustError)
      }
      const run = await walrust(['restore', '../other', '-b', `file://${folder.path}`, '-o', folder.file('x.db')])
      assert.equal(run.code, 2)
      assert.deepEqual(readdirSync(folder.path), [])
    })

    it('keys with such names are nobody’s files', () => {
      const file = '0000000000000001-0000000000000001.ltx'
      assert.ok(parseKey('nested', `app/ltx/0/${file}`))
      for (const name of ['..', '../x', 'a/../b', '\u001b[2Jx', 'x\ny', 'a//b', 'n'.repeat(600)]) {
        assert.equal(parseKey('nested', `${name}/ltx/0/${file}`), undefined)
        assert.equal(parseKey('flat', `${name}/0000/${file}`), undefined)
      }
    })

    it('listing a storage with hostile names shows the others, and commands no terminal', async () => {
      const chain = new Chain(folder.file('backups'), folder.file('scratch'))
      chain.commit('CREATE TABLE t(a)')
      chain.close()
      const hostile = folder.file('backups/\u001b[2Jevil/ltx/0')
      mkdirSync(hostile, { recursive: true })
      writeFileSync(join(hostile, '0000000000000001-0000000000000001.ltx'), 'x')
      const run = await walrust(['list', '-b', `file://${folder.file('backups')}`])
      assert.equal(run.code, 0, run.text)
      assert.match(run.stdout, /^app /m)
      assert.ok(!run.stdout.includes('\u001b'))
    })

    const outside = () => folder.file('outside')
    const store = () => new FileStore(folder.file('store'))
    const put = (key: string) => store().put(key, () => bodyOf(Buffer.from('new')), { ifAbsent: true })

    it('a folder of objects is not left by a key', async () => {
      mkdirSync(folder.file('store'))
      writeFileSync(outside(), 'secret')
      for (const key of ['../outside', 'a/../../outside', '..', '/etc/hostname', 'a/../../store2/x']) {
        await assert.rejects(put(key), StoreError, key)
        await assert.rejects(store().get(key), StoreError, key)
        await assert.rejects(store().head(key), StoreError, key)
        await assert.rejects(store().delete([key]), StoreError, key)
      }
      await assert.rejects(async () => {
        for await (const _ of store().list({ prefix: '../' })) assert.fail('something was listed')
      }, StoreError)
      assert.equal(readFileSync(outside(), 'utf8'), 'secret')
      assert.deepEqual(readdirSync(folder.path).sort(), ['outside', 'store'])
    })

    it('nor by a symbolic link to a folder', async () => {
      mkdirSync(folder.file('store'))
      mkdirSync(outside())
      writeFileSync(join(outside(), 'x'), 'secret')
      symlinkSync(outside(), folder.file('store/app'))
      await assert.rejects(put('app/x'), /leads out of/)
      await assert.rejects(put('app/new/deep'), /leads out of/)
      await assert.rejects(store().get('app/x'), /leads out of/)
      await assert.rejects(store().delete(['app/x']), /leads out of/)
      await assert.rejects(async () => {
        for await (const _ of store().list({ prefix: 'app/' })) assert.fail('something was listed')
      }, /leads out of/)
      const keys: string[] = []
      for await (const { key } of store().list({ prefix: '' })) keys.push(key)
      assert.deepEqual(keys, [])
      assert.deepEqual(readdirSync(outside()), ['x'])
      assert.equal(readFileSync(join(outside(), 'x'), 'utf8'), 'secret')
    })

    it('nor by a link that takes the place of a folder that was read from', async () => {
      const same = store()
      await same.put('app/x', () => bodyOf(Buffer.from('new')))
      assert.equal((await same.head('app/x'))?.size, 3)
      mkdirSync(outside())
      writeFileSync(join(outside(), 'x'), 'secret')
      rmSync(folder.file('store/app'), { recursive: true })
      symlinkSync(outside(), folder.file('store/app'))
      await assert.rejects(
        same.put('app/x', () => bodyOf(Buffer.from('new'))),
        /leads out of/,
      )
      await assert.rejects(same.delete(['app/x']), /leads out of/)
      await sleep(1100)
      await assert.rejects(same.get('app/x'), /leads out of/)
      assert.equal(readFileSync(join(outside(), 'x'), 'utf8'), 'secret')
    })

    it('nor by one to a file: it is no object, is not read and not written through', async () => {
      mkdirSync(folder.file('store'))
      writeFileSync(outside(), 'secret')
      symlinkSync(outside(), folder.file('store/x'))
      assert.equal(await store().get('x'), undefined)
      assert.equal(await store().head('x'), undefined)
      await assert.rejects(put('x'), /is in .* already/)
      await store().put('x', () => bodyOf(Buffer.from('new')))
      assert.equal(readFileSync(outside(), 'utf8'), 'secret')
      assert.equal(readFileSync(folder.file('store/x'), 'utf8'), 'new')
    })

    it('the folder itself may be a link: it was chosen', async () => {
      mkdirSync(folder.file('real'))
      symlinkSync(folder.file('real'), folder.file('store'))
      await put('a/b')
      assert.equal((await store().head('a/b'))?.size, 3)
      assert.ok(existsSync(folder.file('real/a/b')))
    })
  })

  describe('permissions', () => {
    const url = () => `file://${folder.file('backups')}`

    it('backups, state, spool, socket, restored files and replicas are for their owner alone', async () => {
      const path = folder.file('app.db')
      createDatabase(path, { bytes: 20_000 })
      const watch = new WalrustProcess(['watch', path, '-b', url()])
      try {
        await watch.line('watching')
        await watch.line('shipped')
        const state = folder.file('.app.db-walrust')
        assert.equal(modeOf(state), 0o700)
        assert.equal(modeOf(join(state, 'control.sock')), 0o600)
      } finally {
        await watch.kill('SIGTERM')
      }
      assert.equal((await walrust(['restore', 'app', '-b', url(), '-o', folder.file('r.db')])).code, 0)
      assert.equal(modeOf(folder.file('r.db')), 0o600)
      const replicate = ['replicate', 'app', '-b', url(), '--local', folder.file('copy.db'), '--once']
      assert.equal((await walrust(replicate)).code, 0)
      assert.equal(modeOf(folder.file('copy.db')), 0o600)
      assert.equal(modeOf(folder.file('.copy.db-walrust')), 0o700)
      assert.equal(modeOf(folder.file('.copy.db-walrust/replica.json')), 0o600)
      for (const root of ['backups', '.app.db-walrust']) {
        for (const name of readdirSync(folder.file(root), { recursive: true }) as string[]) {
          const found = statSync(folder.file(`${root}/${name}`))
          const below = found.isDirectory() ? 0o700 : 0o600
          // SQLite makes the machine lock, which is empty and lies in a folder that nobody else can enter.
          if (name !== 'lock') assert.equal(found.mode & 0o777, below, `${root}/${name}`)
        }
      }
    })

    it('a file that is replaced keeps its permissions', async () => {
      const chain = new Chain(folder.file('backups'), folder.file('scratch'))
      chain.commit('CREATE TABLE t(a); INSERT INTO t VALUES (1)')
      chain.close()
      const target = folder.file('app.db')
      for (const mode of [0o640, 0o664, 0o600]) {
        createDatabase(target)
        chmodSync(target, mode)
        const run = await walrust(['restore', 'app', '-b', url(), '-o', target, '--force'])
        assert.equal(run.code, 0, run.text)
        assert.equal(modeOf(target), mode)
        assert.deepEqual(Object.keys(contents(target)), ['t'])
        rmSync(target)
      }
    })

    it('what lies in the making is not followed when somebody puts a link there', async () => {
      const chain = new Chain(folder.file('backups'), folder.file('scratch'))
      chain.commit('CREATE TABLE t(a)')
      const copy = folder.file('copy.db')
      const replicate = ['replicate', 'app', '-b', url(), '--local', copy, '--once']
      assert.equal((await walrust(replicate)).code, 0)
      writeFileSync(folder.file('victim'), 'precious')
      symlinkSync(folder.file('victim'), folder.file('.copy.db-walrust/incoming/journal'))
      linkSync(folder.file('victim'), folder.file('.copy.db-walrust/incoming/merged.ltx'))
      chain.commit('INSERT INTO t VALUES (1)')
      chain.commit('INSERT INTO t VALUES (2)')
      chain.close()
      const run = await walrust(replicate)
      assert.equal(run.code, 0, run.text)
      assert.equal(readFileSync(folder.file('victim'), 'utf8'), 'precious')
      const db = new Database(copy)
      assert.equal(db.prepare('SELECT count(*) FROM t').pluck().get(), 2)
      db.close()
    })
  })

  describe('secrets', () => {
    const secret = 'sEcReT/AccessKey+0123456789'
    const token = 'session-token-that-a-gateway-repeats=='
    const password = 'hunter2hunter2'
    let server: Server
    let heard: string[]
    beforeEach(async () => {
      heard = []
      // A gateway that puts into its errors what it was sent.
      server = createServer((request, response) => {
        const sent = JSON.stringify(request.headers)
        heard.push(sent)
        request.resume()
        response.writeHead(403, { 'content-type': 'application/xml' })
        const message = `no access with ${sent.replaceAll('<', '')} and ${secret}`
        response.end(`<Error><Code>AccessDenied</Code><Message>${message}</Message></Error>`)
      })
      await listen(server)
    })
    afterEach(() => close(server))

    it('are in no log, no error, no event and no result, whatever a gateway repeats', async () => {
      const path = folder.file('app.db')
      createDatabase(path)
      const env = {
        AWS_ACCESS_KEY_ID: 'AKIATEST',
        AWS_SECRET_ACCESS_KEY: secret,
        AWS_SESSION_TOKEN: token,
        AWS_ENDPOINT_URL_S3: originOf(server),
        AWS_REGION: 'us-east-1',
      }
      const url = 's3://bucket/backups'
      const to = folder.file('r.db')
      const commands = [
        ['watch', path, '-b', url, '--once'],
        ['snapshot', path, '-b', url],
        ['list', '-b', url],
        ['verify', 'app', '-b', url],
        ['restore', 'app', '-b', url, '-o', to],
        ['replicate', 'app', '-b', url, '--local', to],
        ['list', '-b', `nowhere://user:${password}@host/x`],
        ['watch', path, '-b', `nowhere://user:${password}@host/x`, '--once'],
      ]
      for (const command of commands) {
        for (const format of ['text', 'json']) {
          const run = await runCli(['--log-format', format, '--log-level', 'debug', '--json', ...command], env)
          assert.notEqual(run.status, 0, command.join(' '))
          for (const text of [secret, token, password, encodeURIComponent(secret)]) {
            assert.ok(!run.output.includes(text), `${command[0]} says ${text}: ${run.output}`)
          }
        }
      }
      assert.ok(
        heard.some((request) => request.includes(token)),
        'the gateway never got the token: this has tested nothing',
      )
    })

    it('are in no event, neither in its error nor in what goes with it', async () => {
      keepSecretVariables({ EVENT_SECRET: secret })
      const host = new Host(SILENT)
      const events: WalrustEvent[] = []
      host.hooks.notify.tap('test', (event) => void events.push(event))
      const engine = new Engine({ host, log: SILENT, uploadConcurrency: 1 })
      engine.notify('sync_failed', 'app', { error: new Error(`sent ${secret}`), context: { said: `got ${secret}` } })
      await engine.close(1000)
      assert.equal(events.length, 1)
      assert.ok(!JSON.stringify(events).includes(secret), JSON.stringify(events))
    })

    it('variables are secrets by their name; paths, names of keys and short values are not', () => {
      keepSecretVariables({
        SOME_SERVICE_TOKEN: 'abcdefgh-token',
        DB_PASSWORD: 'correct horse "battery"',
        SOME_ACCESS_KEY_ID: 'AKIAVISIBLE1',
        SOME_CREDENTIALS: '/etc/visible/credentials.json',
        SHORT_SECRET: 'main',
        HOME: '/home/somebody',
      })
      const visible = 'AKIAVISIBLE1 /etc/visible/credentials.json main /home/somebody'
      assert.equal(redact(visible), visible)
      assert.ok(!redact('x abcdefgh-token y').includes('abcdefgh'))
      assert.ok(!redact(JSON.stringify({ error: 'correct horse "battery"' })).includes('battery'))
    })
  })

  describe('what storage says makes nobody take more than there is', () => {
    async function backup(...more: Array<[string, Uint8Array]>): Promise<MemoryStore> {
      const store = new MemoryStore()
      const chain = new Chain(folder.file(`b${Math.random()}`), folder.file(`s${Math.random()}`), 'app', 512)
      chain.commit('CREATE TABLE t(a); INSERT INTO t VALUES (1)')
      const base = readFileSync(chain.file({ level: 9, minTxid: 1, maxTxid: 1 }))
      chain.close()
      const key = 'app/0009/0000000000000001-0000000000000001.ltx'
      for (const [name, bytes] of [[key, base] as [string, Uint8Array], ...more])
        await store.put(name, () => bodyOf(bytes))
      return store
    }

    /** Lets every object of a store be one without end, in pieces that are counted. */
    function endless(store: MemoryStore, fill: string, size: number): { pieces: number } {
      const given = { pieces: 0 }
      store.get = (key) => {
        // eslint-disable-next-line @typescript-eslint/require-await -- a body is asynchronous
        const body = (async function* () {
          for (;;) yield (given.pieces++, Buffer.alloc(65_000, fill))
        })()
        return Promise.resolve({ info: { key, size, timestamp: 1 }, body })
      }
      return given
    }

    const second = 'app/0000/0000000000000002-0000000000000002.ltx'
    const page = { page: 0xfffffff0, data: new Uint8Array(512) }
    const giants: Array<[string, Uint8Array]> = [
      [
        'a database of four billion pages in no page',
        forge({ commit: 0xffffffff, chainTag: 0x574c5231, chainPost: CHECKSUM_FLAG }),
      ],
      ['the same in one page far out', forge({ commit: 0xffffffff, pages: [page] })],
    ]
    for (const [what, bytes] of giants) {
      it(`${what}: restore, table, replica and verify refuse it`, async () => {
        const remote = new Remote(await backup([second, bytes]), 'app', hooks)
        const inventory = await remote.inventory()
        const plan = planRestore(inventory, 2, 'app')
        const target = folder.file('r.db')
        const options = { target, force: false, integrityCheck: 'none' } as const
        await bounded(() => assert.rejects(restore(remote, plan, options), /which is not there/))
        assert.ok(!existsSync(target))
        await bounded(() => assert.rejects(readRemoteTable(remote, plan, signal), /which is not there/))
        await bounded(async () => {
          const replica = await Replica.open({
            remote: new Remote(await backup(), 'app', hooks),
            path: target,
            interval: 1,
            log: SILENT,
          })
          await replica.close()
          const again = await Replica.open({ remote, path: target, interval: 1, log: SILENT })
          await assert.rejects(again.poll(signal), WalrustError)
          assert.equal(again.status.txid, 1)
          await again.close()
        })
        await bounded(() => verify(remote))
      })
    }

    it('a snapshot that says it is larger than it is', async () => {
      const bytes = forge({
        minTxid: 1n,
        maxTxid: 2n,
        commit: 0xffffffff,
        pages: [{ page: 1, data: new Uint8Array(512) }],
      })
      const remote = new Remote(await backup(['app/0009/0000000000000001-0000000000000002.ltx', bytes]), 'app', hooks)
      const plan = planRestore(await remote.inventory(), 2, 'app')
      const options = { target: folder.file('r.db'), force: false, integrityCheck: 'none' } as const
      await bounded(() => assert.rejects(restore(remote, plan, options), /is damaged/))
      await bounded(() => assert.rejects(readRemoteTable(remote, plan, signal), /is damaged/))
    })

    it('a sidecar of a hundred megabytes, and one without end', async () => {
      const store = await backup()
      const given = endless(store, ' ', 10)
      const remote = new Remote(store, 'app', hooks)
      const id = { level: 0, minTxid: 2, maxTxid: 2 }
      await bounded(() => assert.rejects(remote.sidecar(id), /where a small one was expected/))
      assert.ok(given.pieces <= 3)
    })

    it('a claim and a heartbeat without end', async () => {
      const store = await backup()
      const given = endless(store, ' ', 10)
      const remote = new Remote(store, 'app', hooks)
      const inventory = await remote.inventory()
      inventory.epoch = 7
      for (const read of [
        () => openRemoval(remote, inventory, signal),
        () => new Heartbeats(store, 1000).watch(heartbeatKey('00')),
      ]) {
        given.pieces = 0
        await bounded(() => assert.rejects(read, /where a small one was expected/))
        assert.ok(given.pieces <= 6, `${given.pieces} pieces`)
      }
    })

    it('an object without end where a header, a record or a whole file was expected', async () => {
      const store = await backup()
      const given = endless(store, '\x07', 2 ** 40)
      store.head = (key) => Promise.resolve({ key, size: 2 ** 40, timestamp: 1 })
      const remote = new Remote(store, 'app', hooks)
      const file = { level: 0, minTxid: 2, maxTxid: 2, key: second, size: 2 ** 40, timestamp: 1 }
      const reads = [
        () => remote.header(file),
        () => remote.headerOf(file),
        () => remote.facts(file),
        () => remote.times(file),
        () => remote.start(file, 100),
        () => readRemoteTable(remote, { txid: 2, files: [file] }, signal),
      ]
      for (const read of reads) {
        given.pieces = 0
        await bounded(() => assert.rejects(read, WalrustError, String(read)))
        assert.ok(given.pieces <= 20, `${String(read)} took ${given.pieces} pieces`)
      }
    })

    it('more foreign objects than anybody could read of', async () => {
      const store = await backup()
      const list = store.list.bind(store)
      store.list = async function* (options) {
        yield* list(options)
        for (let i = 0; i < 20_000; i++) yield { key: `app/junk/${i}/${'x'.repeat(900)}`, size: 1, timestamp: 1 }
      }
      await bounded(async () => {
        const { findings } = await verify(new Remote(store, 'app', hooks))
        assert.equal(findings.length, 1001)
        assert.match(findings.at(-1)?.what ?? '', /^19000 more objects/)
      })
    })

    it('a listing without end', async () => {
      const store = await backup()
      // eslint-disable-next-line @typescript-eslint/require-await -- a listing is asynchronous
      store.list = async function* () {
        const info: ObjectInfo = { key: second, size: 10, timestamp: 1 }
        for (;;) yield info
      }
      const remote = new Remote(store, 'app', hooks)
      await bounded(() => assert.rejects(remote.inventory(signal, 10_000), /more than 10000 objects/))
    })
  })
})
