/**
 * The engine of the library: a process that an application starts for itself and that ends with it. It says nothing on
 * any stream and does nothing by itself; see core/library/protocol.ts.
 */
import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { type LoadedConfig, loadConfig } from '../core/config/load.js'
import { discover } from '../core/discover.js'
import { packError } from '../core/error-transfer.js'
import { isError, WalrustError } from '../core/errors.js'
import { Host } from '../core/host.js'
import type { EngineCalls, EngineSetup, FromEngine, ToEngine } from '../core/library/protocol.js'
import type { Log, LogFields, LogLevel } from '../core/log.js'
import { restoreMissing } from '../core/restore/restore-missing.js'
import { Service } from '../core/service.js'
import { BUILT_IN, storagePlugin } from './built-in.js'

// As in main.ts.
setFlagsFromString('--semi-space-growth-factor=1')

/** An engine whose application was killed goes on shipping for at most its shutdown timeout, and a little. */
const LOCK_PATIENCE = 5000

let running: { service: Service; shutdownTimeout: number } | undefined
const cancels = new Map<number, AbortController>()

function say(message: FromEngine): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined)
}

const at =
  (level: LogLevel) =>
  (message: string, fields: LogFields = {}) =>
    say({ log: { level, message, fields } })
const log: Log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }

async function load({ config, folder }: EngineSetup): Promise<LoadedConfig> {
  const given = typeof config === 'string' ? { file: resolve(folder, config) } : { config }
  return await loadConfig({ builtIn: BUILT_IN, cwd: folder, env: process.env, ...given })
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
  ) => Promise<ReturnType<EngineCalls[Call]>>
}

const calls: Calls = {
  async start([setup]) {
    const loaded = await load(setup)
    const { shutdownTimeout } = loaded.resolved
    const end = performance.now() + shutdownTimeout + LOCK_PATIENCE
    while (!running) {
      const service = new Service({ config: loaded.resolved, host: hostOf(loaded), log })
      try {
        await service.start()
        running = { service, shutdownTimeout }
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
    const gravest = unshipped.sort((a, b) => b.exitCode - a.exitCode).at(0)
    if (gravest) throw gravest
    return undefined
  },

  async sync([name, storages], signal) {
    await service().sync(name, { storages, signal })
    return undefined
  },

  async snapshot([name, storages]) {
    return await service().snapshot(name, storages)
  },

  async ensureRestored([setup, path], signal) {
    const loaded = await load(setup)
    const host = hostOf(loaded)
    const file = resolve(setup.folder, path)
    const found = await discover(loaded.resolved.databases)
    const database = found.find((other) => other.path === file)
    if (!database) {
      throw new WalrustError('E_CONFIG', `${file} is not among the databases of the configuration`, { database: file })
    }
    const stores = []
    for (const { url, options } of database.place.storages) stores.push(await host.store(url, options))
    try {
      const done = await restoreMissing({ name: database.name, path: file, stores, hooks: host.hooks, signal })
      return typeof done === 'string' ? done : 'restored'
    } finally {
      await host.stop()
    }
  },
}

function service(): Service {
  if (!running) throw new WalrustError('E_NOT_WATCHED', 'the engine has not been started')
  return running.service
}

async function answer(message: ToEngine): Promise<void> {
  if ('cancel' in message) {
    cancels.get(message.cancel)?.abort(new WalrustError('E_ABORTED', 'nobody waits for it any more'))
    return
  }
  const { id, call } = message
  const cancel = new AbortController()
  cancels.set(id, cancel)
  try {
    const work = calls[call] as (args: unknown[], signal: AbortSignal) => Promise<unknown>
    say({ id, result: await work(message.arguments, cancel.signal) })
  } catch (error) {
    say({ id, error: packError(error) })
  } finally {
    cancels.delete(id)
    if (call === 'stop') process.disconnect()
  }
}

process.on('message', (message) => void answer(message as ToEngine))

// A terminal or a service manager sends these to the whole group; when to end is for the application to say.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined)

// The application has stopped us, or is gone, however that came about: what is left is shipped, and that is all.
process.once('disconnect', () => {
  const drained = running?.service.close() ?? Promise.resolve([])
  void drained.finally(() => process.exit())
})
