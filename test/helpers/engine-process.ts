/**
 * An engine in a process of its own, for tests that have to see its events and its status, and to make its storage fail:
 * see {@link EngineProcess} for the other end.
 */
import { Engine } from '../../core/engine.js'
import { StoreError, type FailureKind, type ObjectStore } from '../../core/object-store.js'
import { Host } from '../../core/host.js'
import { messageOf, WalrustError } from '../../core/errors.js'
import type { Plugin } from '../../core/plugin.js'
import { DEFAULT_SETTINGS, type DatabaseSettings } from '../../core/settings.js'
import { heartbeat, type HeartbeatOptions } from '../../plugins/heartbeat/index.js'
import { metrics, type MetricsOptions } from '../../plugins/metrics/index.js'
import { retentionGfs } from '../../plugins/retention-gfs/index.js'
import { shadowWal } from '../../plugins/shadow-wal/index.js'
import { storageFile } from '../../plugins/storage-file/index.js'
import { webhook, type WebhookOptions } from '../../plugins/webhook/index.js'

export interface EngineSetup {
  databases: ReadonlyArray<{ name: string; path: string }>
  /** Folders to ship to. */
  storages: readonly string[]
  settings?: { [Key in keyof DatabaseSettings]?: Partial<DatabaseSettings[Key]> | DatabaseSettings[Key] }
  maxLag?: number
  leaseTtl?: number
  shadowWal?: boolean
  webhook?: WebhookOptions
  heartbeat?: HeartbeatOptions
  metrics?: MetricsOptions
  /** Plugins by the path of their module, with options. */
  plugins?: ReadonlyArray<readonly [path: string, options: object]>
  /** Milliseconds that taps have instead of those of their hook. */
  deadline?: number
}

/** How the storage is to fail from now on; `no-delete`: only where something is to be deleted; `ok` again lets it work. */
export type Fault = FailureKind | 'ok' | 'hang' | 'no-delete'

export type EngineCommand =
  | { id: number; do: 'status' | 'flush' | 'close' }
  | { id: number; do: 'snapshot' | 'remove'; name: string }
  | { id: number; do: 'fault'; fault: Fault }
  | { id: number; do: 'compact'; name: string; storage: string }

const setup = JSON.parse(process.argv[2]) as EngineSetup
const say = (message: object) => process.send?.(message)
const line =
  (level: string) =>
  (message: string, fields: object = {}) =>
    say({ log: { level, message, ...fields } })
const log = { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') }
const { deadline } = setup
const host = new Host(log, undefined, deadline === undefined ? undefined : () => deadline)
const storage: { fault: Fault } = { fault: 'ok' }

host.use(storageFile())
host.use(faulty(host))
host.use(retentionGfs())
if (setup.shadowWal !== false) host.use(shadowWal())
if (setup.webhook) host.use(webhook(setup.webhook))
if (setup.heartbeat) host.use(heartbeat(setup.heartbeat))
if (setup.metrics) host.use(metrics(setup.metrics))
for (const [path, options] of setup.plugins ?? []) {
  const { default: make } = (await import(path)) as { default: (options: object) => Plugin }
  host.use(make(options))
}
host.hooks.notify.tap('test', (event) => void say({ event }))

/** The file storage, failing on demand: `faulty:` URLs. */
function faulty(inside: Host): Plugin {
  return {
    // One of ours, so that it is not tried before the start: a fault that is asked for first would be met by that.
    name: 'walrust:faulty',
    apply: (to) =>
      to.registerStorage('faulty', async ({ url }) => {
        const store = await inside.store(url.replace(/^faulty/, 'file'))
        return new Proxy(store, {
          get(target, key) {
            const value: unknown = Reflect.get(target, key, target)
            if (typeof value !== 'function') return key === 'url' ? url : value
            return (...args: unknown[]) => {
              const failed = refusal(key)
              if (failed && key === 'list') return failing(failed)
              return failed ?? (value as (...args: unknown[]) => unknown).apply(target, args)
            }
          },
        }) satisfies ObjectStore
      }),
  }
}

function refusal(call: string | symbol): Promise<never> | undefined {
  let now = storage.fault
  if (now === 'no-delete') now = call === 'delete' ? 'permanent' : 'ok'
  if (now === 'ok') return undefined
  if (now === 'hang') return new Promise(() => undefined)
  return Promise.reject(new StoreError(now, `the storage says: ${now}`))
}

// eslint-disable-next-line require-yield -- it fails before there is anything
async function* failing(failed: Promise<never>): AsyncGenerator<never> {
  await failed
}

const engine = new Engine({ host, log, uploadConcurrency: 4, maxLag: setup.maxLag, leaseTtl: setup.leaseTtl })

const answers = {
  status: () => Promise.resolve(engine.status()),
  flush: () => engine.flush(),
  close: async () => {
    const unshipped = await engine.close(2000)
    await host.stop()
    setImmediate(() => process.exit(0))
    return unshipped.map(({ code }) => code)
  },
}

async function obey(command: EngineCommand): Promise<unknown> {
  if (command.do === 'snapshot') return await engine.get(command.name)?.snapshot()
  if (command.do === 'remove') {
    await engine.remove(command.name)
    return undefined
  }
  if (command.do === 'compact') return await engine.get(command.name)?.compact(command.storage, true)
  if (command.do === 'fault') return (storage.fault = command.fault)
  return await answers[command.do]()
}

process.on('message', (command: EngineCommand) => {
  obey(command).then(
    (answer) => say({ answer: command.id, value: answer }),
    (error: unknown) => say({ answer: command.id, error: messageOf(error) }),
  )
})
process.on('disconnect', () => process.exit(1))

const stores = await Promise.all(setup.storages.map((folder) => host.store(`faulty://${folder}`)))
const settings: Record<string, unknown> = { ...DEFAULT_SETTINGS }
for (const [key, value] of Object.entries(setup.settings ?? {})) {
  const before = settings[key]
  settings[key] = typeof value === 'object' ? { ...(before as object), ...value } : value
}
try {
  await host.check(stores)
  await host.start()
  for (const { name, path } of setup.databases) {
    await engine.add({ name, path, stores, settings: settings as unknown as DatabaseSettings })
  }
  say({ ready: true })
} catch (error) {
  say({ failed: error instanceof WalrustError ? error.code : messageOf(error) })
}
