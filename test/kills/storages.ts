import { mkdirSync } from 'node:fs'
import { Host } from '../../core/host.js'
import { SILENT } from '../../core/log.js'
import { Remote } from '../../core/remote.js'
import { storageFile } from '../../plugins/storage-file/index.js'
import { storageS3 } from '../../plugins/storage-s3/index.js'
import { PASSING_FAULTS } from '../helpers/s3-server/faults.js'
import { S3Server } from '../helpers/s3-server/index.js'
import { freePort } from '../helpers/loopback.js'

/** Where a world ships to, and how it is read back. */
export interface Storage {
  readonly url: string
  /** What the shipper needs in its environment. */
  readonly environment: Readonly<Record<string, string>>
  remote(): Promise<Remote>
  dispose(): Promise<void>
}

export class FolderStorage implements Storage {
  readonly environment = {}
  readonly url: string

  constructor(readonly folder: string) {
    mkdirSync(folder, { recursive: true })
    this.url = `file://${folder}`
  }

  async remote(): Promise<Remote> {
    const host = new Host(SILENT)
    host.use(storageFile())
    return new Remote(await host.store(this.url), 'app', host.hooks)
  }

  dispose(): Promise<void> {
    return Promise.resolve()
  }
}

/** A small S3 on a port of its own, which can be killed and come back, and whose network can be bad. */
export class ServerStorage implements Storage {
  readonly url = 's3://bucket/backups'

  /** As it is while the server runs: it comes back at the same address. */
  readonly environment: Readonly<Record<string, string>>
  readonly #endpoint: string

  private constructor(readonly server: S3Server) {
    this.environment = server.environment
    this.#endpoint = server.endpoint
  }

  static async start(seed: number): Promise<ServerStorage> {
    const port = await freePort()
    return new ServerStorage(await new S3Server({ port, seed }).start())
  }

  /** Something goes wrong with about so many requests of a hundred. */
  trouble(percent: number): void {
    const rate = percent / 100 / PASSING_FAULTS.length
    this.server.faults.rates(Object.fromEntries(PASSING_FAULTS.map((fault) => [fault, rate])))
  }

  calm(): void {
    this.server.faults.clear()
  }

  async remote(): Promise<Remote> {
    const host = new Host(SILENT)
    host.use(storageS3())
    const { region, credentials } = this.server
    const store = await host.store(this.url, { endpoint: this.#endpoint, region, ...credentials })
    return new Remote(store, 'app', host.hooks)
  }

  async dispose(): Promise<void> {
    await this.server.stop()
  }
}
