import { convert, expected, fromText } from './convert.js'
import type { Finding } from './finding.js'
import { KEYS } from './generated/keys.js'
import { environmentName } from './keys.js'
import type { Layer } from './layer.js'
import { isRecord } from './layer.js'
import { closestTo } from './suggest.js'

/** Variables that are no keys: our own, and those that Kubernetes sets for every pod beside a service called walrust. */
const OTHERS = /^WALRUST_(CONFIG|(.*_)?SERVICE_(HOST|PORT(_\w+)?)|PORT(_.*)?)$/

type Environment = Readonly<Record<string, string | undefined>>

/**
 * The part of the configuration that is in `WALRUST_*` variables. An empty variable counts as none. One that is no key
 * is an error if it looks like a misspelt one; others are left alone.
 */
export async function environmentLayer(env: Environment, cwd: string, findings: Finding[]): Promise<Layer> {
  const config: Record<string, unknown> = {}
  const names = new Map<string, string>()
  for (const key of KEYS) {
    const name = environmentName(key.path)
    names.set(name, key.path)
    const text = env[name]
    if (text === undefined || text === '') continue
    const value = fromText(key.type, text)
    if (value === undefined || (value !== null && convert(key.type, value) === undefined)) {
      findings.push({ source: name, path: '', message: `must be ${expected(key)}, not ${JSON.stringify(text)}` })
    } else {
      setPath(config, key.path, value)
    }
  }
  storageVariables(env, config, names)
  for (const name of Object.keys(env)) {
    if (!name.startsWith('WALRUST_') || names.has(name) || OTHERS.test(name) || !env[name]) continue
    const suggestion = await closestTo(name, [...names.keys()])
    if (suggestion !== undefined) findings.push({ source: name, path: '', message: 'is not known', suggestion })
  }
  return {
    source: 'environment',
    folder: cwd,
    config: config,
    origin: (path) => environmentName(path),
  }
}

/** `WALRUST_STORAGE_ENDPOINT` and the like: the storage's settings are its plugin's, so that all names are taken. */
function storageVariables(env: Environment, config: Record<string, unknown>, names: Map<string, string>): void {
  for (const [name, text] of Object.entries(env)) {
    const option = /^WALRUST_STORAGE_(\w+)$/.exec(name)?.[1]
    if (option === undefined || text === undefined || text === '') continue
    const key = option.toLowerCase().replaceAll(/_(\w)/g, (_, letter: string) => letter.toUpperCase())
    const { storage } = config
    if (Array.isArray(storage)) continue
    const object = typeof storage === 'string' ? { url: storage } : isRecord(storage) ? storage : {}
    object[key] = /^(true|false|\d+)$/.test(text) ? (JSON.parse(text) as unknown) : text
    config.storage = object
    names.set(name, `storage.${key}`)
  }
}

/** Sets `a.b.c` in nested objects. A section that was switched off is there again. */
export function setPath(target: Record<string, unknown>, path: string, value: unknown): void {
  const keys = path.split('.')
  const last = keys.pop()!
  let here = target
  for (const key of keys) {
    const next = isRecord(here[key]) ? here[key] : {}
    here[key] = next
    here = next
  }
  here[last] = value
}
