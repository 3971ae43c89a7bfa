import type { ConfigKey, KeyType } from './keys.js'
import { parseDuration, parseSize } from './units.js'

/** What each type is called when it is missed. */
export const EXPECTED: Readonly<Record<KeyType, string>> = {
  duration: 'a time such as 500ms, 5s, 1h or 7d',
  durationOrOff: 'a time such as 500ms, 5s, 1h or 7d, or off',
  size: 'a size such as 64MiB or 5GiB',
  count: 'a whole number',
  positiveCount: 'a whole number from 1',
  countOrOff: 'a whole number, or off',
  flag: 'true or false',
  text: 'a text',
  path: 'a path',
  choice: 'one of the choices',
  durations: 'a list of times such as ["30s", "5m"]',
  storage: 'a storage URL, an object with a url, or a list of them',
  list: 'a list',
  switch: 'false, or an object',
}

export function expected({ type, choices }: Pick<ConfigKey, 'type' | 'choices'>): string {
  return choices ? `one of ${choices.join(', ')}` : EXPECTED[type]
}

const off = (value: unknown) => value === false || value === 'off'

/** From what was written to what the engine takes: milliseconds, bytes, numbers. The value has been validated. */
export function convert(type: KeyType, value: unknown): unknown {
  switch (type) {
    case 'duration':
      return parseDuration(String(value))
    case 'durationOrOff':
      return off(value) ? 0 : parseDuration(String(value))
    case 'size':
      return parseSize(String(value))
    case 'countOrOff':
      return off(value) ? 0 : value
    case 'durations':
      return (value as unknown[]).map((item) => parseDuration(String(item)))
    default:
      return value
  }
}

/**
 * The value that a text stands for: a variable's, or a flag's. `undefined` for a text that is none; it is not checked
 * otherwise. `null` stands for itself everywhere, lists and objects are JSON.
 */
export function fromText(type: KeyType, text: string): unknown {
  if (text === 'null') return null
  switch (type) {
    case 'count':
    case 'positiveCount':
      return /^\d+$/.test(text) ? Number(text) : undefined
    case 'countOrOff':
      return off(text) || text === 'false' ? false : /^\d+$/.test(text) ? Number(text) : undefined
    case 'flag':
      return ({ true: true, '1': true, false: false, '0': false } as Record<string, boolean>)[text]
    case 'durationOrOff':
      return text === 'false' ? false : text
    case 'switch':
      return text === 'false' || text === 'off' ? false : json(text, '{')
    case 'durations':
    case 'list':
      return json(text, '[')
    case 'storage':
      return /^\s*[[{]/.test(text) ? json(text, '') : text
    default:
      return text
  }
}

function json(text: string, start: string): unknown {
  if (!text.trimStart().startsWith(start)) return undefined
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}
