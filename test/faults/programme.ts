import assert from 'node:assert/strict'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { checksum, createDatabase, integrity } from '../helpers/databases.js'
import { HelperProcess, walrust, WalrustProcess } from '../helpers/processes.js'
import { type Fault, FAULTS, PASSING_FAULTS } from '../helpers/s3-server/faults.js'
import { S3Server } from '../helpers/s3-server/index.js'
import type { WriterOptions } from '../helpers/writer.js'

const URL = 's3://bucket/backups'

export interface FaultProgramme {
  folder: string
  /** Level-0 files until it is enough. */
  syncs: number
  seed?: number
  /** Of all requests, 0 to 1: each fault that passes by itself. */
  passing?: number
  /** Each fault that ends the process as it should (refused credentials, a missing bucket…); it is started again. */
  stopping?: number
  /** Requests that are never answered: each costs the client its whole deadline. */
  hanging?: number
  /** Commits a second. */
  rate?: number
  /** Points of the past that are restored at the end, besides the newest. */
  points?: number
  say?: (text: string) => void
}

export interface FaultReport {
  syncs: number
  starts: number
  requests: Record<string, number>
  faults: Partial<Record<Fault, number>>
  seconds: number
  restored: number
}

/**
 * An application that commits all the time, a storage that fails in every way it can, and a supervisor that starts
 * `watch` again whenever it has ended. Afterwards every transaction must lie there exactly once, each following the one
 * before it by SHA-256, and everything that was reported as shipped must come back as it was. Throws otherwise.
 */
export async function faultProgramme(programme: FaultProgramme): Promise<FaultReport> {
  const { folder, syncs, seed = 1, passing = 0.05, stopping = 0, hanging = 0, rate = 200 } = programme
  const server = await new S3Server({ seed }).start()
  const env = server.environment
  const path = join(folder, 'app.db')
  createDatabase(path, { bytes: 100_000 })
  const args = ['watch', path, '-b', URL, '--sync-interval', '1ms', '--base-delay', '2ms', '--max-delay', '50ms']
  const start = () => new WalrustProcess(args, { env })
  const started = performance.now()
  let writer: HelperProcess<unknown> | undefined
  let watching = start()
  const reported = new Map<number, string>()
  const collect = () => {
    for (const { txid, checksum } of watching.shipped) {
      const before = reported.get(txid)
      assert.ok(before === undefined || before === checksum, `transaction ${txid} was shipped as two states`)
      reported.set(txid, checksum)
    }
  }
  let starts = 1
  try {
    await watching.line('shipped')
    server.faults.rates(ratesOf(passing, stopping, hanging))
    writer = new HelperProcess('writer', { path, rate, seconds: 0 } satisfies WriterOptions)
    let told = 0
    for (let txid = 0; txid < syncs; txid = newest(server)) {
      if (await ended(watching)) {
        collect()
        watching = start()
        starts++
      } else await sleep(100)
      if (txid >= told) programme.say?.(`${txid} syncs, ${starts} starts, ${JSON.stringify(server.faults.counts)}`)
      if (txid >= told) told = txid + Math.max(100, syncs / 20)
    }
    await writer.kill()
    programme.say?.(`${newest(server)} syncs: draining`)
    // What was planned to go wrong is over; what went wrong is to be mended by whoever is there.
    server.faults.clear()
    const drained = await watching.kill('SIGTERM')
    collect()
    if (drained !== 0) {
      watching = new WalrustProcess([...args, '--once'], { env })
      starts++
      assert.equal(await watching.exit, 0, watching.tail())
      collect()
    }
    programme.say?.('looking at the chain, and restoring')
    const newestTxid = checkChain(server)
    const restored = await checkPoints(programme, env, path, reported)
    return {
      syncs: newestTxid,
      starts,
      requests: server.counts(),
      faults: server.faults.counts,
      seconds: Math.round((performance.now() - started) / 1000),
      restored,
    }
  } finally {
    await writer?.kill()
    await watching.kill()
    await server.stop()
  }
}

function ratesOf(passing: number, stopping: number, hanging: number): Partial<Record<Fault, number>> {
  const rate = (fault: Fault) => (fault === 'hang' ? hanging : PASSING_FAULTS.includes(fault) ? passing : stopping)
  return Object.fromEntries(FAULTS.map((fault) => [fault, rate(fault)]))
}

async function ended(run: WalrustProcess): Promise<boolean> {
  const { exitCode, signalCode } = run.child
  if (exitCode === null && signalCode === null) return false
  const code = await run.exit
  // 5 where bytes that were read are not what was written: nothing is built on those.
  assert.ok(code === 4 || code === 5, `a storage that fails ends it with 4 or 5, not ${code}:\n${run.tail()}`)
  return true
}

function txidsOf(server: S3Server): number[] {
  return server.bucket.keys('backups/app/0000/').map((key) => Number.parseInt(key.slice(-37, -21), 16))
}

function newest(server: S3Server): number {
  return txidsOf(server).at(-1) ?? 0
}

/** Every transaction after the first snapshot, once, in one chain. Returns the newest. */
function checkChain(server: S3Server): number {
  const txids = txidsOf(server)
  assert.deepEqual(
    txids,
    txids.map((_, i) => i + 2),
    'every transaction lies there once, and none is missing',
  )
  let before: string | undefined
  for (const key of server.bucket.keys('backups/app/0000/')) {
    const object = server.bucket.objects.get(key)
    assert.equal(object?.metadata['walrust-sha256'], object?.sha256, key)
    if (before !== undefined) assert.equal(object?.metadata['walrust-prev'], before, `${key} follows another file`)
    before = object?.sha256
  }
  return txids.at(-1) ?? 1
}

/** What was reported comes back, and the newest state is that of the database. Returns how many were restored. */
async function checkPoints(
  { folder, points = 3, seed = 1 }: FaultProgramme,
  env: NodeJS.ProcessEnv,
  path: string,
  reported: ReadonlyMap<number, string>,
): Promise<number> {
  const target = join(folder, 'restored.db')
  const restore = async (more: readonly string[]) => {
    const done = await walrust(['restore', 'app', '-o', target, '-b', URL, '--force', '--json', ...more], { env })
    assert.equal(done.code, 0, done.text)
    return JSON.parse(done.stdout) as { checksum: string }
  }
  const txids = [...reported.keys()]
  for (let i = 0; i < points; i++) {
    const txid = txids[Math.floor(((i + 0.5 + (seed % 10) / 20) / (points + 1)) * txids.length)]
    const { checksum } = await restore(['--txid', String(txid)])
    assert.equal(BigInt(`0x${checksum}`), BigInt(`0x${reported.get(txid)}`), `transaction ${txid} is another state`)
  }
  await restore([])
  assert.equal(integrity(target), 'ok')
  assert.equal(checksum(target), checksum(path), 'the newest state')
  const verified = await walrust(['verify', 'app', '-b', URL], { env })
  assert.equal(verified.code, 0, verified.text)
  return points + 1
}
