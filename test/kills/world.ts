import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { planRestore } from '../../core/restore/plan.js'
import { restore, type RestoreResult } from '../../core/restore/restore.js'
import { findingText } from '../../core/verify/finding.js'
import { verify } from '../../core/verify/verify.js'
import { checksum, createDatabase, integrity } from '../helpers/databases.js'
import { HelperProcess, WalrustProcess } from '../helpers/processes.js'
import { Random } from '../simulation/random.js'
import type { TruncatorOptions } from '../helpers/truncator.js'
import type { WriterOptions } from '../helpers/writer.js'
import { SmallDisk } from './small-disk.js'
import { FolderStorage, ServerStorage, type Storage } from './storages.js'

/**
 * What is done to the world, each followed by a look at what can be restored.
 * - `kill`: the shipper · `kill-twice`: again while it starts · `stop-kill`: after it stood still for a while
 * - `pause`: it stands still and goes on · `application`: the application is killed · `both`: both at once
 * - `server-away`: the server of the storage is killed and comes back · `server-trouble`: it answers as a bad day
 * - `full-…`: no room left, there and then the shipper is killed or goes on · `read-only-…`: nobody may write
 */
export const DEEDS = [
  'kill',
  'kill-twice',
  'stop-kill',
  'pause',
  'application',
  'both',
  'full-storage',
  'full-state',
  'read-only-storage',
  'read-only-state',
  'server-away',
  'server-trouble',
] as const
export type Deed = (typeof DEEDS)[number]

/** Deeds that need a file system of their own. */
const ON_DISK: ReadonlySet<Deed> = new Set(['full-storage', 'full-state', 'read-only-storage', 'read-only-state'])
/** Deeds that need a server. */
const ON_SERVER: ReadonlySet<Deed> = new Set(['server-away', 'server-trouble'])
/** Deeds that need the storage to be a folder on a disk of its own. */
const ON_FOLDER: ReadonlySet<Deed> = new Set(['full-storage', 'read-only-storage'])
/** Megabytes. Storage has room for everything that the fastest application can write in a world. */
const DISKS = { storage: 256, state: 64 } as const

export interface WorldReport {
  seed: number
  kills: number
  deeds: Record<string, number>
  restores: number
  commits: number
  lost: string[]
}

/** A database, its application, somebody who runs checkpoints, and a shipper, until so many were killed. */
export async function runWorld(seed: number, kills: number, folder: string): Promise<WorldReport> {
  const world = new World(seed, folder)
  try {
    return await world.run(kills)
  } finally {
    await world.dispose()
  }
}

class World {
  readonly #random: () => number
  readonly #report: WorldReport
  readonly #path: string
  readonly #disks: Partial<Record<'storage' | 'state', SmallDisk>> = {}
  #storage!: Storage
  /** Nothing can be read from storage just now. */
  #away = false
  readonly #args: string[]
  readonly #writer: WriterOptions
  readonly #folder: string
  #shipper: WalrustProcess | undefined
  #application: HelperProcess<unknown> | undefined
  #checkpoints: HelperProcess<unknown> | undefined

  constructor(seed: number, folder: string) {
    const random = new Random(seed)
    this.#random = () => random.next()
    this.#folder = folder
    this.#report = { seed, kills: 0, deeds: {}, restores: 0, commits: 0, lost: [] }
    this.#path = join(folder, 'app.db')
    for (const name of ['storage', 'state'] as const)
      this.#disks[name] = SmallDisk.mount(join(folder, name), DISKS[name])
    this.#args = [
      ...['watch', this.#path, '--state-dir', join(folder, 'state', 'walrust'), '--max-delay', '2s'],
      ...['--log-level', 'debug', '--sync-interval', this.#pick(['20ms', '200ms', '1s'])],
      ...['--min-checkpoint-pages', this.#pick(['20', '200', '1000'])],
      ...(this.#random() < 0.3 ? ['--no-shadow-wal'] : []),
      ...(this.#random() < 0.3 ? ['--snapshot-interval', '3s'] : []),
    ]
    this.#writer = {
      path: this.#path,
      rate: this.#pick([20, 200, 600]),
      seconds: 0,
      synchronous: this.#pick(['full', 'normal', 'off']),
      bytes: this.#pick([50, 300, 2000]),
      updateEvery: this.#pick([1, 2, 4]),
    }
    createDatabase(this.#path, { bytes: 50_000, pageSize: this.#pick([1024, 4096]) })
  }

  async run(kills: number): Promise<WorldReport> {
    const served = this.#random() < 0.4
    this.#storage = served
      ? await ServerStorage.start(this.#report.seed)
      : new FolderStorage(join(this.#folder, 'storage', 'backups'))
    this.#args.push('-b', this.#storage.url)
    this.#application = new HelperProcess('writer', this.#writer)
    this.#checkpoints = new HelperProcess('truncator', {
      path: this.#path,
      seconds: 3600,
      every: this.#pick([30, 300, 2000]),
      busyTimeout: this.#pick([0, 200, 5000]),
      mode: this.#pick(['TRUNCATE', 'TRUNCATE', 'RESTART', 'FULL'] as const),
    } satisfies TruncatorOptions)
    const deeds = DEEDS.filter((deed) => {
      if (ON_DISK.has(deed) && !(this.#disks.storage && this.#disks.state)) return false
      return served ? !ON_FOLDER.has(deed) : !ON_SERVER.has(deed)
    })
    while (this.#report.kills < kills) {
      this.#start()
      await this.#wait(50, 900)
      const deed = this.#random() < 0.4 ? 'kill' : this.#pick(deeds)
      this.#report.deeds[deed] = (this.#report.deeds[deed] ?? 0) + 1
      await this.#do(deed)
    }
    await this.#finish()
    return this.#report
  }

  async dispose(): Promise<void> {
    this.#shipper?.child.kill('SIGCONT')
    await this.#shipper?.kill('SIGKILL')
    await this.#application?.kill()
    await this.#checkpoints?.kill()
    await this.#storage.dispose()
    for (const disk of Object.values(this.#disks)) disk.unmount()
  }

  async #do(deed: Deed): Promise<void> {
    const [what, where] = deed.split(/-(?=storage|state)/) as [string, 'storage' | 'state' | undefined]
    const disk = where && this.#disks[where]
    if (disk) {
      if (what === 'full') disk.fill()
      else if (!disk.readOnly(true)) return
      await this.#wait(100, 1500)
      if (this.#random() < 0.6) await this.#killShipper()
      if (this.#random() < 0.3) {
        // A start on a disk like that.
        this.#start()
        await this.#wait(50, 500)
        await this.#killShipper()
      }
      disk.empty()
      disk.readOnly(false)
      disk.empty()
      await this.#wait(0, 300)
      return
    }
    if (this.#storage instanceof ServerStorage && ON_SERVER.has(deed)) {
      await this.#doToServer(this.#storage, deed)
      return
    }
    if (deed === 'stop-kill' || deed === 'pause') {
      this.#shipper?.child.kill('SIGSTOP')
      await this.#wait(100, 1500)
      if (deed === 'pause') this.#shipper?.child.kill('SIGCONT')
    }
    if (deed === 'application' || deed === 'both') await this.#killApplication(deed === 'both')
    if (deed === 'pause' || deed === 'application' || deed === 'both') return
    await this.#killShipper()
    if (deed !== 'kill-twice') return
    this.#start()
    await this.#wait(0, 350)
    await this.#killShipper()
  }

  async #doToServer(storage: ServerStorage, deed: Deed): Promise<void> {
    this.#away = true
    if (deed === 'server-away') await storage.server.stop()
    else storage.trouble(30)
    await this.#wait(100, 1500)
    if (this.#random() < 0.5) await this.#killShipper()
    if (this.#random() < 0.5) {
      this.#start()
      await this.#wait(50, 800)
      if (this.#random() < 0.5) await this.#killShipper()
    }
    if (deed === 'server-away') await storage.server.start()
    storage.calm()
    this.#away = false
    await this.#checkRestore()
  }

  #start(): void {
    if (this.#shipper?.child.exitCode === null && this.#shipper.child.signalCode === null) return
    if (this.#shipper) this.#listen(this.#shipper)
    this.#shipper = new WalrustProcess(this.#args, { env: this.#storage.environment })
  }

  /** Everything that was reported as shipped, by transaction. */
  readonly #shipped = new Map<number, string>()

  #listen(shipper: WalrustProcess): void {
    for (const { txid, checksum: sum } of shipper.shipped) {
      const before = this.#shipped.get(txid)
      if (before !== undefined && before !== sum) this.#report.lost.push(`transaction ${txid} was shipped twice`)
      this.#shipped.set(txid, sum)
    }
  }

  async #killShipper(): Promise<void> {
    const shipper = this.#shipper
    if (!shipper) return
    await shipper.kill('SIGKILL')
    this.#report.kills++
    this.#listen(shipper)
    await this.#checkRestore()
  }

  /** Restores what was reported last, or something older. */
  async #checkRestore(): Promise<void> {
    const reported = [...this.#shipped.keys()].sort((a, b) => a - b)
    const txid = this.#random() < 0.8 ? reported.at(-1) : this.#pick(reported)
    if (txid === undefined || this.#away) return
    this.#report.restores++
    try {
      const result = await this.#restore(join(this.#folder, 'restored.db'), txid)
      if (result.checksum.toString(16) !== this.#shipped.get(txid)) {
        this.#report.lost.push(`transaction ${txid} restores to another state`)
      }
    } catch (error) {
      this.#report.lost.push(`transaction ${txid}: ${(error as Error).message}\n${this.#shipper?.tail(8) ?? ''}`)
    }
  }

  async #killApplication(withShipper: boolean): Promise<void> {
    const application = this.#application
    this.#application = undefined
    if (withShipper) application?.child.kill('SIGKILL')
    if (withShipper) await this.#killShipper()
    await application?.kill()
    await this.#wait(0, 400)
    this.#application = new HelperProcess('writer', this.#writer)
  }

  /** Everybody ends as they should, and what was restored is what is there. */
  async #finish(): Promise<void> {
    await this.#application?.kill()
    await this.#checkpoints?.kill()
    this.#start()
    const { lost } = this.#report
    await this.#shipper?.line('watching')
    const code = await this.#shipper?.kill('SIGTERM')
    if (this.#shipper) this.#listen(this.#shipper)
    if (code !== 0) lost.push(`the last shipper ended with ${code}:\n${this.#shipper?.tail() ?? ''}`)
    const target = join(this.#folder, 'restored.db')
    rmSync(target, { force: true })
    await this.#restore(target)
    if (checksum(target) !== checksum(this.#path)) lost.push('the newest state is not what the application has')
    if (integrity(this.#path) !== 'ok') lost.push('the database of the application is damaged')
    const { findings } = await verify(await this.#storage.remote())
    lost.push(...findings.map(findingText))
    this.#report.commits = Math.max(0, ...this.#shipped.keys())
  }

  async #restore(target: string, txid?: number): Promise<RestoreResult> {
    const remote = await this.#storage.remote()
    const inventory = await remote.inventory()
    const plan = planRestore(inventory, txid ?? inventory.newest, 'app')
    return await restore(remote, plan, { target, force: true, integrityCheck: 'full' })
  }

  async #wait(least: number, most: number): Promise<void> {
    await sleep(least + this.#random() * (most - least))
  }

  #pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#random() * from.length)]
  }
}
