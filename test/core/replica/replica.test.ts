import Database from 'better-sqlite3'
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { isError, type WalrustError } from '../../../core/errors.js'
import { Host } from '../../../core/host.js'
import { SILENT } from '../../../core/log.js'
import type { ListOptions, ObjectInfo, ObjectStore } from '../../../core/object-store.js'
import { Remote } from '../../../core/remote.js'
import { Replica } from '../../../core/replica/replica.js'
import { storageFile } from '../../../plugins/storage-file/index.js'
import { Chain } from '../../helpers/chain.js'
import { contents, integrity, useFolder } from '../../helpers/databases.js'
import { repositoryPath } from '../../helpers/ltx.js'
import { SmallDisk } from '../../kills/small-disk.js'

const ROWS = (first: number, last: number, bytes = 300) =>
  `WITH n(i) AS (VALUES (${first}) UNION ALL SELECT i + 1 FROM n WHERE i < ${last})
   INSERT INTO t(id, v) SELECT i, randomblob(${bytes}) FROM n`
const FIRST = `CREATE TABLE t(id INTEGER PRIMARY KEY, v); ${ROWS(1, 50)}`

describe('a replica', function () {
  this.timeout(60_000)
  const folder = useFolder()
  const file = () => folder.file('copy/app.db')
  const signal = new AbortController().signal
  let chain: Chain
  let store: ObjectStore
  let requests: string[]
  const open: Replica[] = []

  beforeEach(async () => {
    chain = new Chain(folder.file('backups'), folder.file('scratch'))
    requests = []
    store = await counting(folder.file('backups'), requests)
  })
  afterEach(async () => {
    for (const replica of open.splice(0)) await replica.close()
    chain.close()
  })

  async function start(path = file(), name = 'app'): Promise<Replica> {
    const remote = new Remote(store, name, new Host(SILENT).hooks)
    const replica = await Replica.open({ remote, path, interval: 1, log: SILENT })
    open.push(replica)
    return replica
  }

  async function stop(replica: Replica): Promise<void> {
    open.splice(open.indexOf(replica), 1)
    await replica.close()
  }

  /** The replica holds exactly what the source had, apart from the few bytes that make it a replica. */
  function assertAt(replica: Replica, txid: number, of = chain): void {
    assert.equal(replica.status.txid, txid)
    assert.equal(integrity(file()), 'ok')
    assert.deepEqual(contents(file()), contents(of.state(txid)))
    // Read by a process of its own: a descriptor closed in this one would drop the locks of the replica.
    const script = 'process.stdout.write(require("fs").readFileSync(process.argv[1]))'
    const copy = spawnSync(process.execPath, ['-e', script, file()], { maxBuffer: 2 ** 30 }).stdout
    const source = readFileSync(of.state(txid))
    for (const bytes of [copy, source]) {
      bytes.fill(0, 18, 20)
      bytes.fill(0, 24, 28)
      bytes.fill(0, 92, 96)
    }
    assert.equal(Buffer.compare(copy, source), 0)
  }

  async function failure(work: Promise<unknown>): Promise<WalrustError> {
    try {
      await work
    } catch (error) {
      if (isError(error, (error as WalrustError).code)) return error
      throw error
    }
    throw new Error('there was no error')
  }

  for (const pageSize of [512, 4096, 65536]) {
    it(`follows growing, changing, deleting, shrinking and growing again with pages of ${pageSize}`, async () => {
      chain.close()
      chain = new Chain(folder.file('backups'), folder.file('scratch-2'), 'app', pageSize)
      chain.commit(FIRST)
      const replica = await start()
      assertAt(replica, 1)
      const steps = [
        ROWS(51, 3000),
        "UPDATE t SET v = 'changed' WHERE id % 7 = 0",
        'DELETE FROM t WHERE id > 20',
        'VACUUM',
        ROWS(100, 900),
        'CREATE TABLE other(a, b); INSERT INTO other VALUES (1, 2)',
        'DROP TABLE t; VACUUM',
      ]
      for (const step of steps) {
        const txid = chain.commit(step)
        await replica.poll(signal)
        assertAt(replica, txid)
        assert.equal(statSync(file()).size, statSync(chain.state()).size)
      }
      assert.equal(replica.status.state, 'current')
      assert.ok((replica.status.lag ?? -1) >= 0)
    })
  }

  it('applies many transactions at once, over a shrink', async () => {
    chain.commit(FIRST)
    const replica = await start()
    chain.commit(ROWS(51, 2000))
    chain.commit('DELETE FROM t WHERE id > 10; VACUUM')
    for (let i = 0; i < 70; i++) chain.commit(ROWS(100 + i * 10, 105 + i * 10))
    await replica.poll(signal)
    assertAt(replica, 73)
    assert.equal(replica.status.applied, 72)
  })

  it('takes another page size, under a connection that stays open', async () => {
    chain.commit(FIRST)
    const replica = await start()
    const reader = new Database(file())
    assert.equal(reader.prepare('SELECT count(*) FROM t').pluck().get(), 50)
    for (const pageSize of [1024, 16384, 512]) {
      chain.changePageSize(pageSize)
      const txid = chain.commit(`UPDATE t SET v = randomblob(${pageSize})`)
      await replica.poll(signal)
      assert.equal(reader.prepare('SELECT sum(length(v)) FROM t').pluck().get(), 50 * pageSize)
      assertAt(replica, txid)
    }
    reader.close()
  })

  it('shows a reader the old state until its transaction ends, then the new one, schema included', async () => {
    chain.commit(FIRST)
    const replica = await start()
    const reader = new Database(file())
    const count = reader.prepare('SELECT count(*) FROM t').pluck()
    assert.equal(count.get(), 50)
    reader.exec('BEGIN')
    assert.equal(count.get(), 50)
    chain.commit(ROWS(51, 200))
    const busy = replica.poll(signal)
    const freed = new Promise<void>((resolve) =>
      setTimeout(() => {
        assert.equal(count.get(), 50)
        reader.exec('COMMIT')
        resolve()
      }, 50),
    )
    await Promise.all([busy, freed])
    assert.equal(count.get(), 200)
    chain.commit('ALTER TABLE t ADD COLUMN w DEFAULT 7')
    await replica.poll(signal)
    assert.equal(reader.prepare('SELECT sum(w) FROM t').pluck().get(), 1400)
    assert.deepEqual(Object.keys(reader.prepare('SELECT * FROM t LIMIT 1').get() as object), ['id', 'v', 'w'])
    reader.close()
  })

  it('asks once while there is nothing new, and not for what it has', async () => {
    for (let i = 0; i < 5; i++) chain.commit(i === 0 ? FIRST : ROWS(100 * i, 100 * i + 5))
    const replica = await start()
    await replica.poll(signal)
    requests.length = 0
    for (let i = 0; i < 5; i++) await replica.poll(signal)
    // The store asks itself for the size of what it lists.
    const asked = requests.filter((request) => !request.startsWith('head'))
    assert.deepEqual(asked, Array(5).fill('list app/ltx/0/ after app/ltx/0/0000000000000004-0000000000000004.ltx'))
  })

  it('goes on where it was', async () => {
    chain.commit(FIRST)
    await stop(await start())
    chain.commit(ROWS(51, 400))
    const replica = await start()
    assert.equal(replica.status.txid, 1)
    await replica.poll(signal)
    assertAt(replica, 2)
    await stop(replica)
    requests.length = 0
    const again = await start()
    assertAt(again, 2)
    assert.deepEqual(requests, [])
    chain.commit('DELETE FROM t WHERE id > 5')
    await again.poll(signal)
    assertAt(again, 3)
  })

  it('follows a chain whose transactions were merged and removed', async () => {
    chain.commit(FIRST)
    const replica = await start()
    for (let i = 1; i <= 12; i++) chain.commit(ROWS(100 * i, 100 * i + 30))
    await chain.compact(1, 2, 6)
    await chain.compact(1, 7, 11)
    chain.remove(2, 3, 4, 5, 6, 7, 8, 9, 10, 11)
    await replica.poll(signal)
    assertAt(replica, 13)
    chain.commit(ROWS(5000, 5050))
    await replica.poll(signal)
    assertAt(replica, 14)
  })

  it('stays where it is when what was not merged is gone, and goes on at the next snapshot', async () => {
    chain.commit(FIRST)
    const replica = await start()
    for (let i = 1; i <= 12; i++) chain.commit(ROWS(100 * i, 100 * i + 30))
    await chain.compact(1, 2, 11)
    chain.remove(2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13)
    await replica.poll(signal)
    assertAt(replica, 11)
    chain.commit(ROWS(5000, 5050))
    await assert.rejects(replica.poll(signal), /nothing leads from transaction 11 to 14/)
    chain.snapshot(13)
    await replica.poll(signal)
    assertAt(replica, 14)
  })

  it('joins a merged file in its middle', async () => {
    chain.commit(FIRST)
    chain.commit(ROWS(51, 90))
    const replica = await start()
    assert.equal(replica.status.txid, 2)
    for (let i = 1; i <= 6; i++)
      chain.commit(i === 4 ? 'DELETE FROM t WHERE id > 9; VACUUM' : ROWS(100 * i, 100 * i + 30))
    await chain.compact(2, 2, 7)
    chain.remove(2, 3, 4, 5, 6, 7)
    await replica.poll(signal)
    assertAt(replica, 8)
  })

  it('takes a snapshot past a gap', async () => {
    chain.commit(FIRST)
    const replica = await start()
    for (let i = 1; i <= 5; i++) chain.commit(ROWS(100 * i, 100 * i + 30))
    chain.snapshot(4)
    chain.remove(2, 3, 4)
    await replica.catchUp(signal)
    assertAt(replica, 6)
    assert.equal(replica.status.state, 'current')
  })

  it('stops with an error at a gap that nothing leads over, and asks for little until then', async () => {
    chain.commit(FIRST)
    const replica = await start()
    for (let i = 1; i <= 3; i++) chain.commit(ROWS(100 * i, 100 * i + 30))
    chain.remove(2)
    requests.length = 0
    const error = await failure(replica.catchUp(signal))
    assert.equal(error.code, 'E_CHAIN_BROKEN')
    assert.match(error.message, /nothing leads from transaction 1 to 4/)
    assert.equal(replica.status.state, 'failing')
    const asked = requests.filter((request) => !request.startsWith('head'))
    assert.ok(asked.every((request) => request.startsWith('list')) && asked.length <= 12, asked.join())
    assertAt(replica, 1)
  })

  it('finds a way around a damaged file, or stops naming it, and does not fetch it for ever', async () => {
    chain.commit(FIRST)
    const replica = await start()
    chain.commit(ROWS(51, 90))
    chain.commit(ROWS(100, 190))
    chain.commit(ROWS(200, 290))
    const damaged = chain.bytes(3)
    damaged[300] ^= 1
    writeFileSync(chain.shipped(3), damaged)
    requests.length = 0
    const error = await failure(replica.catchUp(signal))
    assert.equal(error.code, 'E_CHAIN_BROKEN')
    assert.match(error.message, /nothing leads from transaction 2 to 4 .*0000000000000003.*cannot be used/)
    assertAt(replica, 2)
    const fetched = requests.filter((request) => /^get .*3-0000000000000003.ltx/.test(request))
    assert.ok(fetched.length <= 3, `${fetched.length}`)
    chain.snapshot(4)
    await replica.catchUp(signal)
    assertAt(replica, 4)
  })

  it('refuses what was made for another database, whatever it is called', async () => {
    chain.commit(FIRST)
    const other = new Chain(folder.file('backups'), folder.file('other'), 'other')
    other.commit(FIRST)
    other.commit(ROWS(51, 90))
    const replica = await start()
    chain.put({ level: 0, minTxid: 2, maxTxid: 2 }, other.bytes(2))
    await assert.rejects(replica.catchUp(signal), /cannot be used/)
    assertAt(replica, 1)
    other.close()
  })

  it('stops when the backup ends before the replica', async () => {
    chain.commit(FIRST)
    chain.commit(ROWS(51, 90))
    const replica = await start()
    chain.remove(2)
    const error = await failure(replica.catchUp(signal))
    assert.match(error.message, /ends at transaction 1, the replica is at 2/)
  })

  it('tells a file that changed its size on the way', async () => {
    chain.commit(FIRST)
    const replica = await start()
    chain.commit(ROWS(51, 90))
    const list = store.list.bind(store)
    store.list = async function* (options) {
      for await (const info of list(options)) yield { ...info, size: 500 }
    }
    await assert.rejects(replica.poll(signal), /longer than the 500 bytes that are listed/)
  })

  it('waits for readers and does not disturb them', async () => {
    chain.commit(FIRST)
    const replica = await start()
    chain.commit(ROWS(51, 90))
    const reader = new Database(file())
    reader.exec('BEGIN')
    reader.prepare('SELECT count(*) FROM t').get()
    const error = await failure(replica.poll(signal))
    assert.equal(error.code, 'E_DATABASE_BUSY')
    reader.exec('COMMIT')
    reader.close()
    await replica.poll(signal)
    assertAt(replica, 2)
  })

  it('stays whole when the disk is full, at whatever point it gets full, and goes on when there is room', async function () {
    const disk = SmallDisk.mount(folder.file('copy'), 8)
    if (!disk) this.skip()
    try {
      chain.commit(`CREATE TABLE t(id INTEGER PRIMARY KEY, v); ${ROWS(1, 1000)}`)
      const replica = await start()
      const codes = new Set<string>()
      let last = 1
      for (const room of [8, 200, 400, 500, 600, 700, 800, 1000, 1200]) {
        // Half of it overwrites, half of it makes the file longer: journal, staged file and growth need room.
        const txid = chain.commit(
          `UPDATE t SET v = randomblob(300) WHERE id <= 1000; ${ROWS(2000 * room, 2000 * room + 900)}`,
        )
        writeFileSync(join(disk.path, 'room'), Buffer.alloc(room * 1024))
        disk.fill()
        rmSync(join(disk.path, 'room'))
        const failed = await replica.poll(signal).then(
          () => 'done',
          (error: unknown) => (error as WalrustError).code,
        )
        codes.add(failed)
        assertAt(replica, failed === 'done' ? txid : last)
        disk.empty()
        await replica.poll(signal)
        assertAt(replica, txid)
        last = txid
        chain.commit('DELETE FROM t WHERE id > 1000; VACUUM')
        await replica.poll(signal)
        assertAt(replica, ++last)
      }
      assert.deepEqual([...codes].sort(), ['E_DISK_FULL', 'done'])
      await stop(replica)
    } finally {
      for (const replica of open.splice(0)) await replica.close()
      disk.unmount()
    }
  })

  describe('refuses', () => {
    const code = async (work: Promise<unknown>) => (await failure(work)).code

    beforeEach(() => {
      chain.commit(FIRST)
      mkdirSync(folder.file('copy'))
    })

    it('a database that it did not make', async () => {
      cpSync(chain.state(), file())
      const before = readFileSync(file())
      assert.equal(await code(start()), 'E_NOT_REPLICA')
      assert.deepEqual(readFileSync(file()), before)
    })

    it('any other file, an empty one too', async () => {
      writeFileSync(file(), 'hello')
      assert.equal(await code(start()), 'E_NOT_REPLICA')
      writeFileSync(file(), '')
      assert.equal(await code(start()), 'E_NOT_REPLICA')
    })

    it('a place where a journal or a WAL of something else lies', async () => {
      for (const suffix of ['-journal', '-wal', '-shm']) {
        writeFileSync(file() + suffix, 'x')
        assert.equal(await code(start()), 'E_NOT_REPLICA')
        rmSync(file() + suffix)
      }
    })

    it('a replica of another database or storage', async () => {
      await stop(await start())
      const other = new Chain(folder.file('backups'), folder.file('other'), 'other')
      other.commit(FIRST)
      assert.equal(await code(start(file(), 'other')), 'E_NOT_REPLICA')
      cpSync(folder.file('backups'), folder.file('backups-2'), { recursive: true })
      store = await counting(folder.file('backups-2'), requests)
      assert.equal(await code(start()), 'E_NOT_REPLICA')
      other.close()
    })

    it('a replica that another program wrote to, at the next start', async () => {
      await stop(await start())
      const writer = new Database(file())
      writer.exec('DELETE FROM t WHERE id = 3')
      writer.close()
      assert.equal(await code(start()), 'E_NOT_REPLICA')
    })

    it('one with a byte that is another', async () => {
      await stop(await start())
      const bytes = readFileSync(file())
      bytes[bytes.length - 100] ^= 1
      writeFileSync(file(), bytes)
      assert.equal(await code(start()), 'E_NOT_REPLICA')
    })

    it('one that was put into WAL mode', async () => {
      await stop(await start())
      const writer = new Database(file())
      writer.pragma('journal_mode = WAL')
      writer.close()
      const error = await failure(start())
      assert.equal(error.code, 'E_NOT_REPLICA')
      assert.match(error.message, /into WAL mode/)
      assert.match(error.hint, /open it read-only/)
    })

    it('one that is kept by somebody already', async () => {
      await start()
      assert.equal(await code(start()), 'E_DATABASE_LOCKED')
    })

    it('to go on when another program has written meanwhile, and leaves that alone', async () => {
      const replica = await start()
      const writer = new Database(file())
      writer.exec('DELETE FROM t WHERE id = 3')
      writer.close()
      chain.commit(ROWS(51, 90))
      assert.equal(await code(replica.poll(signal)), 'E_NOT_REPLICA')
      const reader = new Database(file())
      assert.equal(reader.prepare('SELECT count(*) FROM t').pluck().get(), 49)
      reader.close()
      assert.ok(!existsSync(`${file()}-journal`))
    })

    it('to write to a file that was moved away, or to one put in its place', async () => {
      const replica = await start()
      renameSync(file(), folder.file('moved.db'))
      chain.commit(ROWS(51, 90))
      assert.equal(await code(replica.poll(signal)), 'E_NOT_REPLICA')
      cpSync(chain.state(1), file())
      assert.equal(await code(replica.poll(signal)), 'E_NOT_REPLICA')
      assert.deepEqual(readFileSync(file()), readFileSync(chain.state(1)))
    })

    it('a backup that is not there', async () => {
      assert.equal(await code(start(file(), 'nobody')), 'E_NO_BACKUP')
      assert.ok(!existsSync(file()))
    })
  })

  it('is made anew when it was removed', async () => {
    chain.commit(FIRST)
    await stop(await start())
    rmSync(file())
    writeFileSync(`${file()}-journal`, 'left by a kill')
    chain.commit(ROWS(51, 90))
    assertAt(await start(), 2)
  })

  for (const release of ['0.5.15', '0.5.17']) {
    for (const pageSize of [512, 4096, 65536]) {
      it(`follows what Litestream ${release} wrote, pages of ${pageSize}`, async () => {
        const source = repositoryPath(`test/fixtures/ltx/litestream-${release}/${pageSize}`)
        const expected = JSON.parse(readFileSync(`${source}/expected.json`, 'utf8')) as Array<{ checksum: string }>
        const ltx = (level: number, min: number, max: number) => {
          const name = (txid: number) => txid.toString(16).padStart(16, '0')
          const path = `ltx/${level}/${name(min)}-${name(max)}.ltx`
          cpSync(`${source}/${path}`, folder.file(`backups/app/${path}`))
        }
        ltx(0, 1, 1)
        const replica = await start()
        assert.equal(replica.status.checksum, expected[0].checksum)
        for (const txid of [2, 3, 4]) {
          ltx(0, txid, txid)
          await replica.poll(signal)
          assert.equal(replica.status.txid, txid)
          assert.equal(replica.status.checksum, expected[txid - 1].checksum)
          assert.equal(integrity(file()), 'ok')
        }
        await stop(replica)
        rmSync(folder.file('copy'), { recursive: true })
        rmSync(folder.file('backups/app/ltx/0/0000000000000001-0000000000000001.ltx'))
        rmSync(folder.file('backups/app/ltx/0/0000000000000002-0000000000000002.ltx'))
        ltx(9, 1, 3)
        const anew = await start()
        assert.equal(anew.status.checksum, expected[3].checksum)
      })
    }
  }
})

/** A store in a folder that notes what it is asked. */
async function counting(folder: string, requests: string[]): Promise<ObjectStore> {
  const host = new Host(SILENT)
  host.use(storageFile())
  const store = await host.store(`file://${folder}`)
  const get = store.get.bind(store)
  const head = store.head.bind(store)
  const list = store.list.bind(store)
  store.get = (key, options) => {
    requests.push(`get ${key}`)
    return get(key, options)
  }
  store.head = (key, options) => {
    requests.push(`head ${key}`)
    return head(key, options)
  }
  store.list = (options: ListOptions): AsyncIterable<ObjectInfo> => {
    requests.push(`list ${options.prefix}${options.after === undefined ? '' : ` after ${options.after}`}`)
    return list(options)
  }
  return store
}
