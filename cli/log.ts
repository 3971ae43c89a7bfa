import type { Log, LogFields, LogLevel } from '../core/log.js'
import { redact } from '../core/redact.js'

const ORDER: readonly LogLevel[] = ['debug', 'info', 'warn', 'error']

export interface LogOptions {
  level: LogLevel
  format: 'text' | 'json'
}

/** Characters that may wait for whoever reads the log. Beyond that lines are left out: nobody reads it, and memory is not for that. */
const MOST_WAITING = 1024 * 1024

/**
 * A log on stderr: results go to stdout and are never mixed with it. Shipping depends on nobody who reads it: who has
 * gone away is no error, and who does not get on is told afterwards how many lines were left out.
 */
export function stderrLog({ level, format }: LogOptions): Log {
  const least = ORDER.indexOf(level)
  const { stderr } = process
  stderr.on('error', () => undefined)
  let leftOut = 0
  const at =
    (own: LogLevel) =>
    (message: string, fields: LogFields = {}) => {
      if (ORDER.indexOf(own) < least) return
      if (stderr.writableLength > MOST_WAITING) {
        leftOut++
        return
      }
      if (leftOut > 0) fields = { ...fields, linesLeftOutBefore: leftOut }
      leftOut = 0
      const time = new Date().toISOString()
      const line =
        format === 'json'
          ? JSON.stringify({ time, level: own, message, ...fields })
          : `${time} ${own.toUpperCase().padEnd(5)} ${message}${asText(fields)}`
      stderr.write(`${redact(line)}\n`)
    }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

function asText(fields: LogFields): string {
  return Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}=${typeof value === 'string' && !/\s/.test(value) ? value : JSON.stringify(value)}`)
    .join('')
}
