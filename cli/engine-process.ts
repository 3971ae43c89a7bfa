/**
 * The engine of the library: a process that an application starts for itself and that ends with it. It says nothing on
 * any stream and does nothing by itself; see core/library/protocol.ts.
 */
import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { type LoadedConfig, loadConfig } from '../core/config/load.js'
import { packError } from '../core/error-transfer.js'
import { isError, WalrustError } from '../core/errors.js'
import { Host } from '../core/host.js'
import type {
  EngineCalls,
  EngineRequest,
  EngineSetup,
  FromEngine,
  Progress,
  ToEngine,
} from '../core/library/protocol.js'
import type { Log, LogFields, LogLevel } from '../core/log.js'
import { redact } from '../core/redact.js'
import type { Replica } from '../core/replica/replica.js'
import { Service } from '../core/service/service.js'
import { BUILT_IN, storagePlugin } from './built-in.js'
import type { Backups } from './engine-backups.js'
import type { EngineMetrics } from './engine-metrics.js'
import { type ProofLoad, validateApart } from './validate.js'

// As in main.ts.
setFlagsFromString('--semi-space-growth-factor=1')

/** An engine whose application was killed goes on shipping for at most its shutdown timeout, and a little. */
const LOCK_PATIENCE = 5000
/** What was given up has so long to clean up after itself when the application is gone, in milliseconds. */
const CLEAN_UP = 5000

interface Running {
  setup: EngineSetup
  service: Service
  metrics: EngineMetrics | undefined
}

let running: Running | undefined
let replica: { replica: Replica; stop: AbortController; ended: Promise<void> } | undefined
const cancels = new Map<number, AbortController>()
/** Everything that is being answered. */
const answering = new Set<Promise<void>>()

function say(message: FromEngine): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined)
}

const at =
  (level: LogLevel) =>
  (message: string, fields: LogFields = {}) => {
    const mask = (value: unknown) => (typeof value === 'string' ? redact(value) : value)
    const masked = Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, mask(value)]))
    say({ log: { level, message: redact(message), fields: masked } })
  }
const log: Log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }

async function load({ config, folder, added }: EngineSetup): Promise<LoadedConfig> {
  try {
    // Whatever is relative starts there.
    process.chdir(folder)
  } catch (cause) {
    throw new WalrustError('E_CONFIG', `${folder} is no folder to start paths from`, { cause })
  }
  const given = typeof config === 'string' ? { file: resolve(folder, config) } : { config }
  return await loadConfig({ builtIn: BUILT_IN, cwd: folder, env: process.env, more: added, ...given })
}

/** How another process comes to the same plugins. */
function proofLoad({ config, folder }: EngineSetup): ProofLoad {
  return { cwd: resolve(folder), ...(typeof config === 'string' ? { file: resolve(folder, config) } : { config }) }
}

function hostOf(loaded: LoadedConfig): Host {
  const host = new Host(log, storagePlugin)
  for (const { plugin } of loaded.plugins) {
    // A library opens no port unless somebody asked for it.
    if (plugin.name !== 'walrust:metrics' || isAskedFor(loaded, 'metrics')) host.use(plugin)
  }
  host.hooks.notify.tap('walrust:library', (event) => {
    say({ event })
  })
  return host
}

function isAskedFor({ layers }: LoadedConfig, key: string): boolean {
  return layers.some(({ config }) => Object.hasOwn(config, key))
}

type Calls = {
  [Call in keyof EngineCalls]: (
    args: Parameters<EngineCalls[Call]>,
    signal: AbortSignal,
    onProgress: (progress: Progress) => void,
  ) => Promise<ReturnType<EngineCalls[Call]>>
}

const calls: Calls = {
  async start([setup], signal) {
    const loaded = await load(setup)
    const { resolved: config } = loaded
    const end = performance.now() + config.shutdownTimeout + LOCK_PATIENCE
    const metrics = setup.metrics ? await (await import('./engine-metrics.js')).engineMetrics() : undefined
    while (!running) {
      signal.throwIfAborted()
      const host = hostOf(loaded)
      if (metrics) host.use(metrics.plugin)
      const validate = validateApart(proofLoad(setup))
      const service = new Service({ config, host, log, validate, released: setup.released })
      try {
        await service.start({ empty: setup.again || config.databases.length === 0, patient: setup.again })
        running = { setup, service, metrics }
        void service.run(new AbortController().signal)
      } catch (error) {
        await service.close()
        // The engine of an application that was killed a moment ago may still be shipping what was left.
        if (!isError(error, 'E_DATABASE_LOCKED') || performance.now() > end) throw error
        await sleep(LOCK_PATIENCE / 20)
      }
    }
    return undefined
  },

  async stop() {
    const unshipped = (await running?.service.close()) ?? []
    running = undefined
    throwGravest(unshipped)
    return undefined
  },

  async add([entry]) {
    const { setup, service } = engine()
    const loaded = await load({ ...setup, added: [entry] })
    return await service.follow(loaded.resolved.databases[loaded.resolved.databases.length - 1])
  },

  async remove([name]) {
    throwGravest(await engine().service.release(name))
    return undefined
  },

  async sync([name, storages, force], signal) {
    await engine().service.sync(name, { storages, force, signal })
    return undefined
  },

  async snapshot([name, storages]) {
    return await engine().service.snapshot(name, storages)
  },

  status: () => Promise.resolve(engine().service.status()),

  async metrics() {
    return (await engine().metrics?.values()) ?? []
  },

  async ensureRestored([setup, path], signal, onProgress) {
    return await apart(setup, signal, onProgress, ({ ensureRestored }, backups) => ensureRestored(backups, path))
  },

  async restore([setup, name, wanted], signal, onProgress) {
    return await apart(setup, signal, onProgress, ({ restoreBackup }, backups) => restoreBackup(backups, name, wanted))
  },

  async verify([setup, name, storage], signal, onProgress) {
    return await apart(setup, signal, onProgress, ({ verifyBackup }, backups) => verifyBackup(backups, name, storage))
  },

  async list([setup, storage], signal, onProgress) {
    return await apart(setup, signal, onProgress, ({ listBackups }, backups) => listBackups(backups, storage))
  },

  async history([setup, name, storage], signal, onProgress) {
    return await apart(setup, signal, onProgress, ({ backupHistory }, backups) => backupHistory(backups, name, storage))
  },

  async replicate([setup, source, wanted], signal, onProgress) {
    const loaded = await load(setup)
    const { openReplica } = await import('./engine-backups.js')
    const backups = { loaded, host: hostOf(loaded), folder: setup.folder, log, signal, onProgress }
    const opened = await openReplica(backups, source, wanted)
    const stop = new AbortController()
    const ended = opened
      .run(stop.signal)
      .catch((error: unknown) => say({ replicaEnded: packError(error) }))
      .finally(() => opened.close())
    replica = { replica: opened, stop, ended }
    return opened.status
  },

  async catchUp(_args, signal) {
    const { replica } = replicating()
    await replica.catchUp(signal)
    return replica.status
  },

  replicaStatus: () => Promise.resolve(replicating().replica.status),
}

async function apart<T>(
  setup: EngineSetup,
  signal: AbortSignal,
  onProgress: (progress: Progress) => void,
  work: (what: typeof import('./engine-backups.js'), backups: Backups) => Promise<T>,
): Promise<T> {
  const loaded = await load(setup)
  const host = hostOf(loaded)
  try {
    const backups = { loaded, host, folder: setup.folder, log, signal, onProgress }
    return await work(await import('./engine-backups.js'), backups)
  } finally {
    await host.stop()
  }
}

function engine(): Running {
  if (!running) throw new WalrustError('E_NOT_WATCHED', 'the engine has not been started')
  return running
}

function replicating() {
  if (!replica) throw new WalrustError('E_NOT_WATCHED', 'no replica is kept')
  return replica
}

function throwGravest(errors: WalrustError[]): void {
  const gravest = errors.sort((a, b) => b.exitCode - a.exitCode).at(0)
  if (gravest) throw gravest
}

async function answer({ id, call, arguments: args }: EngineRequest): Promise<void> {
  const cancel = new AbortController()
  cancels.set(id, cancel)
  try {
    const work = calls[call] as (
      args: unknown[],
      signal: AbortSignal,
      onProgress: (progress: Progress) => void,
    ) => Promise<unknown>
    say({ id, result: await work(args, cancel.signal, (progress) => say({ id, progress })) })
  } catch (error) {
    say({ id, error: packError(error) })
  } finally {
    cancels.delete(id)
    if (call === 'stop') process.disconnect()
  }
}

function giveUp(cancel: AbortController | undefined): void {
  cancel?.abort(new WalrustError('E_ABORTED', 'nobody waits for it any more'))
}

process.on('message', (message: ToEngine) => {
  if ('cancel' in message) {
    giveUp(cancels.get(message.cancel))
    return
  }
  const answered = answer(message).finally(() => answering.delete(answered))
  answering.add(answered)
})

// A terminal or a service manager sends these to the whole group; when to end is for the application to say.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined)

// The application has stopped us, or is gone, however that came about: what is left is shipped, what was begun is
// cleaned up, and that is all.
process.once('disconnect', () => {
  for (const cancel of cancels.values()) giveUp(cancel)
  replica?.stop.abort()
  const before = running
  const cleaned = Promise.race([Promise.allSettled([...answering, replica?.ended]), sleep(CLEAN_UP)])
  void Promise.allSettled([cleaned, before?.service.close()])
    // A start that had just begun to follow.
    .then(() => (running === before ? undefined : running?.service.close()))
    .finally(() => process.exit())
})
