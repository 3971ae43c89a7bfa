import { isSecretName } from '../redact.js'
import { decodeName } from '../storage-url.js'
import { isPlain } from './layer.js'

/** As much of a JSON schema as tells where secrets are. */
export interface SecretSchema {
  $ref?: string
  'x-secret'?: boolean
  properties?: Record<string, SecretSchema>
  additionalProperties?: boolean | SecretSchema
  items?: SecretSchema | SecretSchema[]
  anyOf?: SecretSchema[]
  allOf?: SecretSchema[]
  oneOf?: SecretSchema[]
  definitions?: Record<string, SecretSchema>
}

/** Values that are short are switches and names: masking them would mask ordinary words. */
const SHORTEST = 8
/** A path of a URL that is a secret is long; `/webhook` is none, and stands in the paths of databases, too. */
const SHORTEST_PATH = 12

/** Texts that are secrets by the name of what they are a value of. Names of keys are none. */
export function* namedSecrets(value: unknown, name = ''): Generator<string> {
  if (typeof value === 'string') {
    if (value.length < SHORTEST || !isSecretName(name) || /id$/i.test(name)) return
    yield value
    // `Bearer …`: what comes behind the scheme is the secret wherever it stands.
    const [, token = ''] = /^\w+ (\S+)$/.exec(value) ?? []
    if (token.length >= SHORTEST) yield token
  } else if (Array.isArray(value)) for (const item of value) yield* namedSecrets(item, name)
  else if (isPlain(value)) for (const [key, item] of Object.entries(value)) yield* namedSecrets(item, key)
}

/**
 * Texts that a schema marks as secrets (`x-secret`). Of a URL, what comes behind its host, and a password.
 *
 * @param root the schema that `#/definitions/…` is in
 * @param shared other files that the schema refers to, by their names
 */
export function* markedSecrets(
  value: unknown,
  schema: SecretSchema,
  root: SecretSchema,
  shared: Readonly<Record<string, SecretSchema>> = {},
): Generator<string> {
  if (schema.$ref !== undefined) {
    const [file, path = ''] = schema.$ref.split('#')
    const from = file === '' ? root : Object.hasOwn(shared, file) ? shared[file] : {}
    const name = path.split('/').at(-1) ?? ''
    const target = Object.hasOwn(from.definitions ?? {}, name) ? from.definitions?.[name] : undefined
    if (target) yield* markedSecrets(value, target, from, shared)
  }
  if (typeof value === 'string' && schema['x-secret']) yield* secretsOfText(value)
  for (const option of [...(schema.anyOf ?? []), ...(schema.allOf ?? []), ...(schema.oneOf ?? [])]) {
    yield* markedSecrets(value, option, root, shared)
  }
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) {
      const own = Array.isArray(schema.items) ? schema.items[index] : schema.items
      if (own) yield* markedSecrets(item, own, root, shared)
    }
  } else if (isPlain(value)) {
    const others = typeof schema.additionalProperties === 'object' ? schema.additionalProperties : undefined
    for (const [key, item] of Object.entries(value)) {
      const own = Object.hasOwn(schema.properties ?? {}, key) ? schema.properties?.[key] : others
      if (own) yield* markedSecrets(item, own, root, shared)
    }
  }
}

function* secretsOfText(text: string): Generator<string> {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || url.host === '') {
    if (text.length >= SHORTEST) yield text
    return
  }
  if (url.password !== '') yield decodeName(url.password)
  const rest = url.pathname + url.search
  if (rest.length >= SHORTEST_PATH) yield rest
}
