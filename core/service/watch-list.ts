import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import type { DatabaseSource, ResolvedConfig } from '../config/resolved.js'
import type { ControlServer } from '../control/server.js'
import { checkNames, discover, type FoundDatabase } from '../discover.js'
import type { Engine } from '../engine.js'
import { messageOf, WalrustError } from '../errors.js'
import type { Host } from '../host.js'
import type { Log } from '../log.js'
import type { ObjectStore } from '../object-store.js'
import type { Replicator } from '../replicator/replicator.js'
import { Semaphore } from '../ship/signal.js'
import { shippingFolder } from '../state-folder.js'
import type { Validator } from '../verify/validator.js'
import { checkHonoured } from './check-honoured.js'
import { Refusals } from './refusals.js'
import { everyStore, foldersOf, openStores, type StoresOf } from './stores.js'

export type Found = FoundDatabase<DatabaseSource>

export interface WatchListParts {
  config: ResolvedConfig
  host: Host
  engine: Engine
  /** Where other processes ask for a database that is watched. */
  control: ControlServer
  validator: Validator | undefined
  /** Names of databases that are not followed because somebody has let them go. */
  released: readonly string[]
  log: Log
}

/**
 * Which databases are watched: those that the configuration names or stands for, as their files come and go, and as it
 * changes. One change after the other.
 */
export class WatchList {
  readonly refusals: Refusals
  readonly #parts: WatchListParts
  /** Finding, adding and removing: one at a time. */
  readonly #alone = new Semaphore(1)
  #config: ResolvedConfig
  #stores: StoresOf = new Map()
  /** What is watched, by name. */
  readonly #watched = new Map<string, Found>()
  /** What patterns and folders led to, see {@link discover}. */
  readonly #discovered = new Map<string, string>()
  readonly #released: Set<string>

  constructor(parts: WatchListParts) {
    this.#parts = parts
    this.#config = parts.config
    this.#released = new Set(parts.released)
    const { log, engine } = parts
    this.refusals = new Refusals(log, (event, name, details) => engine.notify(event, name, details))
  }

  get config(): ResolvedConfig {
    return this.#config
  }

  /** Every store that something is shipped to, once. */
  get stores(): Set<ObjectStore> {
    return everyStore(this.#stores)
  }

  /** The name of the database that somebody means by its name or by the path of its file. */
  nameOf(nameOrPath: string): string {
    const known = [...this.#watched.values(), ...this.refusals.all]
    return known.find(({ path }) => path === nameOrPath)?.name ?? nameOrPath
  }

  /** A database that is watched. Errors: why it is not. */
  replicator(name: string): Replicator {
    const replicator = this.#parts.engine.get(name)
    if (replicator) return replicator
    const refused = this.refusals.named(name)
    throw refused?.error ?? new WalrustError('E_NOT_WATCHED', `no database ${name} is watched`, { database: name })
  }

  /**
   * At the start: opens the stores and finds the databases. Errors: those of stores, `E_DUPLICATE_NAME`, and, unless
   * there may be none, `E_NO_DATABASES`.
   */
  async find(mayBeNone: boolean): Promise<readonly Found[]> {
    this.#stores = await openStores(this.#parts.host, this.#config)
    const found = await this.#discover()
    if (found.length === 0 && this.#released.size === 0 && !mayBeNone) {
      const paths = this.#config.databases.map(({ path }) => path)
      throw new WalrustError('E_NO_DATABASES', `there is no database at ${paths.join(', ')}`)
    }
    checkNames(found)
    return found
  }

  /** Watches what was found; why one cannot be is among the {@link refusals}. */
  async begin(found: readonly Found[]): Promise<void> {
    await this.#alone.run(async () => {
      for (const database of found) await this.#add(database)
    })
  }

  /** Looks for databases again: takes up new ones, and lets those go that are no longer there. */
  async rescan(): Promise<void> {
    await this.#alone.run(async () => {
      try {
        await this.#lookAgain()
      } catch (error) {
        this.#parts.log.warn('looking for databases failed', { error: messageOf(error) })
      }
    })
  }

  /** See {@link Service.reload}. */
  async reload(config: ResolvedConfig): Promise<void> {
    const { host, engine, log } = this.#parts
    await this.#alone.run(async () => {
      const stores = await openStores(host, config)
      const all = await discover(config.databases, foldersOf(stores), this.#discovered)
      const found = all.filter(({ name }) => !this.#released.has(name))
      checkNames(found)
      await this.#checkNew(everyStore(stores))
      this.#config = config
      this.#stores = stores
      const wanted = new Map(found.map((database) => [database.name, database]))
      for (const [name, watched] of [...this.#watched]) {
        const now = wanted.get(name)
        if (now && isSame(now, watched)) this.#watched.set(name, now)
        else await this.#remove(name, now?.path === watched.path ? undefined : config.shutdownTimeout)
      }
      await this.#lookAgain()
      log.info('configuration read again', { databases: engine.names.length })
    })
  }

  /** See {@link Service.follow}. */
  async follow(source: DatabaseSource): Promise<string[]> {
    const { host, validator } = this.#parts
    return await this.#alone.run(async () => {
      checkHonoured({ ...this.#config, databases: [source] }, validator !== undefined)
      const others = this.#config.databases.filter(({ path }) => resolve(path) !== resolve(source.path))
      const config = { ...this.#config, databases: [...others, source] }
      const stores = await openStores(host, config)
      const found = await discover([source], foldersOf(stores))
      if (found.length === 0) throw new WalrustError('E_NO_DATABASES', `there is no database at ${source.path}`)
      for (const { name, path } of found) this.#checkUnknown(name, path)
      await this.#checkNew(new Set(stores.get(source)))
      const before = { config: this.#config, stores: this.#stores }
      this.#config = config
      this.#stores = stores
      for (const database of found) {
        await this.#add(database)
        const refused = this.refusals.at(database.path)
        if (!refused || database.found) continue
        this.refusals.delete(database.path)
        this.#config = before.config
        this.#stores = before.stores
        throw refused.error
      }
      for (const { name } of found) this.#released.delete(name)
      return found.map(({ name }) => name)
    })
  }

  /** See {@link Service.release}. */
  async release(name: string): Promise<WalrustError[]> {
    return await this.#alone.run(async () => {
      const refused = this.refusals.named(name)
      if (!refused) this.replicator(name)
      this.#released.add(name)
      if (refused) this.refusals.delete(refused.path)
      return refused && !this.#watched.has(name) ? [] : await this.#remove(name, this.#config.shutdownTimeout)
    })
  }

  /** Lets everything go, after whatever is under way. See {@link Engine.close}. */
  async close(timeout: number): Promise<WalrustError[]> {
    return await this.#alone.run(() => this.#parts.engine.close(timeout))
  }

  async #discover(): Promise<Found[]> {
    const all = await discover(this.#config.databases, foldersOf(this.#stores), this.#discovered)
    return all.filter(({ name }) => !this.#released.has(name))
  }

  /** Whether all that is named is followed, and nothing else is asked for: then there is nothing to look for. */
  get #isComplete(): boolean {
    const { engine } = this.#parts
    const named = new Set<DatabaseSource>()
    for (const { found, place } of this.#watched.values()) if (!found) named.add(place)
    const { databases } = this.#config
    const all = named.size === databases.length && databases.every((place) => named.has(place))
    return all && this.refusals.isEmpty && engine.unavailable.length === 0
  }

  async #lookAgain(): Promise<void> {
    if (this.#isComplete) return
    const { engine, log } = this.#parts
    const present = await this.#discover()
    for (const database of present) {
      const isWatched = this.#watched.get(database.name)?.path === database.path
      // One that was named and is not there is said once; opening it would leave a state folder behind each time.
      const isMissing = this.refusals.at(database.path) !== undefined && !existsSync(database.path)
      if (!isWatched && !isMissing) await this.#add(database)
    }
    const paths = new Set(present.map(({ path }) => path))
    for (const { name, path } of engine.unavailable) {
      if (paths.has(path)) continue
      log.info('no longer there', { database: name, path })
      await this.#remove(name)
    }
    this.refusals.keepOnly(paths)
  }

  async #add(database: Found): Promise<void> {
    const { name, path, place } = database
    const { engine, control } = this.#parts
    try {
      const stores = this.#stores.get(place) ?? []
      await engine.add({ name, path, stores, settings: place.settings })
      this.#watched.set(name, database)
      this.refusals.delete(path)
      await control.listen(this.replicator(name).database.stateDir)
      await this.#validate(database, stores)
    } catch (error) {
      if (!(error instanceof WalrustError)) throw error
      this.refusals.add(database, error)
    }
  }

  async #remove(name: string, timeout?: number): Promise<WalrustError[]> {
    const { engine, control, validator, log } = this.#parts
    control.close(this.replicator(name).database.stateDir)
    await validator?.remove(name)
    const unshipped = await engine.remove(name, timeout)
    for (const { message, code, hint } of unshipped) log.error(message, { database: name, code, hint })
    this.#watched.delete(name)
    return unshipped
  }

  /** Has its backups proved by the clock. What ships once and ends has other things to do. */
  async #validate({ name, path, place }: Found, stores: readonly ObjectStore[]): Promise<void> {
    const { engine, validator } = this.#parts
    const { settings, storages } = place
    if (settings.giveUp) return
    await validator?.add({
      name,
      validation: settings.validation,
      places: stores.map((store, i) => ({ storage: storages[i], folder: shippingFolder(path, settings, store) })),
      isShipped: (place) => (engine.get(name)?.shippers.at(place)?.confirmed ?? 0) > 0,
    })
  }

  /** Errors: `E_DUPLICATE_NAME` if one of that name, or the file, is watched already. */
  #checkUnknown(name: string, path: string): void {
    const other = this.#watched.get(name)
    if (other) throw new WalrustError('E_DUPLICATE_NAME', `${name} is followed already, at ${other.path}`)
    const same = [...this.#watched.values()].find((watched) => watched.path === path)
    if (same) throw new WalrustError('E_DUPLICATE_NAME', `${path} is followed already, as ${same.name}`)
  }

  /** Asks stores whether they can be used that nothing is shipped to yet. */
  async #checkNew(stores: ReadonlySet<ObjectStore>): Promise<void> {
    const known = this.stores
    for (const store of stores) if (!known.has(store)) await store.check?.()
  }
}

/** Whether a database is to be followed as it is. */
function isSame(a: Found, b: Found): boolean {
  const asText = ({ path, place: { settings, storages } }: Found) => JSON.stringify({ path, settings, storages })
  return asText(a) === asText(b)
}
