/** WALs on disk, held against what SQLite itself makes of them. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Connection } from '../../core/database/connection.js'
import { Engine } from '../../core/engine.js'
import { Host } from '../../core/host.js'
import { SILENT } from '../../core/log.js'
import { Remote } from '../../core/remote.js'
import { planRestore } from '../../core/restore/plan.js'
import { restore } from '../../core/restore/restore.js'
import { DEFAULT_SETTINGS } from '../../core/settings.js'
import { Generation } from '../../core/wal/generation.js'
import { WalFile } from '../../core/wal/wal-file.js'
import { shadowWal } from '../../plugins/shadow-wal/index.js'
import { MemoryStore } from '../../plugins/storage-memory/index.js'
import { checksum } from '../helpers/databases.js'
import { fixture } from '../helpers/ltx.js'
import type { Random } from '../helpers/ltx-random.js'
import { damage } from './damage.js'
import type { Target } from './target.js'

const originals = ['plain-512', 'plain-4096', 'restarted-512', 'restarted-4096'].map((name) => ({
  database: fixture(`wal/${name}.db`),
  wal: fixture(`wal/${name}.wal`),
}))
const wals = originals.map(({ wal }) => wal)

/**
 * SQLite recovers a damaged WAL as far as it is right. We have to read exactly as far: less would lose a commit, more
 * would ship one that never happened.
 */
function recovered(random: Random): void {
  const { database, wal } = random.pick(originals)
  const folder = mkdtempSync(join(tmpdir(), 'walrust-fuzz-'))
  try {
    const path = join(folder, 'app.db')
    writeFileSync(path, database)
    writeFileSync(`${path}-wal`, damage(random, wal, wals))
    const connection = new Connection(path)
    const file = new WalFile(path)
    try {
      connection.pin()
      connection.unpin()
      const { log } = connection.state()
      const header = file.header()
      if (log === 0) return
      assert.ok(header, 'SQLite reads a WAL whose header we refuse')
      const generation = new Generation(1, header)
      assert.equal(generation.scan(file, log), 'complete')
      assert.equal(generation.frames, log)
      assert.ok(generation.commit > 0)
      // What lies behind is not taken, however far we are told to read.
      generation.scan(file, log + 50)
      for (let frame = log + 1; frame <= generation.frames; frame++) assert.ok(generation.pageOf(frame) > 0)
    } finally {
      connection.close()
      file.close()
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Frame counts that nobody can have meant, and files shorter than anything. */
function unread(random: Random): void {
  const folder = mkdtempSync(join(tmpdir(), 'walrust-fuzz-'))
  const file = new WalFile(join(folder, 'app.db'))
  try {
    const bytes = damage(random, random.pick(wals), wals)
    writeFileSync(join(folder, 'app.db-wal'), bytes)
    const header = file.header()
    if (!header) return
    const generation = new Generation(1, header)
    const upTo = random.pick([1, 5, 100, 2 ** 20, 2 ** 20 + 1, 0xffffffff])
    const end = generation.scan(file, upTo)
    assert.ok(generation.frames <= Math.floor((bytes.length - 32) / (24 + header.pageSize)))
    assert.equal(end, upTo > 2 ** 20 ? 'too-long' : generation.frames < upTo ? 'bad-frame' : 'complete')
    file.sumAt(random.word(), header.pageSize)
    file.readPage(random.word() + 1, header.pageSize, new Uint8Array(header.pageSize))
  } finally {
    file.close()
    rmSync(folder, { recursive: true })
  }
}

/** All of it, from a damaged WAL to a restored database: what comes out is what SQLite itself makes of that WAL. */
async function shipped(random: Random): Promise<void> {
  const { database, wal } = random.pick(originals)
  const folder = mkdtempSync(join(tmpdir(), 'walrust-fuzz-'))
  try {
    const path = join(folder, 'app.db')
    writeFileSync(path, database)
    writeFileSync(`${path}-wal`, damage(random, wal, wals))
    const host = new Host(SILENT)
    if (random.chance(0.5)) host.use(shadowWal())
    const store = new MemoryStore()
    host.use({
      name: 'fuzz',
      apply: (to) => to.registerStorage('fuzz', () => store),
    })
    const engine = new Engine({ host, log: SILENT, uploadConcurrency: 1 })
    const settings = { ...DEFAULT_SETTINGS, giveUp: true }
    await engine.add({ name: 'app', path, stores: [await host.store('fuzz:x')], settings })
    assert.deepEqual(await engine.close(60_000), [])
    const remote = new Remote(store, 'app', host.hooks)
    const inventory = await remote.inventory()
    const target = join(folder, 'restored.db')
    const plan = planRestore(inventory, inventory.newest, 'app')
    await restore(remote, plan, { target, force: false, integrityCheck: 'none' })
    assert.equal(checksum(target), checksum(path))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

export const targets: readonly Target[] = [
  { name: 'wal-shipped', share: 0.1, run: shipped },
  { name: 'wal-recovered', share: 2, run: recovered },
  { name: 'wal-file', share: 3, run: unread },
]
