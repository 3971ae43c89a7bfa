import {
  type EngineStatus,
  type Health,
  healthOf,
  healthOfAll,
  healthOfReplica,
  unshippedSince,
} from '../../core/index.js'
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
  /** Of a process that keeps some. */
  replicas?: Array<{
    name: string
    file: string
    status: Health
    state: string
    txid: number
    lagSeconds?: number
    checked?: string
    error?: string
  }>
}

export function healthReport(status: EngineStatus, version: string, now: number): HealthReport {
  return {
    status: healthOfAll(status, now),
    version,
    uptimeSeconds: (now - status.startedAt) / 1000,
    databases: status.databases.map((database) => {
      const failing = database.storages.find((storage) => storage.error !== undefined)?.error
      const error = database.error ?? failing ?? database.validation?.error
      return {
        name: database.name,
        status: healthOf(database, status.maxLag, now),
        state: database.state,
        unshippedSeconds: (now - (unshippedSince(database) ?? now)) / 1000,
        ...(error === undefined ? {} : { error }),
      }
    }),
    ...(status.replicas && {
      replicas: status.replicas.map((replica) => ({
        name: replica.database,
        file: replica.file,
        status: healthOfReplica(replica, status.maxLag, now),
        state: replica.state,
        txid: replica.txid,
        lagSeconds: replica.lag === undefined ? undefined : replica.lag / 1000,
        checked: replica.checked,
        error: replica.error,
      })),
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
      validation: database.validation,
      storages: database.storages,
      throughput: history.throughputOf(database.name),
      events: history.eventsOf(database.name),
    })),
  }
}

export type PageReport = ReturnType<typeof pageReport>
