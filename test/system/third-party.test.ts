import assert from 'node:assert/strict'
import Database from 'better-sqlite3'
import { mkdirSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { CompactReport } from '../../core/compact/report.js'
import type { BrokenOptions } from '../helpers/broken-plugin.js'
import { contents, createDatabase, fill, integrity, sql, useFolder } from '../helpers/databases.js'
import { EngineProcess } from '../helpers/engine.js'
import type { EngineSetup } from '../helpers/engine-process.js'
import { restoreFrom, stored, verifyFolder } from '../helpers/storage.js'

const helper = (name: string) => fileURLToPath(new URL(`../helpers/${name}.js`, import.meta.url))

describe('plugins of third parties in a real engine', function () {
  this.timeout(60_000)
  let engine: EngineProcess | undefined
  afterEach(() => engine?.kill())
  const folder = useFolder()
  const db = () => folder.file('app.db')
  const backups = () => folder.file('backups')
  const insert = () => sql(db(), 'INSERT INTO rows(body) VALUES (randomblob(2000))')

  async function start(more: Partial<EngineSetup>): Promise<EngineProcess> {
    mkdirSync(backups(), { recursive: true })
    createDatabase(db(), { bytes: 50_000 })
    engine = await EngineProcess.start({ databases: [{ name: 'app', path: db() }], storages: [backups()], ...more })
    assert.equal(engine.failed, undefined)
    // The snapshot that a chain begins with is there: what is committed from now on is a file of its own.
    await engine.flush()
    return engine
  }

  async function isAllThere(): Promise<void> {
    await restoreFrom(backups(), 'app', folder.file('back.db'))
    assert.equal(integrity(folder.file('back.db')), 'ok')
    assert.deepEqual(contents(folder.file('back.db')), contents(db()))
    assert.deepEqual((await verifyFolder(backups(), 'app')).findings, [])
  }

  const broken = (options: BrokenOptions, deadline?: number): Partial<EngineSetup> => ({
    plugins: [[helper('broken-plugin'), options]],
    deadline,
  })

  it('a source of frames keeps what leaves the WAL, and what it kept is shipped', async () => {
    const running = await start({
      shadowWal: false,
      plugins: [[helper('memory-frames'), {}]],
      settings: { checkpoint: { minPages: 50, interval: 100 } },
    })
    await running.flush()
    const app = new Database(db())
    try {
      for (let i = 0; i < 4; i++) fill(app, 1_500_000)
      await running.line('frames kept')
      app.exec('DELETE FROM rows WHERE id % 3 = 0')
    } finally {
      app.close()
    }
    await running.flush()
    await running.close()
    assert.ok(!running.events.some(({ event }) => event === 'gap_healed'), running.tail())
    await isAllThere()
  })

  it('a retention policy says what may go, and what a point that stays needs is kept whatever it says', async () => {
    // The first snapshot alone holds its transaction, which is promised still: it stays, whatever the policy says.
    for (const [count, level] of [
      [2, 9],
      [0, 0],
    ] as const) {
      const running = await start({ plugins: [[helper('keep-snapshots'), { count }]] })
      for (let i = 0; i < 3; i++) {
        insert()
        await running.flush()
        await running.snapshot('app')
      }
      const report = (await running.ask({
        do: 'compact',
        name: 'app',
        storage: `faulty://${backups()}`,
      })) as CompactReport
      assert.ok(report.notes.includes(`${count} snapshots stay`), JSON.stringify(report))
      assert.ok(report.remove.length > 0 && report.remove.every((file) => file.level === level), JSON.stringify(report))
      assert.ok(stored(backups()).snapshots >= 1)
      await running.close()
      await isAllThere()
      for (const name of ['app.db', 'backups', '.app.db-walrust', 'back.db']) {
        rmSync(folder.file(name), { recursive: true, force: true })
      }
    }
  })

  describe('that are wrong: the pass stops, the position stays, and when they are right again nothing is missing', () => {
    const ways: ReadonlyArray<[BrokenOptions, RegExp, deadline?: number]> = [
      // The first call of `frameRead` asks what is left of an earlier run, that of `encode` is for the first snapshot.
      [
        { hook: 'frameRead', how: 'throws', times: 2, after: 1 },
        /plugin broken failed in hook frameRead: it is broken/,
      ],
      [
        { hook: 'frameRead', how: 'hangs', times: 1, after: 1 },
        /broken.*frameRead: it did not settle within 0.5 s/,
        500,
      ],
      [
        { hook: 'frameRead', how: 'says something else', times: 1, after: 1 },
        /broken.*frameRead: its frames end at 9:9/,
      ],
      [{ hook: 'pageDedup', how: 'throws', times: 2 }, /broken.*pageDedup: it is broken/],
      [{ hook: 'pageDedup', how: 'returns nothing', times: 1 }, /broken.*pageDedup: it returned nothing/],
      [{ hook: 'pageDedup', how: 'says something else', times: 1 }, /broken.*pageDedup: .*no set of pages/],
      [{ hook: 'encode', how: 'throws', times: 2, after: 1 }, /broken.*encode: it is broken/],
      [{ hook: 'encode', how: 'hangs', times: 1, after: 1 }, /broken.*encode: it did not settle within 0.5 s/, 500],
      [{ hook: 'encode', how: 'returns nothing', times: 1, after: 1 }, /broken.*encode: it returned nothing/],
      [
        { hook: 'encode', how: 'changes the file in secret', times: 1, after: 1 },
        /broken.*encode: .*without adding one name/,
      ],
      [{ hook: 'encode', how: 'is named and changes', times: 1, after: 1 }, /broken.*taps `encode` and not `decode`/],
    ]
    for (const [options, says, deadline] of ways) {
      it(`${options.hook} ${options.how}`, async () => {
        const running = await start(broken(options, deadline))
        insert()
        await running.flush()
        const told = running.logs.filter(({ message }) => message === 'trying again').map(({ error }) => String(error))
        assert.ok(told.some((error) => says.test(error)), told.join('\n') || running.tail()) // prettier-ignore
        await running.close()
        await isAllThere()
      })
    }
  })

  it('that fail many times are waited for as `resilience` says, as a storage is', async () => {
    // With waits of its own, doubling to half a minute, this would take five.
    const resilience = { maxRetries: 1, baseDelay: 5, maxDelay: 20 }
    const way = broken({ hook: 'pageDedup', how: 'throws', times: 16 })
    const running = await start({ ...way, settings: { resilience } })
    insert()
    await running.flush()
    assert.equal(running.logs.filter(({ message }) => message === 'trying again').length, 16)
    await running.close()
    await isAllThere()
  })

  for (const [how, says, deadline] of [
    ['throws', /broken.*upload: it is broken/, undefined],
    ['hangs', /plugin broken failed in hook upload: nothing has moved for 0.5 s/, 500],
    ['says something else', /broken.*upload: it stored elsewhere instead of app/, undefined],
  ] as const) {
    it(`upload ${how}: tried again, told of when it goes on, and nothing is missing`, async () => {
      const resilience = { maxRetries: 1, baseDelay: 5, maxDelay: 20 }
      const running = await start({
        ...broken({ hook: 'upload', how, times: 4, after: 1 }, deadline),
        settings: { resilience },
      })
      insert()
      await running.flush()
      const event = await running.event('sync_failed')
      assert.match(String(event.error), says)
      await running.close()
      await isAllThere()
    })
  }

  for (const [how, says, deadline] of [
    ['throws', /broken.*retain: it is broken/, undefined],
    ['hangs', /broken.*retain: it did not settle within 0.5 s/, 500],
    ['returns nothing', /broken.*retain: it returned nothing/, undefined],
    ['says something else', /broken.*retain: its plan has no list/, undefined],
  ] as const) {
    it(`retain ${how}: an event, and shipping goes on`, async () => {
      const settings = { compaction: { afterSnapshot: true } }
      const running = await start({ ...broken({ hook: 'retain', how, times: 1 }, deadline), settings })
      insert()
      await running.flush()
      await running.snapshot('app')
      const event = await running.event('retention_failed')
      assert.match(String(event.error), says)
      insert()
      await running.flush()
      await running.close()
      await isAllThere()
    })
  }

  for (const [how, deadline] of [
    ['throws', undefined],
    ['hangs', 300],
  ] as const) {
    it(`notify ${how}: logged with its name, others hear the event, and shipping goes on`, async () => {
      const running = await start(broken({ hook: 'notify', how, times: 100 }, deadline))
      insert()
      await running.flush()
      await running.event('snapshot_completed')
      const line = await running.line('a plugin failed')
      assert.deepEqual([line.plugin, line.hook], ['broken', 'notify'])
      await running.close()
      await isAllThere()
    })
  }
})
