import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, release, totalmem, type } from 'node:os'
import { sqliteVersion } from '../../core/database/connection.js'
import { VERSION } from '../../core/version.js'

/** What the figures were measured on. */
export interface Machine {
  system: string
  processor: string
  cores: number
  memoryGiB: number
  node: string
  sqlite: string
  walrust: string
  /** Load over the last minute when it began: above 0.5 the figures are suspect. */
  load: number
}

export function machine(): Machine {
  return {
    system: `${type()} ${release()}`,
    processor: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    sqlite: sqliteVersion(),
    walrust: VERSION,
    load: Number(readFileSync('/proc/loadavg', 'utf8').split(' ', 1)[0]),
  }
}
