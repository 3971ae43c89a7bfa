import type { Log, LogFields, LogLevel } from '../core/log.js'
import { redact } from '../core/redact.js'

const ORDER: readonly LogLevel[] = ['debug', 'info', 'warn', 'error']

export interface LogOptions {
  level: LogLevel
  format: 'text' | 'json'
}

/** A log on stderr: results go to stdout and are never mixed with it. */
export function stderrLog({ level, format }: LogOptions): Log {
  const least = ORDER.indexOf(level)
  const at =
    (own: LogLevel) =>
    (message: string, fields: LogFields = {}) => {
      if (ORDER.indexOf(own) < least) return
      const time = new Date().toISOString()
      const line =
        format === 'json'
          ? JSON.stringify({ time, level: own, message, ...fields })
          : `${time} ${own.toUpperCase().padEnd(5)} ${message}${asText(fields)}`
      process.stderr.write(`${redact(line)}\n`)
    }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

function asText(fields: LogFields): string {
  return Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}=${typeof value === 'string' && !/\s/.test(value) ? value : JSON.stringify(value)}`)
    .join('')
}
