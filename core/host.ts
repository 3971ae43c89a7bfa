import type { StorageSource } from './config/resolved.js'
import type { StoragePrices } from './cost/prices.js'
import { isError, messageOf, WalrustError } from './errors.js'
import { failureKind, storageFailure } from './failures.js'
import { guardHooks } from './guard.js'
import { createHooks, type HookName, type Hooks } from './hooks.js'
import type { Log, LogFields } from './log.js'
import type { ObjectStore } from './object-store.js'
import type { CheckpointListener, Plugin, PluginHost, StorageAbout, StoreFactory } from './plugin.js'
import { keepSecretVariables } from './secret-environment.js'
import { tapEncode } from './stages/encode.js'
import { tapPageDedup } from './stages/page-dedup.js'
import type { EngineStatus } from './status.js'
import { tapRetain } from './stages/retain.js'
import { MeteredStore, type Traffic } from './storage/metered-store.js'
import { probeStore } from './storage/probe.js'
import { parseStorageUrl, type StorageLocation } from './storage-url.js'
import { within } from './timers.js'
import { VERSION } from './version.js'
import type { CheckpointReport } from './wal/checkpointer.js'

/** Milliseconds that a plugin has to check what it needs, and to start. */
const START_TIMEOUT = 60_000
/** Milliseconds that a plugin has to stop, where nobody says otherwise: the default of `shutdownTimeout`. */
const STOP_TIMEOUT = 10_000

interface Registered {
  plugin: string
  factory: StoreFactory
  about: StorageAbout
}

/** Holds the hooks, the plugins that tap them, and the stores that were opened. */
export class Host {
  readonly hooks: Hooks = createHooks()
  readonly #log: Log
  readonly #plugins: Plugin[] = []
  readonly #started: Plugin[] = []
  readonly #schemes = new Map<string, Registered>()
  readonly #stores = new Map<string, Promise<ObjectStore>>()
  readonly #traffic = new Map<string, Traffic>()

  readonly #checkpointListeners: CheckpointListener[] = []
  #status: (() => EngineStatus) | undefined

  /** The plugin behind each store that was opened. */
  readonly #makers = new Map<ObjectStore, string>()

  /**
   * @param storagePlugin the plugin for a scheme that none of those in use has registered, loaded when it is needed
   * @param deadlineOf milliseconds that a tap of a hook has for one call, or for a piece
   */
  constructor(
    log: Log,
    private readonly storagePlugin: (scheme: string) => Promise<Plugin | undefined> = () => Promise.resolve(undefined),
    deadlineOf?: (hook: HookName) => number,
  ) {
    this.#log = log
    keepSecretVariables(process.env)
    const counted = (error: WalrustError) =>
      log.warn('a plugin failed', { plugin: error.plugin, hook: error.hook, error: messageOf(error) })
    guardHooks(this.hooks, counted, deadlineOf)
    tapPageDedup(this.hooks)
    tapEncode(this.hooks)
    tapRetain(this.hooks)
  }

  /** Applies a plugin. One listed twice under one name is applied once: the caller has replaced the earlier one. */
  use(plugin: Plugin): void {
    const host: PluginHost = {
      hooks: this.hooks,
      log: this.#log,
      version: VERSION,
      status: () => this.#status?.(),
      onCheckpoint: (listener) => this.#checkpointListeners.push(listener),
      traffic: () => this.#traffic,
      registerStorage: (scheme, factory, about = {}) =>
        this.#schemes.set(scheme, { plugin: plugin.name, factory, about }),
    }
    plugin.apply(host)
    this.#plugins.push(plugin)
  }

  /** The engine that runs with these plugins, for those that want to know how it is. */
  observe(status: () => EngineStatus): void {
    this.#status = status
  }

  /** Passes a checkpoint on to whoever wants to know. */
  checkpointed(database: string, report: CheckpointReport): void {
    for (const listener of this.#checkpointListeners) listener(database, report)
  }

  /** What was asked of every store that was opened, by its URL. */
  get traffic(): ReadonlyMap<string, Traffic> {
    return this.#traffic
  }

  get schemes(): readonly string[] {
    return [...this.#schemes.keys()]
  }

  /** The store at a URL with these options; opened once. Errors: `E_CONFIG` for a scheme that no plugin has registered. */
  async store(url: string, options?: Readonly<Record<string, unknown>>): Promise<ObjectStore> {
    const location = parseStorageUrl(url, options)
    const registered = await this.#registered(location)
    const key = identityOf(url, options)
    const opened = this.#stores.get(key) ?? this.#open(registered, location)
    this.#stores.set(key, opened)
    return opened
  }

  /** The stores of several storages, in their order. Errors: as {@link store}. */
  async storesOf(storages: readonly StorageSource[]): Promise<ObjectStore[]> {
    const stores: ObjectStore[] = []
    for (const { url, options } of storages) stores.push(await this.store(url, options))
    return stores
  }

  /** What a storage costs, as the plugin behind it says; nothing is opened. Errors: as {@link store}. */
  async prices(url: string, options?: Readonly<Record<string, unknown>>): Promise<StoragePrices | undefined> {
    const location = parseStorageUrl(url, options)
    const { about } = await this.#registered(location)
    return about.prices?.(location)
  }

  /**
   * Lets every plugin check what it needs, and every store. A store that cannot be reached just now is no reason to let
   * commits pass unseen: that is said, and tried again later.
   *
   * @param timeout milliseconds for each plugin. Errors: `E_STORAGE`… for what does not pass by itself, `E_HOOK` for a
   * plugin that throws an error that is not ours, or does not settle in time
   */
  async check(stores: Iterable<ObjectStore>, timeout = START_TIMEOUT): Promise<void> {
    for (const plugin of this.#plugins) await settled(plugin, 'check', timeout)
    for (const store of stores) {
      try {
        await store.check?.()
        const maker = this.#makers.get(store)
        // Our own are held against what they declare by tests, and look themselves where services differ.
        if (maker?.startsWith('walrust:') === false) await probeStore(store, maker)
      } catch (error) {
        if (isError(error, 'E_HOOK')) throw error
        const failure = storageFailure(error, store.url, 'opening')
        if (!['transient', 'throttled'].includes(failureKind(error))) throw failure
        const { message, hint } = failure
        this.#log.warn('the storage cannot be used now; commits wait on this machine', { error: message, hint })
      }
    }
  }

  /** Starts every plugin. Errors: as {@link check}. */
  async start(timeout = START_TIMEOUT): Promise<void> {
    for (const plugin of this.#plugins) {
      await settled(plugin, 'start', timeout)
      this.#started.unshift(plugin)
    }
  }

  /**
   * Stops what was started, the last first, and closes the stores. A plugin that fails to stop, or does not end in time,
   * holds up nobody else.
   *
   * @param timeout milliseconds for each of them
   */
  async stop(timeout = STOP_TIMEOUT): Promise<void> {
    for (const plugin of this.#started.splice(0)) {
      await this.#ended({ plugin: plugin.name }, timeout, async () => plugin.stop?.())
    }
    for (const opening of this.#stores.values()) {
      const store = await within(timeout, opening).catch(() => undefined)
      if (store) await this.#ended({ storage: store.url }, timeout, async () => store.close?.())
    }
    this.#stores.clear()
    this.#makers.clear()
  }

  async #ended(who: LogFields, timeout: number, end: () => Promise<void>): Promise<void> {
    try {
      await within(timeout, end())
    } catch (error) {
      this.#log.warn('a plugin did not stop', { ...who, error: messageOf(error) })
    }
  }

  async #registered({ scheme }: StorageLocation): Promise<Registered> {
    if (!this.#schemes.has(scheme)) {
      const plugin = await this.storagePlugin(scheme)
      if (plugin && !this.#schemes.has(scheme)) this.use(plugin)
    }
    const registered = this.#schemes.get(scheme)
    if (registered) return registered
    throw new WalrustError('E_CONFIG', `no plugin stores to ${scheme}: URLs`, {
      hint: `Known are: ${this.schemes.map((known) => `${known}:`).join(', ')}`,
    })
  }

  async #open({ plugin, factory }: Registered, location: StorageLocation): Promise<ObjectStore> {
    const store = new MeteredStore(await factory(location))
    this.#traffic.set(store.url, store.traffic)
    this.#makers.set(store, plugin)
    // What a storage plugin would tap by itself, the same for all of them.
    this.hooks.upload.tapPromise(plugin, async (request) => {
      if (request.store !== store) return undefined
      const { metadata, sha256, size, timestamp, signal } = request
      return store.put(request.key, request.body, { ifAbsent: true, metadata, sha256, size, timestamp, signal })
    })
    return store
  }
}

/** Has a plugin do what is asked of it, in time. Errors: ours as they are, all others as `E_HOOK` that names the plugin. */
async function settled(plugin: Plugin, what: 'check' | 'start', timeout: number): Promise<void> {
  try {
    await within(timeout, (async () => plugin[what]?.())())
  } catch (error) {
    if (error instanceof WalrustError) throw error
    const { name } = plugin
    throw new WalrustError('E_HOOK', `plugin ${name} failed at ${what}: ${messageOf(error)}`, {
      plugin: name,
      cause: error,
    })
  }
}

/** The same bucket name at two endpoints, or under two accounts, is two places. */
function identityOf(url: string, options: Readonly<Record<string, unknown>> = {}): string {
  const set = Object.entries(options).filter(([, value]) => value !== undefined)
  return JSON.stringify([url, set.sort(([a], [b]) => (a < b ? -1 : 1))])
}
