/**
 * Secrets that this process has been told, so that they can be taken out of whatever leaves it: logs, errors, events,
 * results. Kept once for the process, because text leaves it in many places and a secret is one everywhere.
 */
const secrets = new Set<string>()

/** Shorter texts are left alone: masking `a` would mask half of every line. */
const SHORTEST = 4

export const MASK = '********'

/** Remembers a text that must not leave the process. */
export function keepSecret(text: string): void {
  if (text.length >= SHORTEST) secrets.add(text)
}

/** The text without the secrets in it, and without user and password of URLs. */
export function redact(text: string): string {
  let clean = text
  for (const secret of secrets) {
    if (clean.includes(secret)) clean = clean.replaceAll(secret, MASK)
    // In JSON and in URLs it may be written otherwise.
    const [inJson, inUrl] = [JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret)]
    if (inJson !== secret) clean = clean.replaceAll(inJson, MASK)
    if (inUrl !== secret) clean = clean.replaceAll(inUrl, MASK)
  }
  return clean.includes('@') ? clean.replaceAll(/(\b[a-z][a-z0-9+.-]*:\/\/)[^/\s@]*@/gi, `$1${MASK}@`) : clean
}

const SECRET_NAME = /(secret|passw|passphrase|token|credential|privatekey|accesskey|apikey|authorization|cookie)/i

/** Whether an option of that name is a secret, as far as names tell. */
export function isSecretName(name: string): boolean {
  return SECRET_NAME.test(name.replaceAll(/[-_]/g, ''))
}

/** A copy of plain data for people to see: what is secret by name or was kept as a secret is masked. */
export function redactValue(value: unknown, name = ''): unknown {
  if (value === null || value === undefined || typeof value === 'boolean' || typeof value === 'number') return value
  if (typeof value === 'string') return isSecretName(name) ? MASK : redact(value)
  if (Array.isArray(value)) return value.map((item) => redactValue(item, name))
  if (typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, redactValue(item, key)]))
  }
  return typeof value === 'function' ? '[function]' : '[something]'
}
