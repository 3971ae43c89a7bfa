/* eslint @typescript-eslint/no-confusing-void-expression: off -- a table of short steps, several in a line */
import Database from 'better-sqlite3'
import assert from 'node:assert/strict'
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Upkeep } from '../../core/compact/upkeep.js'
import { WalrustError } from '../../core/errors.js'
import { Host } from '../../core/host.js'
import { SILENT } from '../../core/log.js'
import { formatChecksum, type LtxHeader } from '../../core/ltx/index.js'
import { fileName } from '../../core/object-keys.js'
import { Remote } from '../../core/remote.js'
import { planRestore } from '../../core/restore/plan.js'
import { restore } from '../../core/restore/restore.js'
import { DEFAULT_SETTINGS } from '../../core/settings.js'
import type { FindingCode } from '../../core/verify/finding.js'
import { verify } from '../../core/verify/verify.js'
import { retentionGfs } from '../../plugins/retention-gfs/index.js'
import { storageFile } from '../../plugins/storage-file/index.js'
import { checksum, useFolder } from '../helpers/databases.js'
import { History } from '../helpers/history.js'
import { decode, encode, repositoryPath } from '../helpers/ltx.js'

const START = Date.UTC(2026, 0, 5)
const SECOND = 1000
/** Pages that nothing writes again: what is wrong with them stays wrong. */
const FILL = `CREATE TABLE rest(body BLOB);
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60)
  INSERT INTO rest SELECT randomblob(400) FROM n`

async function open(folder: string, name: string): Promise<Remote> {
  const host = new Host(SILENT)
  host.use(storageFile())
  host.use(retentionGfs())
  return new Remote(await host.store(`file://${folder}`), name, host.hooks)
}

/** A backup in a folder, and ways to harm it. */
class Backup {
  constructor(readonly folder: string) {}

  level(level: number, name = 'app'): string {
    return join(this.folder, name, 'ltx', String(level))
  }

  /** A file of level 0 by its transaction; another one by its level and transactions. */
  file(txid: number, level = 0, min = txid, name = 'app'): string {
    return join(this.level(level, name), fileName({ minTxid: min, maxTxid: txid }))
  }

  record(txid: number, level = 0, min = txid, name = 'app'): string {
    return join(
      this.folder,
      name,
      'walrust',
      String(level),
      fileName({ minTxid: min, maxTxid: txid }).replace('ltx', 'json'),
    )
  }

  flip(path: string, at: number, bits = 0x10): void {
    const bytes = readFileSync(path)
    bytes[at < 0 ? bytes.length + at : at] ^= bits
    writeFileSync(path, bytes)
  }

  cut(path: string, by: number): void {
    truncateSync(path, readFileSync(path).length - by)
  }

  swap(one: string, two: string): void {
    renameSync(one, `${one}.x`)
    renameSync(two, one)
    renameSync(`${one}.x`, two)
  }

  copy(from: string, to: string): void {
    mkdirSync(dirname(to), { recursive: true })
    cpSync(from, to)
  }

  /** Writes a file anew with something else in it: everything about the file itself is right afterwards. */
  forge(path: string, header: Partial<LtxHeader>, change?: (pages: Map<number, Uint8Array>) => void): void {
    const was = decode(readFileSync(path))
    const pages = new Map([...was.pages].map(([page, bytes]) => [page, bytes.slice()]))
    change?.(pages)
    writeFileSync(path, encode({ ...was.header, ...header }, pages))
  }

  note(path: string, change: (record: Record<string, string>) => void): void {
    const record = JSON.parse(readFileSync(path, 'utf8')) as Record<string, string>
    change(record)
    writeFileSync(path, JSON.stringify(record))
  }
}

/** Flips a byte in the middle of some page. */
const spoil = (pages: Map<number, Uint8Array>) => {
  const [[, bytes]] = [...pages].slice(-1)
  bytes[100] ^= 1
}

interface Way {
  what: string
  harm: (b: Backup) => void
  /** One of these has to be found. */
  finds: FindingCode[]
  /** Whether the newest state can be restored all the same: by other files, or because it is not concerned. */
  restores?: boolean | 'either'
  /** Whether a look at both ends of each file shows it, too. */
  quick?: boolean
}

/**
 * The backup: transactions 1 to 12; snapshots of 1 and 6; level 0 from 2 on; level 1 with 2, 3–5 and 6–8.
 * What a restore of the newest state takes: snapshot 6, 6–8, 9, 10, 11, 12.
 */
const WAYS: Way[] = [
  { what: 'magic of a file', harm: (b) => b.flip(b.file(11), 0), finds: ['damaged'], quick: true },
  { what: 'flags of a header', harm: (b) => b.flip(b.file(11), 7, 0x01), finds: ['damaged'], quick: true },
  { what: 'page size of a header', harm: (b) => b.flip(b.file(11), 10, 0x80), finds: ['damaged'], quick: true },
  { what: 'size of the database in a header', harm: (b) => b.flip(b.file(11), 15, 1), finds: ['damaged'] },
  { what: 'transaction of a header', harm: (b) => b.flip(b.file(11), 23, 1), finds: ['damaged'], quick: true },
  { what: 'time of a header', harm: (b) => b.flip(b.file(11), 38, 1), finds: ['damaged'], quick: true },
  { what: 'database checksum of a header', harm: (b) => b.flip(b.file(11), 90), finds: ['damaged'] },
  { what: 'tag of the chain in a header', harm: (b) => b.flip(b.file(11), 98), finds: ['damaged'] },
  { what: 'number of a page', harm: (b) => b.flip(b.file(11), 103, 4), finds: ['damaged'] },
  { what: 'flags of a page', harm: (b) => b.flip(b.file(11), 105, 2), finds: ['damaged'] },
  { what: 'size of a page', harm: (b) => b.flip(b.file(11), 109, 1), finds: ['damaged'] },
  { what: 'bytes of a page', harm: (b) => b.flip(b.file(11), 130), finds: ['damaged'] },
  { what: 'page index', harm: (b) => b.flip(b.file(11), -27, 1), finds: ['damaged'] },
  { what: 'size of the page index', harm: (b) => b.flip(b.file(11), -24, 0x40), finds: ['damaged'], quick: true },
  { what: 'file checksum', harm: (b) => b.flip(b.file(11), -2), finds: ['damaged'] },
  { what: 'field before the file checksum', harm: (b) => b.flip(b.file(11), -12), finds: ['damaged'] },
  { what: 'bytes of a snapshot that is needed', harm: (b) => b.flip(b.file(6, 9, 1), 300), finds: ['damaged'] },
  {
    what: 'bytes of a snapshot that is not',
    harm: (b) => b.flip(b.file(1, 9, 1), 300),
    finds: ['damaged'],
    restores: true,
  },
  { what: 'bytes of a merged file that is needed', harm: (b) => b.flip(b.file(8, 1, 6), 200), finds: ['damaged'] },
  {
    what: 'bytes of a merged file that is not',
    harm: (b) => b.flip(b.file(5, 1, 3), 200),
    finds: ['damaged'],
    restores: true,
  },
  { what: 'bytes of a file that was merged', harm: (b) => b.flip(b.file(4), 130), finds: ['damaged'], restores: true },
  { what: 'end cut off', harm: (b) => b.cut(b.file(12), 1), finds: ['damaged'], quick: true },
  { what: 'trailer cut off', harm: (b) => b.cut(b.file(12), 16), finds: ['damaged'] },
  { what: 'cut in the middle', harm: (b) => truncateSync(b.file(12), 150), finds: ['damaged'] },
  { what: 'cut to its header', harm: (b) => truncateSync(b.file(12), 100), finds: ['damaged'], quick: true },
  { what: 'cut to nothing', harm: (b) => truncateSync(b.file(12), 0), finds: ['damaged'], quick: true },
  { what: 'snapshot cut to nothing', harm: (b) => truncateSync(b.file(6, 9, 1), 0), finds: ['damaged'], quick: true },
  { what: 'bytes behind the end', harm: (b) => appendFileSync(b.file(12), 'x'), finds: ['damaged'] },
  {
    what: 'filled with zeros',
    harm: (b) => writeFileSync(b.file(12), Buffer.alloc(700)),
    finds: ['damaged'],
    quick: true,
  },
  { what: 'text in place of a file', harm: (b) => writeFileSync(b.file(12), 'hello'), finds: ['damaged'], quick: true },
  {
    what: 'first file of the chain gone',
    harm: (b) => (rmSync(b.file(2)), rmSync(b.file(2, 1))),
    finds: ['gap', 'missing'],
    restores: true,
  },
  { what: 'file in the middle gone', harm: (b) => rmSync(b.file(11)), finds: ['gap'], quick: true },
  {
    what: 'two files in the middle gone',
    harm: (b) => (rmSync(b.file(10)), rmSync(b.file(11))),
    finds: ['gap'],
    quick: true,
  },
  { what: 'newest file gone', harm: (b) => rmSync(b.file(12)), finds: ['missing'], restores: true, quick: true },
  {
    what: 'a folder in place of the newest file',
    harm: (b) => (rmSync(b.file(12)), mkdirSync(b.file(12))),
    finds: ['missing'],
    restores: true,
    quick: true,
  },
  {
    what: 'a folder in place of a file in the middle',
    harm: (b) => (rmSync(b.file(11)), mkdirSync(b.file(11))),
    finds: ['gap'],
    quick: true,
  },
  {
    what: 'every snapshot gone',
    harm: (b) => rmSync(b.level(9), { recursive: true }),
    finds: ['no-base'],
    quick: true,
  },
  {
    what: 'level 0 gone',
    harm: (b) => rmSync(b.level(0), { recursive: true }),
    finds: ['missing'],
    restores: true,
    quick: true,
  },
  {
    what: 'everything gone',
    harm: (b) => rmSync(join(b.folder, 'app', 'ltx'), { recursive: true }),
    finds: ['nothing-found'],
    quick: true,
  },
  {
    what: 'two files with each other’s names',
    harm: (b) => b.swap(b.file(10), b.file(11)),
    finds: ['damaged'],
    quick: true,
  },
  {
    what: 'two snapshots with each other’s names',
    harm: (b) => b.swap(b.file(1, 9, 1), b.file(6, 9, 1)),
    finds: ['damaged'],
    quick: true,
  },
  {
    what: 'a file under the next transaction as well',
    harm: (b) => b.copy(b.file(12), b.file(13)),
    finds: ['damaged'],
    quick: true,
  },
  {
    what: 'a file under two transactions',
    harm: (b) => b.copy(b.file(12), b.file(12, 0, 11)),
    finds: ['damaged', 'overlap'],
    quick: true,
  },
  {
    what: 'a snapshot as an increment',
    harm: (b) => b.copy(b.file(6, 9, 1), b.file(11)),
    finds: ['damaged'],
    quick: true,
  },
  {
    what: 'a merged file on level 0',
    harm: (b) => b.copy(b.file(8, 1, 6), b.file(8, 0, 6)),
    finds: ['wrong-level', 'overlap'],
    restores: true,
    quick: true,
  },
  {
    what: 'an increment on level 9',
    harm: (b) => b.copy(b.file(11), b.file(11, 9)),
    finds: ['wrong-level'],
    restores: true,
    quick: true,
  },
  {
    what: 'a file of another database',
    harm: (b) => b.copy(b.file(11, 0, 11, 'other'), b.file(11)),
    finds: ['wrong-hash', 'broken-chain'],
    quick: true,
  },
  {
    what: 'a file and its record of another database',
    harm: (b) => (b.copy(b.file(11, 0, 11, 'other'), b.file(11)), b.copy(b.record(11, 0, 11, 'other'), b.record(11))),
    finds: ['broken-chain'],
    quick: true,
  },
  {
    what: 'the next file of another database',
    harm: (b) => b.copy(b.file(13, 0, 13, 'other'), b.file(13)),
    finds: ['broken-chain'],
    quick: true,
  },
  {
    what: 'a snapshot of another database',
    harm: (b) => (
      b.copy(b.file(6, 9, 1, 'other'), b.file(6, 9, 1)),
      b.copy(b.record(6, 9, 1, 'other'), b.record(6, 9, 1))
    ),
    finds: ['disagrees', 'broken-chain'],
    quick: true,
  },
  {
    what: 'a merged file of another database',
    harm: (b) => (
      b.copy(b.file(8, 1, 6, 'other'), b.file(8, 1, 6)),
      b.copy(b.record(8, 1, 6, 'other'), b.record(8, 1, 6))
    ),
    finds: ['disagrees', 'broken-chain'],
    quick: true,
  },
  {
    what: 'another page sealed into a file, with a record that fits',
    harm: (b) => (
      b.forge(b.file(11), {}, spoil),
      rmSync(b.record(11)),
      b.note(b.record(12), (r) => delete r['walrust-prev'])
    ),
    finds: ['wrong-checksum'],
    restores: 'either',
  },
  {
    what: 'another page sealed into a merged file',
    harm: (b) => (b.forge(b.file(8, 1, 6), {}, spoil), rmSync(b.record(8, 1, 6))),
    finds: ['wrong-checksum'],
    restores: 'either',
  },
  {
    what: 'another page sealed into a snapshot',
    harm: (b) => (b.forge(b.file(6, 9, 1), { post: 0n }, spoil), rmSync(b.record(6, 9, 1))),
    finds: ['disagrees'],
  },
  {
    what: 'a page left out of a merged file',
    harm: (b) => (
      b.forge(b.file(8, 1, 6), {}, (pages) => pages.delete([...pages.keys()][0])),
      rmSync(b.record(8, 1, 6))
    ),
    finds: ['wrong-checksum'],
    restores: 'either',
  },
  {
    what: 'bytes changed together with the file checksum',
    harm: (b) => b.forge(b.file(11), {}, spoil),
    finds: ['wrong-hash'],
    restores: 'either',
  },
  {
    what: 'a database checksum that is a lie',
    harm: (b) => (b.forge(b.file(12), { post: 1n << 63n }), rmSync(b.record(12))),
    finds: ['wrong-checksum'],
  },
  {
    what: 'a state before it that was not',
    harm: (b) => (b.forge(b.file(12), { pre: (1n << 63n) | 5n }), rmSync(b.record(12))),
    finds: ['broken-chain'],
    quick: true,
  },
  {
    what: 'a file older than the one before',
    harm: (b) => (b.forge(b.file(12), { timestamp: START - 1 }), rmSync(b.record(12))),
    finds: ['wrong-time'],
    restores: true,
    quick: true,
  },
  { what: 'record gone', harm: (b) => rmSync(b.record(11)), finds: ['no-record'], restores: true, quick: true },
  {
    what: 'record that is no record',
    harm: (b) => writeFileSync(b.record(11), '{"wal'),
    finds: ['bad-record'],
    restores: true,
    quick: true,
  },
  {
    what: 'record cut to nothing',
    harm: (b) => truncateSync(b.record(11), 0),
    finds: ['bad-record'],
    restores: true,
    quick: true,
  },
  {
    what: 'record of another file',
    harm: (b) => b.copy(b.record(10), b.record(11)),
    finds: ['wrong-hash'],
    restores: true,
    quick: true,
  },
  {
    what: 'record without hash',
    harm: (b) => b.note(b.record(11), (r) => delete r['walrust-sha256']),
    finds: ['bad-record'],
    restores: true,
    quick: true,
  },
  {
    what: 'record with another database checksum',
    harm: (b) => b.note(b.record(11), (r) => (r['walrust-post'] = '8000000000000001')),
    finds: ['wrong-record'],
    restores: true,
    quick: true,
  },
  {
    what: 'record with another checksum before',
    harm: (b) => b.note(b.record(11), (r) => (r['walrust-pre'] = '8000000000000001')),
    finds: ['wrong-record'],
    restores: true,
    quick: true,
  },
  {
    what: 'record with another time',
    harm: (b) => b.note(b.record(11), (r) => (r['litestream-timestamp'] = '2020-01-01T00:00:00Z')),
    finds: ['wrong-record'],
    restores: true,
    quick: true,
  },
  {
    what: 'record with another predecessor',
    harm: (b) => b.note(b.record(11), (r) => (r['walrust-prev'] = '0'.repeat(64))),
    finds: ['broken-chain'],
    restores: true,
    quick: true,
  },
  {
    what: 'record of a codec that was not used',
    harm: (b) => b.note(b.record(11), (r) => (r['walrust-codecs'] = 'zip')),
    finds: ['codec-missing'],
    restores: true,
  },
  {
    what: 'a file that is none of ours',
    harm: (b) => writeFileSync(join(b.level(0), 'notes.txt'), 'hello'),
    finds: ['foreign'],
    restores: true,
    quick: true,
  },
  {
    what: 'a file with a name in capitals',
    harm: (b) => renameSync(b.file(11), b.file(11).replace(/0b-/, '0B-')),
    finds: ['gap'],
    quick: true,
  },
  {
    what: 'a file whose name says less',
    harm: (b) => renameSync(b.file(12), join(b.level(0), '000000000000000c.ltx')),
    finds: ['foreign'],
    restores: true,
    quick: true,
  },
  {
    what: 'a level that there is not',
    harm: (b) => b.copy(b.file(12), join(b.level(12), fileName({ minTxid: 12, maxTxid: 12 }))),
    finds: ['foreign'],
    restores: true,
    quick: true,
  },
]

describe('ways to damage a backup', function () {
  this.timeout(120_000)
  const folder = useFolder()
  let root = ''
  let newest = ''
  const states = new Set<string>()

  before(async () => {
    root = mkdtempSync(join(tmpdir(), 'walrust-fifty-'))
    for (const [name, commits] of [
      ['app', 12],
      ['other', 13],
    ] as const) {
      const remote = await open(join(root, 'backups'), name)
      const history = new History(remote, join(root, `${name}.db`), { pageSize: 1024 })
      for (let i = 1; i <= commits; i++) {
        await history.commit(START + i * 10 * SECOND, i === 1 ? FILL : undefined)
        if (i === 6) await history.snapshot()
      }
      history.close()
      if (name === 'app') for (const point of history.points) states.add(formatChecksum(point.checksum))
      const upkeep = new Upkeep(
        {
          ...{ remote, hooks: remote.hooks, log: SILENT, folder: join(root, 'scratch') },
          ...{ now: () => START + 100 * SECOND, retention: DEFAULT_SETTINGS.retention },
          ...{ database: { name, path: name, stateDir: root }, compaction: DEFAULT_SETTINGS.compaction },
        },
        await remote.inventory(),
      )
      await upkeep.run(false, new AbortController().signal)
    }
    newest = checksum(join(root, 'app.db'))
  })
  after(() => rmSync(root, { recursive: true, force: true }))

  it('finds nothing before anything is damaged, whole and in a glance, and there are more than fifty ways', async () => {
    const remote = await open(join(root, 'backups'), 'app')
    const whole = await verify(remote)
    assert.deepEqual([whole.findings, whole.checksum, whole.txid], [[], newest, 12])
    assert.ok(whole.bytesRead >= whole.bytes)
    const glance = await verify(remote, { quick: true })
    assert.deepEqual([glance.findings, glance.checksum, glance.txid], [[], newest, 12])
    assert.deepEqual(readdirSync(join(root, 'backups/app/ltx/1')), ['2-2', '3-5', '6-8'].map(named))
    assert.ok(WAYS.length >= 50)
  })

  for (const { what, harm, finds, restores = false, quick } of WAYS) {
    it(`${what}: ${finds.join(' or ')}`, async () => {
      const backups = folder.file('backups')
      cpSync(join(root, 'backups'), backups, { recursive: true })
      harm(new Backup(backups))
      const remote = await open(backups, 'app')
      const { findings } = await verify(remote)
      const found = () => JSON.stringify(findings, undefined, 1)
      assert.ok(
        findings.some(({ code }) => finds.includes(code)),
        found(),
      )
      for (const { code, what, file } of findings) {
        assert.ok(what.length > 0)
        if (!['nothing-found', 'no-base'].includes(code)) assert.ok(file?.startsWith('app/'), found())
      }
      if (quick !== undefined) {
        const glance = await verify(remote, { quick: true })
        assert.equal(glance.findings.length > 0, quick, JSON.stringify(glance.findings))
      }
      await restoreNewest(remote, restores)
    })
  }

  /** Restores over a database that is there: what comes out is a state that there was, or what was there before. */
  async function restoreNewest(remote: Remote, restores: boolean | 'either'): Promise<void> {
    const target = folder.file('target.db')
    const old = new Database(target)
    old.exec('CREATE TABLE old(x); INSERT INTO old VALUES (1)')
    old.close()
    const before = readFileSync(target)
    let error: unknown
    try {
      const inventory = await remote.inventory()
      const plan = planRestore(inventory, inventory.newest, 'app')
      await restore(remote, plan, { target, force: true, integrityCheck: 'full' })
    } catch (thrown) {
      error = thrown
    }
    assert.deepEqual(
      readdirSync(folder.path).filter((name) => name.includes('restore-')),
      [],
    )
    if (restores === true) assert.equal(error, undefined)
    if (restores !== false && error === undefined) {
      assert.ok(states.has(checksum(target)), 'a database came out that there never was')
      return
    }
    assert.ok(error instanceof WalrustError, String(error))
    assert.ok([2, 5, 6].includes(error.exitCode), `${error.code}: ${error.message}`)
    assert.ok(readFileSync(target).equals(before))
    assert.ok(existsSync(target))
  }

  describe('of what Litestream 0.5.17 and 0.5.15 have written', () => {
    for (const version of ['0.5.17', '0.5.15']) {
      const copy = () => {
        const backups = folder.file('backups')
        cpSync(repositoryPath(`test/fixtures/ltx/litestream-${version}/4096/ltx`), join(backups, 'app', 'ltx'), {
          recursive: true,
        })
        return new Backup(backups)
      }
      it(`${version}: is proved from its pages, without any checksum of ours`, async () => {
        const { findings, checksum, txid } = await verify(await open(copy().folder, 'app'))
        assert.deepEqual(findings, [])
        assert.equal(txid, 4)
        assert.ok(checksum)
      })
      for (const [what, harm, finds] of [
        ['bytes of a page', (b) => b.flip(b.file(3), 300), ['damaged']],
        ['a page sealed into a file', (b) => b.forge(b.file(3), {}, spoil), ['disagrees']],
        ['a page sealed into the snapshot', (b) => b.forge(b.file(3, 9, 1), {}, spoil), ['disagrees']],
        ['a file gone', (b) => rmSync(b.file(2)), ['gap']],
        ['cut', (b) => b.cut(b.file(4), 3), ['damaged']],
        ['swapped', (b) => b.swap(b.file(2), b.file(3)), ['damaged']],
      ] as ReadonlyArray<[string, (b: Backup) => void, FindingCode[]]>) {
        it(`${version}, ${what}: ${finds.join()}`, async () => {
          const backup = copy()
          harm(backup)
          const { findings } = await verify(await open(backup.folder, 'app'))
          assert.ok(
            findings.some(({ code }) => finds.includes(code)),
            JSON.stringify(findings),
          )
        })
      }
    }
  })
})

function named(range: string): string {
  return `${range
    .split('-')
    .map((part) => part.padStart(16, '0'))
    .join('-')}.ltx`
}
