/**
 * Makes test/fixtures/ltx and test/fixtures/wal with the reference tools and real SQLite; see the README files there.
 * Run it by hand (`npm run build && node dist/test/interop/make-fixtures.js`): what it makes is kept in the
 * repository, because the tests must not need these tools.
 */
import Database from 'better-sqlite3'
import { createHash } from 'node:crypto'
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { repositoryPath } from '../helpers/ltx.js'
import { databaseStates, ltxName, PAGE_SIZES } from './databases.js'
import { run } from './tools.js'

const ltx = repositoryPath('test/fixtures/ltx')
const wal = repositoryPath('test/fixtures/wal')
const work = mkdtempSync(join(tmpdir(), 'walrust-fixtures-'))

/** What a database file must be once it is restored. */
function facts(file: string): { pages: number; sha256: string; checksum: string } {
  const bytes = readFileSync(file)
  const pageSize = bytes.readUInt16BE(16) === 1 ? 65536 : bytes.readUInt16BE(16)
  return {
    pages: bytes.length / pageSize,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    checksum: run('ltx', 'checksum', file),
  }
}

function writeJson(file: string, value: unknown): void {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, `${JSON.stringify(value, null, 2)}\n`)
}

function makeGo(pageSize: number): void {
  const folder = join(ltx, 'go', String(pageSize))
  const files = databaseStates(work, pageSize)
  for (const [mode, flags] of [
    ['tracked', []],
    ['untracked', ['-no-checksum']],
  ] as const) {
    const name = (min: number, max: number) => join(folder, mode, ltxName(min, max))
    mkdirSync(join(folder, mode), { recursive: true })
    files.forEach((file, i) => {
      const txid = String(i + 1)
      const from = i === 0 ? [] : ['-from', files[i - 1]]
      const time = String(1_700_000_000_000 + i)
      run(
        'ltxgen',
        'diff',
        '-min',
        txid,
        '-max',
        txid,
        '-time',
        time,
        ...from,
        ...flags,
        '-o',
        name(i + 1, i + 1),
        file,
      )
    })
    const inputs = files.map((_, i) => name(i + 1, i + 1))
    run('ltxgen', 'compact', ...flags, '-o', name(1, files.length), ...inputs)
    run('ltxgen', 'compact', ...flags, '-o', name(2, files.length), ...inputs.slice(1))
  }
  writeJson(join(folder, 'expected.json'), files.map(facts))
  const last = files.length + 1
  const deletion = [
    '-min',
    String(last),
    '-max',
    String(last),
    '-time',
    '1700000000099',
    '-from',
    files[files.length - 1],
  ]
  run('ltxgen', 'delete', ...deletion, '-o', join(folder, 'tracked', ltxName(last, last)))
}

function makeFrames(): void {
  const folder = join(ltx, 'frames')
  mkdirSync(folder, { recursive: true })
  // The third transaction of the small pages holds random bytes, which LZ4 stores as they are.
  const from = (pageSize: number, name: string) => join(ltx, 'go', String(pageSize), name)
  const third = from(512, `tracked/${ltxName(3, 3)}`)
  run('ltxgen', 'frames', '-o', join(folder, 'stored-512.ltx'), third)
  for (const pageSize of PAGE_SIZES) {
    const first = from(pageSize, `untracked/${ltxName(1, 1)}`)
    run('ltxgen', 'frames', '-o', join(folder, `plain-${pageSize}.ltx`), first)
    run('ltxgen', 'frames', '-content-size', '-o', join(folder, `content-size-${pageSize}.ltx`), first)
    run('ltxgen', 'frames', '-block-checksum', '-o', join(folder, `block-checksum-${pageSize}.ltx`), first)
  }
}

function makeLockPage(): void {
  const out = join(ltx, 'go', 'lock-page-65536.ltx')
  run('ltxgen', 'sparse', '-page-size', '65536', '-commit', '16387', '-min', '7', '-max', '7', '-time', '1700000000000',
    '-o', out, '16383', '16384', '16386', '16387') // prettier-ignore
}

function makeLitestream(version: string, program: 'litestream' | 'litestream-frames', pageSize: number): void {
  const folder = join(ltx, `litestream-${version}`, String(pageSize))
  const home = mkdtempSync(join(work, 'litestream-'))
  const file = join(home, 'app.db')
  const db = new Database(file)
  db.pragma(`page_size = ${pageSize}`)
  db.pragma('journal_mode = WAL')
  db.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)')
  const insert = db.prepare('INSERT INTO t (v) VALUES (?)')
  const replicate = (...flags: string[]) => run(program, 'replicate', '-once', ...flags, file, `file://${folder}`)
  for (let round = 1; round <= 3; round++) {
    for (let row = 1; row <= 6; row++) insert.run(`row ${row} of round ${round}, as Litestream ${version} took it`)
    replicate()
  }
  replicate('-force-snapshot')
  db.exec('DELETE FROM t WHERE id < 9')
  replicate()
  db.close()

  const names = readdirSync(join(folder, 'ltx', '0')).sort()
  const expected = names.map((name) => {
    const txid = name.slice(17, 33)
    const out = join(home, `${txid}.db`)
    run(program, 'restore', '-txid', txid, '-o', out, `file://${folder}`)
    return { txid: parseInt(txid, 16), ...facts(out) }
  })
  writeJson(join(folder, 'expected.json'), expected)
}

/** WALs as SQLite leaves them on disk, while a connection keeps them alive. */
function makeWals(): void {
  mkdirSync(wal, { recursive: true })
  for (const pageSize of [512, 4096]) {
    const file = join(work, `wal-${pageSize}.db`)
    const db = new Database(file)
    db.pragma(`page_size = ${pageSize}`)
    db.pragma('journal_mode = WAL')
    db.pragma('wal_autocheckpoint = 0')
    const keep = (name: string) => {
      copyFileSync(`${file}-wal`, join(wal, `${name}-${pageSize}.wal`))
      copyFileSync(file, join(wal, `${name}-${pageSize}.db`))
    }
    db.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)')
    db.exec("INSERT INTO t (v) VALUES ('one'), ('two')")
    db.exec('INSERT INTO t (v) VALUES (hex(zeroblob(500)))')
    keep('plain')
    // All is checkpointed, so the next commit starts the WAL again from its beginning and the rest stays behind it.
    db.pragma('wal_checkpoint(RESTART)')
    db.exec("UPDATE t SET v = 'three' WHERE id = 1")
    keep('restarted')
    db.close()
  }
}

rmSync(join(ltx, 'go'), { recursive: true, force: true })
for (const pageSize of PAGE_SIZES) makeGo(pageSize)
makeLockPage()
rmSync(join(ltx, 'frames'), { recursive: true, force: true })
makeFrames()
for (const [version, program] of [
  ['0.5.17', 'litestream'],
  ['0.5.15', 'litestream-frames'],
] as const) {
  rmSync(join(ltx, `litestream-${version}`), { recursive: true, force: true })
  for (const pageSize of PAGE_SIZES) makeLitestream(version, program, pageSize)
}
makeWals()
rmSync(work, { recursive: true })
