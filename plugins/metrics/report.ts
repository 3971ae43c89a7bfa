import { type EngineStatus, type Health, healthOf, healthOfAll, unshippedSince } from '../../core/index.js'
import { type History, SAMPLE_MS } from './history.js'

/** What `/health` answers. */
export interface HealthReport {
  status: Health
  version: string
  uptimeSeconds: number
  databases: Array<{
    name: string
    status: Health
    state: string
    unshippedSeconds: number
    error?: string
  }>
}

export function healthReport(status: EngineStatus, version: string, now: number): HealthReport {
  return {
    status: healthOfAll(status, now),
    version,
    uptimeSeconds: (now - status.startedAt) / 1000,
    databases: status.databases.map((database) => {
      const error = database.error ?? database.storages.find((storage) => storage.error !== undefined)?.error
      return {
        name: database.name,
        status: healthOf(database, status.maxLag, now),
        state: database.state,
        unshippedSeconds: (now - (unshippedSince(database) ?? now)) / 1000,
        ...(error === undefined ? {} : { error }),
      }
    }),
  }
}

/** What the page asks for and draws. Times are milliseconds since the epoch, spans seconds. */
export function pageReport(status: EngineStatus, history: History, version: string, now: number) {
  return {
    ...healthReport(status, version, now),
    now,
    maxLagSeconds: status.maxLag / 1000,
    sampleSeconds: SAMPLE_MS / 1000,
    lines: {
      lag: history.line(history.lag),
      throughput: history.line(history.throughput),
      spool: history.line(history.spool),
      commits: history.line(history.commits),
    },
    databases: status.databases.map((database) => ({
      name: database.name,
      path: database.path,
      status: healthOf(database, status.maxLag, now),
      state: database.state,
      since: database.since,
      error: database.error,
      unshippedSeconds: (now - (unshippedSince(database) ?? now)) / 1000,
      databaseBytes: database.databaseBytes,
      walBytes: database.walBytes,
      damagedPages: database.damagedPages,
      storages: database.storages,
      throughput: history.throughputOf(database.name),
      events: history.eventsOf(database.name),
    })),
  }
}

export type PageReport = ReturnType<typeof pageReport>
