import { isSecretName, keepSecret } from './redact.js'

/** Shorter values are switches and names, and masking them would mask ordinary words. */
const SHORTEST = 8

/**
 * Remembers the values of variables that are secrets by their name, whoever reads them: libraries of storages find
 * their credentials there by themselves, and some repeat in an error what they were given. Names of keys and paths of
 * files with secrets are none.
 */
export function keepSecretVariables(environment: Readonly<Record<string, string | undefined>>): void {
  for (const [name, value = ''] of Object.entries(environment)) {
    const isPlace = value.startsWith('/') || value.startsWith('.')
    if (value.length >= SHORTEST && isSecretName(name) && !/_id$/i.test(name) && !isPlace) keepSecret(value)
  }
}
