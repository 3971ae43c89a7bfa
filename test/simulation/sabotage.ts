/**
 * Defects that are planted on purpose, to see that the checks of the simulation find them. Each is of a kind that has
 * cost somebody data; none of them is in the product.
 */
import type { Host } from '../../core/host.js'
import { fileKey } from '../../core/object-keys.js'
import { SimStore } from './sim-store.js'

export const DEFECTS: Readonly<Record<string, (host: Host) => Promise<void> | void>> = {
  /** A file without one of the pages that changed. */
  'drop-page': (host) => {
    host.hooks.encode.tap({ name: 'sabotage', stage: -200 }, (request) => {
      if (request.header.minTxid < 3) return request
      let pages = 0
      return { ...request, pages: request.pages.filter(() => pages++ > 0) }
    })
  },
  /** Storage says that it has stored what it throws away. Not of claims and heartbeats: it is about files here. */
  'lying-storage': () => {
    // eslint-disable-next-line @typescript-eslint/unbound-method -- called with its store below
    const real = SimStore.prototype.put
    let puts = 0
    SimStore.prototype.put = function (key, body, options) {
      if (!key.endsWith('.ltx') || ++puts % 4 !== 0) return real.call(this, key, body, options)
      return Promise.resolve({ key, size: options?.size ?? 0, timestamp: Date.now() })
    }
  },
  /** Half a transaction is taken for a whole one: the end of the WAL is read one frame too early. */
  'half-transaction': async () => {
    const { Connection } = await import('../../core/database/connection.js')
    // eslint-disable-next-line @typescript-eslint/unbound-method -- called with its connection below
    const real = Connection.prototype.state
    Connection.prototype.state = function () {
      const { log, checkpointed } = real.call(this)
      return { log: log > checkpointed + 1 ? log - 1 : log, checkpointed }
    }
  },
  /** No pin is held, and what was missed meanwhile is taken for nothing. */
  'no-pins': async () => {
    const { Connection } = await import('../../core/database/connection.js')
    const { Follower } = await import('../../core/wal/follower.js')
    const { Pins } = await import('../../core/wal/pins.js')
    Connection.prototype.pin = () => undefined
    Connection.prototype.unpin = () => undefined
    Pins.prototype.settle = () => true
    Object.defineProperty(Follower.prototype, 'isOverwritten', { value: () => false })
  },
  /** The database is written to. */
  'own-table': async (host) => {
    const { default: Database } = await import('better-sqlite3')
    host.hooks.encode.tap('sabotage', (request) => {
      const db = new Database(request.database.path)
      db.exec('CREATE TABLE IF NOT EXISTS _walrust(x)')
      db.close()
      return request
    })
  },
  /** A file that a restore point needs is deleted. */
  'greedy-retention': (host) => {
    host.hooks.upload.tapPromise({ name: 'sabotage', stage: -200 }, async (request) => {
      const { level, minTxid } = request.file
      if (level === 0 && minTxid === 6) await request.store.delete([request.key.replaceAll('6', '4')])
      return undefined
    })
  },
  /** A file of level 0 is deleted that no restore needs any more: its transaction is the end of a snapshot. */
  'covered-removal': (host) => {
    host.hooks.upload.tapPromise({ name: 'sabotage', stage: -200 }, async (request) => {
      const { level, maxTxid } = request.file
      if (level !== 9 || maxTxid === 1) return undefined
      await request.store.delete([fileKey('flat', request.database.name, { level: 0, minTxid: maxTxid, maxTxid })])
      return undefined
    })
  },
  /** It is reported that another state was shipped than lies there. */
  'wrong-report': () => {
    const real = process.send?.bind(process) as ((message: object) => boolean) | undefined
    process.send = (message: { message?: string; fields?: object }) => {
      const lie = message.message === 'shipped' && { fields: { ...message.fields, checksum: '8000000000000001' } }
      return real?.({ ...message, ...lie }) ?? false
    }
  },
  /** Files go although their time is not over. */
  'early-removal': (host) => {
    host.hooks.retain.tap({ name: 'sabotage', stage: 200 }, (plan) => {
      const files = plan.inventory.level(0).slice(0, -1)
      return { ...plan, remove: [...plan.remove, ...files] }
    })
  },
  /** Of the snapshots only the newest stays, whatever the settings say. */
  'one-snapshot': (host) => {
    host.hooks.retain.tap({ name: 'sabotage', stage: 200 }, (plan) => {
      const others = plan.inventory.level(9).slice(0, -1)
      // They are taken for old ones: what is promised by its age would be kept, whoever says that it may go.
      for (const snapshot of others) snapshot.timestamp = 0
      return { ...plan, remove: [...plan.remove, ...others] }
    })
  },
  /** Storage notes a time that was not. */
  'wrong-times': () => {
    // eslint-disable-next-line @typescript-eslint/unbound-method -- called with its store below
    const real = SimStore.prototype.put
    SimStore.prototype.put = function (key, body, options) {
      const { metadata } = options ?? {}
      const later = metadata && { ...metadata, 'litestream-timestamp': '2026-06-01T00:00:00.000000000Z' }
      return real.call(this, key, body, { ...options, metadata: later })
    }
  },
  /** The second storage is not written to at all. */
  'idle-storage': () => {
    // eslint-disable-next-line @typescript-eslint/unbound-method -- called with its store below
    const real = SimStore.prototype.put
    SimStore.prototype.put = function (key, body, options) {
      if (!this.folder.endsWith('1') || key.includes('/0009/')) return real.call(this, key, body, options)
      return Promise.resolve({ key, size: options?.size ?? 0, timestamp: Date.now() })
    }
  },
  /** What is recorded of a file is not true of it. */
  'wrong-record': () => {
    // eslint-disable-next-line @typescript-eslint/unbound-method -- called with its store below
    const real = SimStore.prototype.put
    SimStore.prototype.put = function (key, body, options) {
      const { metadata } = options ?? {}
      const wrong = metadata && { ...metadata, 'walrust-sha256': '0'.repeat(64) }
      return real.call(this, key, body, { ...options, metadata: wrong })
    }
  },
  /** The last thing that is done is to write into the database. */
  'parting-write': async (host) => {
    const { default: Database } = await import('better-sqlite3')
    let path = ''
    host.hooks.encode.tap('sabotage', (request) => {
      path = request.database.path
      return request
    })
    host.use({
      name: 'sabotage',
      apply: () => undefined,
      start: () => undefined,
      stop: () => {
        const db = new Database(path)
        db.pragma('user_version = 7')
        db.close()
      },
    })
    await host.start()
  },
  /** Storage that never answers, and nobody who minds. */
  'deaf-storage': () => {
    SimStore.prototype.list = async function* () {
      await new Promise<void>(() => undefined)
      yield* []
    }
  },
  /** Whoever stores a file replaces what is there. */
  'replacing-storage': () => {
    // eslint-disable-next-line @typescript-eslint/unbound-method -- called with its store below
    const real = SimStore.prototype.put
    SimStore.prototype.put = function (key, body, options) {
      return real.call(this, key, body, key.endsWith('.ltx') ? { ...options, ifAbsent: false } : options)
    }
  },
  /** A successor does not make the next transaction its own at once. */
  'no-fence-post': async () => {
    const { Claim } = await import('../../core/fence/claim.js')
    Object.defineProperty(Claim.prototype, 'unfenced', { get: () => false })
  },
  /** What is removed is not written down before. */
  'silent-removal': async () => {
    const { Claim } = await import('../../core/fence/claim.js')
    Claim.prototype.begin = () => Promise.resolve()
  },
  /** Nobody is watched for as long as it takes to see that he is alive. */
  impatience: async () => {
    const { Heartbeats } = await import('../../core/fence/heartbeats.js')
    Heartbeats.prototype.watch = () => Promise.resolve('silent')
  },
  /** Whoever was given up takes the next number that is free. */
  'deaf-writer': async () => {
    const { Claim } = await import('../../core/fence/claim.js')
    const { Remote } = await import('../../core/remote.js')
    for (const name of ['check', 'confirm', 'ascertain'] as const) Claim.prototype[name] = () => Promise.resolve()
    // eslint-disable-next-line @typescript-eslint/unbound-method -- called with its remote below
    const real = Remote.prototype.put
    Remote.prototype.put = async function (put) {
      for (let { maxTxid } = put.file; ; maxTxid++) {
        try {
          const { level } = put.file
          return await real.call(this, { ...put, file: level === 0 ? { level, minTxid: maxTxid, maxTxid } : put.file })
        } catch (error) {
          if ((error as { code?: string }).code !== 'E_OBJECT_EXISTS') throw error
        }
      }
    }
  },
  /** Every file leaves something behind in memory. */
  leak: (host) => {
    const kept: Buffer[] = []
    host.hooks.encode.tap('sabotage', (request) => {
      kept.push(Buffer.alloc(48 * 1024 * 1024, 1))
      return request
    })
  },
}

export async function plant(name: string, host: Host): Promise<void> {
  if (!Object.hasOwn(DEFECTS, name)) throw new Error(`no defect is called ${name}`)
  await DEFECTS[name](host)
}
