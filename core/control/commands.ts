import type { CompactReport } from '../compact/report.js'
import type { EngineStatus } from '../status.js'
import type { ControlCommands, ControlRequest } from './protocol.js'

/** What watches databases, as far as it can be asked from outside. */
export interface Watching {
  nameOf(nameOrPath: string): string
  storagesOf(name: string): readonly string[]
  sync(name: string, options: { storages?: readonly string[]; signal: AbortSignal }): Promise<void>
  snapshot(name: string, storages?: readonly string[]): Promise<number>
  compact(name: string, storage: string, force: boolean): Promise<CompactReport | undefined>
  status(): EngineStatus
}

/** What a running `walrust watch` can be asked over its socket. Whoever adds a command adds a line here. */
export function controlCommands(service: Watching): ControlCommands {
  return {
    /** Waits until everything committed so far is durable in storage. */
    sync: async (request, signal) => {
      const database = service.nameOf(request.database)
      await service.sync(database, { storages: storagesOf(request), signal })
      return { database, storages: service.storagesOf(database) }
    },
    /** Takes a snapshot. */
    snapshot: async (request) => {
      const database = service.nameOf(request.database)
      const txid = await service.snapshot(database, storagesOf(request))
      return { database, storages: service.storagesOf(database), txid }
    },
    /** Tells what there is to merge and to remove, and does it if told to; `null` for a storage that is not its own. */
    compact: async ({ database, options }) => {
      const { storage, force } = options ?? {}
      return (await service.compact(service.nameOf(database), String(storage), force === true)) ?? null
    },
    status: () => Promise.resolve(service.status()),
  }
}

function storagesOf({ options }: ControlRequest): readonly string[] | undefined {
  const storages = options?.storages
  return Array.isArray(storages) ? storages.map(String) : undefined
}
