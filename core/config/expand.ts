import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { messageOf } from '../errors.js'
import { keepSecret } from '../redact.js'
import type { Finding } from './finding.js'
import type { WalrustConfig } from './generated/types.js'
import { isPlain, isRecord, type Layer } from './layer.js'

type Environment = Readonly<Record<string, string | undefined>>

/** Calls `change` for every value in plain data, outermost first, and builds the copy with what it answers. */
function map(value: unknown, path: string, change: (value: unknown, path: string) => unknown): unknown {
  const changed = change(value, path)
  if (changed !== value) return changed
  if (Array.isArray(value)) return value.map((item, index) => map(item, `${path}[${index}]`, change))
  // A plugin that was made in the file is handed on as it is.
  if (!isPlain(value) || typeof value.apply === 'function') return value
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, map(item, path === '' ? key : `${path}.${key}`, change)]),
  )
}

const VARIABLE = /\$(\$?)\{([A-Za-z_][A-Za-z0-9_]*)(?::-((?:[^}\\]|\\.)*))?\}/g

/** Puts variables in the place of `${NAME}` and `${NAME:-otherwise}`; `$${NAME}` stays as `${NAME}`. */
export function expandVariables(data: unknown, source: string, env: Environment, findings: Finding[]): unknown {
  return map(data, '', (value, path) => {
    if (typeof value !== 'string' || !value.includes('${')) return value
    return value.replace(VARIABLE, (text, escaped: string, name: string, otherwise: string | undefined) => {
      if (escaped !== '') return text.slice(1)
      const set = env[name]
      if (set !== undefined && (set !== '' || otherwise === undefined)) return set
      if (otherwise !== undefined) return otherwise
      findings.push({ source, path, message: `needs the variable ${name}, which is not set` })
      return text
    })
  })
}

/** `{ env: 'NAME' }` or `{ file: 'PATH' }` and nothing else. */
function referenceOf(value: unknown): { env?: string; file?: string } | undefined {
  if (!isRecord(value)) return undefined
  const entries = Object.entries(value)
  if (entries.length !== 1 || typeof entries[0][1] !== 'string') return undefined
  return entries[0][0] === 'env' || entries[0][0] === 'file' ? value : undefined
}

/** Where references are allowed: in what storages and plugins take. */
const REFERENCES = /^(databases\[\d+\]\.)?(storage|plugins)\b.*[.[]/

/** Fetches secrets from where the configuration says they are, and remembers them, so that they are masked. */
export function resolveReferences(layer: Layer, env: Environment, findings: Finding[]): Layer {
  const { source, folder } = layer
  const config = map(layer.config, '', (value, path) => {
    const reference = REFERENCES.test(path) ? referenceOf(value) : undefined
    if (!reference) return value
    const { env: name, file } = reference
    if (name !== undefined) {
      const text = env[name]
      if (text === undefined || text === '') {
        findings.push({ source, path, message: `needs the variable ${name}, which is not set` })
        return ''
      }
      keepSecret(text)
      return text
    }
    try {
      // Files that hold a secret usually end with a line break that is not part of it.
      const text = readFileSync(resolve(folder, file ?? ''), 'utf8').replace(/\r?\n$/, '')
      keepSecret(text)
      return text
    } catch (error) {
      findings.push({ source, path, message: `needs the file ${file}: ${messageOf(error)}` })
      return ''
    }
  })
  return { ...layer, config: config as WalrustConfig }
}
