import type { Service } from '../service.js'
import type { ControlCommands, ControlRequest } from './protocol.js'

/** What a running `walrust watch` can be asked over its socket. Whoever adds a command adds a line here. */
export function controlCommands(service: Service): ControlCommands {
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
