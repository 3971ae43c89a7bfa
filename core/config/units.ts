/** Durations and sizes as people write them. */

const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h|d|w)?$/
const MILLISECONDS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
}

/** `500ms`, `5s`, `1h`, `7d`; a bare number is seconds. Returns milliseconds, or `undefined` for anything else. */
export function parseDuration(text: string): number | undefined {
  const match = DURATION.exec(text.trim())
  if (!match) return undefined
  const [, number, unit = 's'] = match
  return Math.round(Number(number) * MILLISECONDS[unit])
}

const SIZE = /^(\d+(?:\.\d+)?)\s*(B|KB|MB|GB|TB|KiB|MiB|GiB|TiB)?$/i
const BYTES: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
}

/** `64MiB`, `5GiB`, `10MB`; a bare number is bytes. Returns bytes, or `undefined` for anything else. */
export function parseSize(text: string): number | undefined {
  const match = SIZE.exec(text.trim())
  if (!match) return undefined
  const [, number, unit = 'B'] = match
  const bytes = Math.round(Number(number) * BYTES[unit.toLowerCase()])
  return Number.isSafeInteger(bytes) ? bytes : undefined
}

/** Bytes for people: `1.2 GiB`. */
export function formatSize(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let unit = 0
  while (bytes >= 1024 && unit < units.length - 1) {
    bytes /= 1024
    unit++
  }
  return `${unit === 0 || bytes >= 100 ? Math.round(bytes) : bytes.toFixed(1)} ${units[unit]}`
}
