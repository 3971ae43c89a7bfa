/** How loud a line is. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** Plain values that go with a line. */
export type LogFields = Readonly<Record<string, unknown>>

/** Where walrust says what it does. Lines go to whoever gave it; a library gives none and hears nothing. */
export interface Log {
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
}

const nothing = () => undefined

export const SILENT: Log = { debug: nothing, info: nothing, warn: nothing, error: nothing }

/** The same log with fields that go with every line. */
export function withFields(log: Log, common: LogFields): Log {
  const at = (level: LogLevel) => (message: string, fields?: LogFields) => log[level](message, { ...common, ...fields })
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}
