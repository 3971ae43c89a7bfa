import { messageOf, WalrustError } from './errors.js'
import { failureKind, storageFailure } from './failures.js'
import { guardHooks } from './guard.js'
import { createHooks, type Hooks } from './hooks.js'
import type { Log } from './log.js'
import type { ObjectStore } from './object-store.js'
import type { CheckpointListener, Plugin, PluginHost, StoreFactory } from './plugin.js'
import { keepSecretVariables } from './secret-environment.js'
import { tapEncode } from './stages/encode.js'
import { tapPageDedup } from './stages/page-dedup.js'
import type { EngineStatus } from './status.js'
import { tapRetain } from './stages/retain.js'
import { MeteredStore, type Traffic } from './storage/metered-store.js'
import { parseStorageUrl } from './storage-url.js'
import { VERSION } from './version.js'
import type { CheckpointReport } from './wal/checkpointer.js'

interface Registered {
  plugin: string
  factory: StoreFactory
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

  /** @param storagePlugin the plugin for a scheme that none of those in use has registered, loaded when it is needed */
  constructor(
    log: Log,
    private readonly storagePlugin: (scheme: string) => Promise<Plugin | undefined> = () => Promise.resolve(undefined),
  ) {
    this.#log = log
    keepSecretVariables(process.env)
    guardHooks(this.hooks, (error) =>
      log.warn('a plugin failed', { plugin: error.plugin, hook: error.hook, error: messageOf(error) }),
    )
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
      registerStorage: (scheme, factory) => this.#schemes.set(scheme, { plugin: plugin.name, factory }),
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

  /** The store at a URL; opened once. Errors: `E_CONFIG` for a scheme that no plugin has registered. */
  async store(url: string, options?: Readonly<Record<string, unknown>>): Promise<ObjectStore> {
    const location = parseStorageUrl(url, options)
    if (!this.#schemes.has(location.scheme)) {
      const plugin = await this.storagePlugin(location.scheme)
      if (plugin && !this.#schemes.has(location.scheme)) this.use(plugin)
    }
    const registered = this.#schemes.get(location.scheme)
    if (!registered) {
      throw new WalrustError('E_CONFIG', `no plugin stores to ${location.scheme}: URLs`, {
        hint: `Known are: ${this.schemes.map((scheme) => `${scheme}:`).join(', ')}`,
      })
    }
    const opened = this.#stores.get(url) ?? this.#open(registered, location)
    this.#stores.set(url, opened)
    return opened
  }

  /**
   * Lets every plugin check what it needs, and every store. A store that cannot be reached just now is no reason to let
   * commits pass unseen: that is said, and tried again later. Errors: `E_STORAGE`… for what does not pass by itself.
   */
  async check(stores: Iterable<ObjectStore>): Promise<void> {
    for (const plugin of this.#plugins) await plugin.check?.()
    for (const store of stores) {
      try {
        await store.check?.()
      } catch (error) {
        const failure = storageFailure(error, store.url, 'opening')
        if (!['transient', 'throttled'].includes(failureKind(error))) throw failure
        const { message, hint } = failure
        this.#log.warn('the storage cannot be used now; commits wait on this machine', { error: message, hint })
      }
    }
  }

  async start(): Promise<void> {
    for (const plugin of this.#plugins) {
      await plugin.start?.()
      this.#started.unshift(plugin)
    }
  }

  /** Stops what was started, the last first, and closes the stores. A plugin that fails to stop holds up nobody else. */
  async stop(): Promise<void> {
    for (const plugin of this.#started.splice(0)) {
      try {
        await plugin.stop?.()
      } catch (error) {
        this.#log.warn('a plugin did not stop', { plugin: plugin.name, error: messageOf(error) })
      }
    }
    for (const store of this.#stores.values()) await (await store).close?.()
    this.#stores.clear()
  }

  async #open({ plugin, factory }: Registered, location: ReturnType<typeof parseStorageUrl>): Promise<ObjectStore> {
    const store = new MeteredStore(await factory(location))
    this.#traffic.set(store.url, store.traffic)
    // What a storage plugin would tap by itself, the same for all of them.
    this.hooks.upload.tapPromise(plugin, async (request) => {
      if (request.store !== store) return undefined
      const { metadata, sha256, size, timestamp, signal } = request
      return store.put(request.key, request.body, { ifAbsent: true, metadata, sha256, size, timestamp, signal })
    })
    return store
  }
}
